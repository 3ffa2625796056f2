//! Which paths are served (PL-51, PL-52, IN-27, IN-30, ruling 20).
//!
//! A path that is not in the table answers 404 and its entry is left out of the webhook configurations: kinds that are
//! not here yet are neither defaulted nor refused by accident.

use std::collections::BTreeMap;

use runtime::gates::{Gate, Gates};

use crate::configuration::crds::CONVERT_PATH;

/// What answers at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// 200 without content: the server is up (PL-50).
    Healthz,
    /// Conversion between versions (PL-55).
    Convert,
    /// Admission.
    Admit(Admission),
}

/// Admission endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Admission {
    /// Pods that are created.
    MutatePod,
    /// Pods that are changed, deleted or evicted.
    ValidatePod,
    /// Defaults of CloneSets.
    MutateCloneSet,
    /// Validation and deletion protection of CloneSets.
    ValidateCloneSet,
}

/// Kinds of `apps.kruise.io` with admission, in lower case, and the version that an older spelling of their paths has.
const KINDS: [(&str, &str, Admission, Admission); 1] =
    [("cloneset", "v1alpha1", Admission::MutateCloneSet, Admission::ValidateCloneSet)];

/// The table of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    table: BTreeMap<String, Endpoint>,
}

impl Paths {
    /// The paths that are served with these gates.
    pub fn new(gates: &Gates) -> Self {
        let mut table = BTreeMap::new();
        table.insert("/healthz".to_owned(), Endpoint::Healthz);
        table.insert(CONVERT_PATH.to_owned(), Endpoint::Convert);
        if gates.is_on(Gate::PodWebhook) {
            table.insert("/mutate-pod".to_owned(), Endpoint::Admit(Admission::MutatePod));
            table.insert("/validate-pod".to_owned(), Endpoint::Admit(Admission::ValidatePod));
        }
        for (kind, version, mutate, validate) in KINDS {
            for spelling in [kind.to_owned(), format!("{version}-{kind}")] {
                table.insert(format!("/mutate-apps-kruise-io-{spelling}"), Endpoint::Admit(mutate));
                table.insert(format!("/validate-apps-kruise-io-{spelling}"), Endpoint::Admit(validate));
            }
        }
        Self { table }
    }

    /// What answers at a path, and the path as it stands in the table.
    pub fn endpoint(&self, path: &str) -> Option<(&str, Endpoint)> {
        self.table.get_key_value(path).map(|(path, endpoint)| (path.as_str(), *endpoint))
    }

    /// Whether admission answers at a path.
    pub fn serves(&self, path: &str) -> bool {
        matches!(self.table.get(path), Some(Endpoint::Admit(_)))
    }

    /// Whether requests about Pods of others go to this path.
    pub fn affects_pods(&self, path: &str) -> bool {
        matches!(self.table.get(path), Some(Endpoint::Admit(Admission::MutatePod | Admission::ValidatePod)))
    }

    /// All paths.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(gates: &str) -> Vec<String> {
        let paths = Paths::new(&Gates::parse(gates, None).unwrap());
        paths.all().filter(|path| paths.serves(path)).map(str::to_owned).collect()
    }

    #[test] // PL-52, IN-30
    fn both_spellings_of_a_kind_are_served() {
        assert_eq!(
            served(""),
            [
                "/mutate-apps-kruise-io-cloneset",
                "/mutate-apps-kruise-io-v1alpha1-cloneset",
                "/mutate-pod",
                "/validate-apps-kruise-io-cloneset",
                "/validate-apps-kruise-io-v1alpha1-cloneset",
                "/validate-pod",
            ]
        );
    }

    #[test] // ruling 20
    fn pod_paths_depend_on_their_gate_alone() {
        assert!(!served("PodWebhook=false").iter().any(|path| path.ends_with("-pod")));
    }

    #[test]
    fn conversion_and_health_are_no_admission() {
        let paths = Paths::new(&Gates::parse("", None).unwrap());
        assert!(!paths.serves("/convert") && !paths.serves("/healthz") && !paths.serves("/mutate-apps-kruise-io-x"));
        assert_eq!(paths.endpoint("/convert"), Some(("/convert", Endpoint::Convert)));
        assert_eq!(paths.endpoint("/mutate-apps-kruise-io-sidecarset"), None);
    }
}

//! Feature gates: names, stages, defaults and the rules that force some by others (platform section 9, PL-60..63,
//! IN-21..26). What a gate changes is on the page of its kind.

use std::collections::BTreeMap;

use tracing::warn;

/// How mature a feature is; `AllAlpha` and `AllBeta` set every gate of a stage that is not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Off by default.
    Alpha,
    /// Complete; mostly on by default.
    Beta,
}

macro_rules! gates {
    ($($gate:ident $stage:ident $default:literal $doc:literal;)+) => {
        /// A feature that can be switched.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Gate {
            $(#[doc = $doc] $gate,)+
        }

        impl Gate {
            /// Every gate, in the order of the page.
            pub const ALL: &'static [Self] = &[$(Self::$gate,)+];

            /// The name used in `--feature-gates`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$gate => stringify!($gate),)+ }
            }

            /// The stage.
            #[must_use]
            pub const fn stage(self) -> Stage {
                match self { $(Self::$gate => Stage::$stage,)+ }
            }

            /// Whether the gate is on where nothing is said.
            #[must_use]
            pub const fn default_on(self) -> bool {
                match self { $(Self::$gate => $default,)+ }
            }
        }
    };
}

gates! {
    PodWebhook Beta true "Admission of Pods.";
    KruiseDaemon Beta true "Everything that needs the node agent.";
    DaemonWatchingPod Beta true "The daemon watches the Pods of its node.";
    WorkloadSpread Beta true "WorkloadSpread.";
    PodUnavailableBudgetDeleteGate Beta true "PodUnavailableBudget for deletion and eviction.";
    InPlaceUpdateEnvFromMetadata Beta true "In-place update of environment taken from metadata.";
    StatefulSetAutoDeletePVC Beta true "Claim retention policy of Advanced StatefulSet.";
    PodProbeMarkerGate Beta true "PodProbeMarker.";
    PodIndexLabel Beta true "Index label on Pods of Advanced StatefulSet.";
    ResourcesDeletionProtection Beta false "Deletion protection.";
    ResourceDistributionGate Beta false "ResourceDistribution.";
    CloneSetShortHash Alpha false "Revision label of CloneSet Pods holds the hash only.";
    KruisePodReadinessGate Alpha false "Readiness gate on all Pods.";
    PreDownloadImageForInPlaceUpdate Alpha false "Image pre-download for CloneSet and Advanced StatefulSet.";
    PreDownloadImageForDaemonSetUpdate Alpha false "Image pre-download for Advanced DaemonSet.";
    CloneSetPartitionRollback Alpha false "A raised partition rolls CloneSet Pods back.";
    CloneSetEventHandlerOptimization Alpha false "Fewer reconciles of CloneSets.";
    PreparingUpdateAsUpdate Alpha false "Pods in PreparingUpdate count as updated.";
    PodUnavailableBudgetUpdateGate Alpha false "PodUnavailableBudget for updates and resizes.";
    TemplateNoDefaults Alpha false "Webhooks leave Pod templates without defaults.";
    SidecarSetPatchPodMetadataDefaultsAllowed Alpha false "SidecarSet metadata patches without white list.";
    SidecarTerminator Alpha false "Sidecar terminator.";
    ImagePullJobGate Alpha false "ImagePullJob and ImageListPullJob.";
    DeletionProtectionForCRDCascadingGate Alpha false "Deletion protection of CRDs with objects.";
    EnhancedLivenessProbe Alpha false "Enhanced liveness probe.";
    RecreatePodWhenChangeVCTInCloneSetGate Alpha false "CloneSet recreates Pods when claim templates change.";
    StatefulSetStartOrdinal Alpha false "Start ordinal of Advanced StatefulSet.";
    StatefulSetAutoResizePVCGate Alpha false "Advanced StatefulSet resizes claims.";
    EnableExternalCerts Alpha false "Certificates are provided from outside (PL-46).";
    ForceDeleteTimeoutExpectationGate Alpha false "Accepted; expectations that timed out are always dropped.";
    InPlaceWorkloadVerticalScaling Alpha false "In-place update of resources by workloads.";
    InPlacePodVerticalScaling Alpha false "PodUnavailableBudget for resizes.";
    EnablePodProbeMarkerOnServerless Alpha false "PodProbeMarker on serverless Pods.";
    EnableSortSidecarContainerByName Alpha false "SidecarSet sorts injected containers by name.";
    DefaultHostNetworkHostPortsInPodTemplates Alpha false "Host ports are defaulted in templates of host network.";
    DaemonSetPruneIneligibleNodes Alpha false "Advanced DaemonSet prunes Pods of ineligible nodes.";
}

/// Names in OpenKruise's documentation that its binary rejects (IN-22).
const ALIASES: [(&str, Gate); 2] = [
    ("EnhancedLivenessProbeGate", Gate::EnhancedLivenessProbe),
    ("ForceDeleteTimeoutExpectationFeatureGate", Gate::ForceDeleteTimeoutExpectationGate),
];

/// Gates that `AllAlpha` leaves alone: the first would wait for certificates that nobody makes, the second changes the
/// revision hash of every workload (IN-23).
const NOT_IN_ALL_ALPHA: [Gate; 2] = [Gate::EnableExternalCerts, Gate::TemplateNoDefaults];

/// Off without `PodWebhook` (PL-60).
const NEED_POD_WEBHOOK: [Gate; 7] = [
    Gate::KruisePodReadinessGate,
    Gate::PodUnavailableBudgetDeleteGate,
    Gate::PodUnavailableBudgetUpdateGate,
    Gate::WorkloadSpread,
    Gate::SidecarSetPatchPodMetadataDefaultsAllowed,
    Gate::EnhancedLivenessProbe,
    Gate::EnablePodProbeMarkerOnServerless,
];

/// Off without `KruiseDaemon` (PL-61).
const NEED_DAEMON: [Gate; 8] = [
    Gate::PreDownloadImageForInPlaceUpdate,
    Gate::DaemonWatchingPod,
    Gate::InPlaceUpdateEnvFromMetadata,
    Gate::PreDownloadImageForDaemonSetUpdate,
    Gate::PodProbeMarkerGate,
    Gate::SidecarTerminator,
    Gate::ImagePullJobGate,
    Gate::EnhancedLivenessProbe,
];

/// Why `--feature-gates` was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Check the spelling; names are case-sensitive.
    #[error("unknown feature gate {0}")]
    Unknown(String),
    /// An entry must be `Name=true` or `Name=false`.
    #[error("feature gate {0:?} is not of the form Name=true or Name=false")]
    Form(String),
}

/// Which features are on in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gates {
    on: BTreeMap<Gate, bool>,
}

impl Default for Gates {
    fn default() -> Self {
        Self::resolve(&BTreeMap::new(), None, None, None)
    }
}

impl Gates {
    /// Reads the value of `--feature-gates` and `CUSTOM_RESOURCE_ENABLE` (IN-25), then applies the forced rules.
    ///
    /// # Errors
    /// An unknown name, or an entry that is not `Name=bool`.
    pub fn parse(text: &str, custom_resource_enable: Option<&str>) -> Result<Self, Error> {
        let (mut named, mut alpha, mut beta) = (BTreeMap::new(), None, None);
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, value) = entry.split_once('=').ok_or_else(|| Error::Form(entry.to_owned()))?;
            let value = crate::flags::go_bool(value.trim()).map_err(|_| Error::Form(entry.to_owned()))?;
            match name.trim() {
                "AllAlpha" => alpha = Some(value),
                "AllBeta" => beta = Some(value),
                name => {
                    named.insert(by_name(name)?, value);
                }
            }
        }
        Ok(Self::resolve(&named, alpha, beta, custom_resource_enable))
    }

    /// Whether a feature is on.
    #[must_use]
    pub fn is_on(&self, gate: Gate) -> bool {
        self.on.get(&gate).copied().unwrap_or_else(|| gate.default_on())
    }

    /// The same gates with one changed, without the forced rules: for tests of one feature.
    #[must_use]
    pub fn with(mut self, gate: Gate, on: bool) -> Self {
        self.on.insert(gate, on);
        self
    }

    fn resolve(
        named: &BTreeMap<Gate, bool>,
        alpha: Option<bool>,
        beta: Option<bool>,
        custom_resource_enable: Option<&str>,
    ) -> Self {
        let default = |gate: Gate| {
            let of_stage = match gate.stage() {
                Stage::Alpha if NOT_IN_ALL_ALPHA.contains(&gate) => None,
                Stage::Alpha => alpha,
                Stage::Beta => beta,
            };
            of_stage.unwrap_or_else(|| match gate {
                Gate::PodWebhook => may_serve_pods(custom_resource_enable),
                other => other.default_on(),
            })
        };
        let on = Gate::ALL.iter().map(|&gate| (gate, named.get(&gate).copied().unwrap_or_else(|| default(gate))));
        let mut gates = Self { on: on.collect() };
        gates.force();
        gates
    }

    /// Gates that depend on others; the order is part of the rule (IN-21).
    fn force(&mut self) {
        if !self.is_on(Gate::PodWebhook) {
            self.set_all(&NEED_POD_WEBHOOK, false); // PL-60
        }
        if !self.is_on(Gate::KruiseDaemon) {
            self.set_all(&NEED_DAEMON, false); // PL-61
        }
        if self.is_on(Gate::PreDownloadImageForInPlaceUpdate) || self.is_on(Gate::PreDownloadImageForDaemonSetUpdate) {
            self.set_all(&[Gate::ImagePullJobGate], true); // PL-62
        }
        if !self.is_on(Gate::ResourcesDeletionProtection) {
            self.set_all(&[Gate::DeletionProtectionForCRDCascadingGate], false); // PL-63
        }
    }

    fn set_all(&mut self, gates: &[Gate], on: bool) {
        for gate in gates {
            self.on.insert(*gate, on);
        }
    }
}

/// A legacy list of kinds without `SidecarSet` keeps Pods out of admission (IN-25).
fn may_serve_pods(custom_resource_enable: Option<&str>) -> bool {
    match custom_resource_enable.map(str::trim) {
        None | Some("") => Gate::PodWebhook.default_on(),
        Some(kinds) => kinds.split(',').any(|kind| kind.trim() == "SidecarSet"),
    }
}

fn by_name(name: &str) -> Result<Gate, Error> {
    if let Some((_, gate)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        warn!(alias = name, gate = gate.name(), "feature gate is called otherwise, go on with its true name");
        return Ok(*gate);
    }
    Gate::ALL.iter().copied().find(|gate| gate.name() == name).ok_or_else(|| Error::Unknown(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, on: &[Gate], off: &[Gate]) {
        let gates = Gates::parse(text, None).unwrap();
        for gate in on {
            assert!(gates.is_on(*gate), "{gate:?} with {text:?}");
        }
        for gate in off {
            assert!(!gates.is_on(*gate), "{gate:?} with {text:?}");
        }
    }

    #[test]
    fn nothing_said_gives_the_defaults() {
        let gates = Gates::parse("", None).unwrap();
        for gate in Gate::ALL {
            assert_eq!(gates.is_on(*gate), gate.default_on(), "{gate:?}");
        }
        assert_eq!(Gate::ALL.len(), 36);
        assert_eq!(gates, Gates::default());
    }

    // IN-24
    #[test]
    fn spaces_and_empty_entries_are_tolerated() {
        check(
            " CloneSetShortHash = true , ,PodProbeMarkerGate=false,",
            &[Gate::CloneSetShortHash],
            &[Gate::PodProbeMarkerGate],
        );
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert_eq!(Gates::parse("NoSuchGate=true", None), Err(Error::Unknown("NoSuchGate".to_owned())));
        assert_eq!(Gates::parse("podwebhook=true", None), Err(Error::Unknown("podwebhook".to_owned())));
    }

    #[test]
    fn a_bad_value_is_refused() {
        assert_eq!(Gates::parse("PodWebhook", None), Err(Error::Form("PodWebhook".to_owned())));
        assert_eq!(Gates::parse("PodWebhook=on", None), Err(Error::Form("PodWebhook=on".to_owned())));
    }

    #[test]
    fn a_named_gate_wins_over_its_stage_in_any_order() {
        check("CloneSetShortHash=false,AllAlpha=true", &[Gate::CloneSetPartitionRollback], &[Gate::CloneSetShortHash]);
        check("AllBeta=false,KruiseDaemon=true", &[Gate::KruiseDaemon], &[Gate::PodWebhook, Gate::PodIndexLabel]);
    }

    // IN-23
    #[test]
    fn all_alpha_leaves_certificates_and_defaults_alone() {
        check("AllAlpha=true", &[Gate::SidecarTerminator], &[Gate::EnableExternalCerts, Gate::TemplateNoDefaults]);
        check("AllAlpha=true,EnableExternalCerts=true", &[Gate::EnableExternalCerts], &[]);
    }

    // IN-22
    #[test]
    fn documented_aliases_are_accepted() {
        check("EnhancedLivenessProbeGate=true", &[Gate::EnhancedLivenessProbe], &[]);
        check("ForceDeleteTimeoutExpectationFeatureGate=true", &[Gate::ForceDeleteTimeoutExpectationGate], &[]);
    }

    // PL-60
    #[test]
    fn without_pod_webhook_its_features_are_off() {
        check("PodWebhook=false,WorkloadSpread=true,EnhancedLivenessProbe=true", &[], &NEED_POD_WEBHOOK);
    }

    // PL-E3
    #[test]
    fn without_pod_webhook_deletion_protection_stays() {
        check("PodWebhook=false,ResourcesDeletionProtection=true", &[Gate::ResourcesDeletionProtection], &[]);
    }

    // PL-61, PL-62: the pre-download gates are off by then, so they force nothing.
    #[test]
    fn without_daemon_its_features_are_off() {
        check("KruiseDaemon=false,PreDownloadImageForInPlaceUpdate=true,ImagePullJobGate=true", &[], &NEED_DAEMON);
    }

    // PL-62
    #[test]
    fn pre_download_forces_image_pull_jobs() {
        check("PreDownloadImageForInPlaceUpdate=true,ImagePullJobGate=false", &[Gate::ImagePullJobGate], &[]);
        check("PreDownloadImageForDaemonSetUpdate=true", &[Gate::ImagePullJobGate], &[]);
    }

    // PL-63
    #[test]
    fn cascading_protection_needs_protection() {
        check("DeletionProtectionForCRDCascadingGate=true", &[], &[Gate::DeletionProtectionForCRDCascadingGate]);
    }

    // IN-25
    #[test]
    fn a_list_of_kinds_without_sidecar_set_turns_pod_webhook_off_by_default() {
        let on = |text, kinds| Gates::parse(text, kinds).unwrap().is_on(Gate::PodWebhook);
        assert!(!on("", Some("CloneSet,StatefulSet")));
        assert!(on("", Some("CloneSet, SidecarSet")));
        assert!(on("", Some("")));
        assert!(on("PodWebhook=true", Some("CloneSet")));
    }
}

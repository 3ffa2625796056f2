//! Deletion protection of workloads (CS-110; DP-1..5, DP-30, DP-50) and its log (PL-90).
//!
//! The rule looks at the stored object alone; who asks and how does not matter (DP-4, DP-5).

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use runtime::gates::{Gate, Gates};
use runtime::metrics::{BareCounter, bare_counters};
use serde::{Deserialize, Serialize};
use tracing::error;

use super::form::{Members, Pairs, Text, or_default};
use super::object::Object;
use super::{Refusal, Request};

/// Name of the log file in `--protection-log-path`.
const LOG_FILE: &str = "protection.log";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    kind_namespace_name: String,
    username: String,
}

static REFUSED: LazyLock<Family<Refused, BareCounter>> = LazyLock::new(|| {
    bare_counters("workload_deletion_protection", "Deletions of workloads that deletion protection refused")
});

/// What the rule reads of a workload. The rest may be as deep as it likes: it must be possible to get rid of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Workload<'a> {
    #[serde(borrow, deserialize_with = "or_default")]
    metadata: Metadata<'a>,
}

/// Read only where it decides: what is not protected must not be kept by what else is wrong with it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sized {
    #[serde(deserialize_with = "or_default")]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    labels: Pairs<'a>,
    #[serde(borrow)]
    deletion_timestamp: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    replicas: Option<i64>,
}

/// Why a workload must not be deleted, if so. The texts are those that clients match on (DP-50).
///
/// # Errors
/// What decides can't be read.
fn reason(old: &Object) -> Result<Option<String>, Refusal> {
    let Members(Workload { metadata }) = old.view()?;
    // A terminating object must not be held (DP-2, DP-E3).
    if !metadata.deletion_timestamp.is_empty() {
        return Ok(None);
    }
    let Some(label) = metadata.labels.get(api::keys::DELETE_PROTECTION_LABEL) else { return Ok(None) };
    let prefix = format!("forbidden by ResourcesProtectionDeletion for {}={label}", api::keys::DELETE_PROTECTION_LABEL);
    Ok(match label {
        "Always" => Some(prefix),
        "Cascading" => {
            let Members(Sized { spec }) = old.view()?;
            let replicas = spec.replicas.filter(|replicas| *replicas > 0);
            replicas.map(|replicas| format!("{prefix} and replicas {replicas}>0"))
        }
        _ => None,
    })
}

/// Decides about the deletion of a workload, and counts and logs a refusal. A request without old object is allowed
/// (CS-110).
///
/// # Errors
/// The refusal: 403, or 400 where the stored object can't be read (DP-51).
pub fn check(request: &Request, gates: &Gates, log: &ProtectionLog) -> Result<(), Refusal> {
    let concerned = gates.is_on(Gate::ResourcesDeletionProtection) && request.sub_resource.is_empty();
    if !concerned || request.old_object.is_absent() {
        return Ok(());
    }
    let Request { kind, namespace, name, username, .. } = request;
    let reason = reason(&request.old_object).map_err(|err| err.decoding(&format!("stored {}", kind.kind)))?;
    let Some(message) = reason else { return Ok(()) };
    REFUSED
        .get_or_create(&Refused {
            kind_namespace_name: format!("{}_{namespace}_{name}", kind.kind),
            username: username.clone(),
        })
        .inc();
    log.note(&Entry { event: "DeletionProtection", kind: &kind.kind, namespace, name, user_agent: username });
    Err(Refusal::forbidden("deletion-protection", message))
}

/// One line of the log, members in the documented order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    event: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    user_agent: &'a str,
}

/// Where refused deletions are noted, one JSON object a line (PL-90).
pub struct ProtectionLog(Mutex<Box<dyn Write + Send>>);

impl ProtectionLog {
    /// Opens the log in a folder, which is made if absent.
    ///
    /// # Errors
    /// Fails where folder or file can't be made; the process warns and goes on without (IN-89).
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        OpenOptions::new().create(true).append(true).open(folder.join(LOG_FILE)).map(Self::to)
    }

    /// Notes them there.
    #[must_use]
    pub fn to(log: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(log)))
    }

    fn note(&self, entry: &Entry<'_>) {
        let line = serde_json::to_string(entry).unwrap_or_default() + "\n";
        // One write per line: lines of several requests never mix.
        if let Err(err) = self.0.lock().write_all(line.as_bytes()) {
            error!(%err, kind = entry.kind, namespace = entry.namespace, name = entry.name, "write protection log");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Kind, Operation};
    use super::*;

    fn old(label: &str, replicas: Value) -> Value {
        json!({
            "metadata": { "labels": { "policy.kruise.io/delete-protection": label } },
            "spec": { "replicas": replicas },
        })
    }

    fn deletion(old: Value) -> Request {
        Request {
            kind: Kind { kind: "CloneSet".into(), ..Kind::default() },
            operation: Operation::Delete,
            name: "web".into(),
            old_object: old.into(),
            ..crate::testing::request()
        }
    }

    /// The text of the refusal.
    fn refused(request: &Request, gate: bool) -> Option<String> {
        let gates = Gates::parse(&format!("ResourcesDeletionProtection={gate}"), None).unwrap();
        check(request, &gates, &ProtectionLog::to(std::io::sink())).err().map(|refusal| {
            assert_eq!((refusal.code, refusal.rule), (403, "deletion-protection"));
            refusal.message
        })
    }

    #[test] // CS-110, DP-5, DP-50
    fn the_label_decides_with_the_wanted_replicas() {
        let prefix = "forbidden by ResourcesProtectionDeletion for policy.kruise.io/delete-protection=";
        for (label, replicas, want) in [
            ("Always", json!(0), Some("Always")),
            ("Always", Value::Null, Some("Always")),
            ("Cascading", json!(2), Some("Cascading and replicas 2>0")),
            ("Cascading", json!(0), None),
            ("Cascading", Value::Null, None),
            ("always", json!(3), None),
            ("", json!(3), None),
        ] {
            let want = want.map(|text| format!("{prefix}{text}"));
            assert_eq!(refused(&deletion(old(label, replicas.clone())), true), want, "{label} {replicas}");
        }
    }

    #[test] // DP-1, DP-2, DP-3
    fn nothing_is_refused_without_gate_or_for_a_terminating_object_or_a_subresource() {
        let always = old("Always", json!(1));
        assert_eq!(refused(&deletion(always.clone()), false), None);
        let scale = Request { sub_resource: "scale".into(), ..deletion(always.clone()) };
        assert_eq!(refused(&scale, true), None);
        let mut terminating = always;
        terminating["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z".into();
        assert_eq!(refused(&deletion(terminating), true), None);
        assert_eq!(refused(&deletion(Value::Null), true), None);
    }

    #[test] // PL-90, CS-110
    fn a_refusal_is_logged_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let log = ProtectionLog::open(&folder.path().join("log")).unwrap();
        let gates = Gates::parse("ResourcesDeletionProtection=true", None).unwrap();
        let request = Request { name: "counted".into(), ..deletion(old("Always", json!(1))) };
        for _ in 0..2 {
            assert_eq!(check(&request, &gates, &log).unwrap_err().code, 403);
        }
        let line = r#"{"Event":"DeletionProtection","Kind":"CloneSet","Namespace":"shop","Name":"counted","UserAgent":"jane"}"#;
        let text = std::fs::read_to_string(folder.path().join("log/protection.log")).unwrap();
        assert_eq!(text, format!("{line}\n{line}\n"));
        let metrics = runtime::metrics::encode().unwrap();
        let sample = r#"workload_deletion_protection{kind_namespace_name="CloneSet_shop_counted",username="jane"} 2"#;
        assert!(metrics.contains(sample), "{metrics}");
    }

    #[test] // DP-3, DP-51
    fn a_size_that_can_not_be_read_matters_only_where_it_decides() {
        let gates = Gates::parse("ResourcesDeletionProtection=true", None).unwrap();
        for (label, code) in [("Always", Some(403)), ("Cascading", Some(400)), ("Never", None)] {
            let mut odd = old(label, json!(1));
            odd["spec"] = json!(1.5);
            let refusal = check(&deletion(odd), &gates, &ProtectionLog::to(std::io::sink())).err();
            assert_eq!(refusal.map(|refusal| refusal.code), code, "{label}");
        }
    }

    #[test] // DP-51
    fn an_old_object_that_is_none_is_unreadable() {
        let gates = Gates::parse("ResourcesDeletionProtection=true", None).unwrap();
        for old in [json!("x"), json!({ "metadata": [] }), json!({ "metadata": { "labels": { "a": 1 } } })] {
            let refusal = check(&deletion(old), &gates, &ProtectionLog::to(std::io::sink())).unwrap_err();
            assert_eq!((refusal.code, refusal.rule), (400, "decode"));
            assert!(refusal.message.starts_with("decode stored CloneSet: "), "{}", refusal.message);
        }
    }
}

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
use serde::Serialize;
use serde_json::Value;
use tracing::error;

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

/// Why a workload must not be deleted, if so. The texts are those that clients match on (DP-50).
pub fn refusal(old: &Value, sub_resource: &str, gates: &Gates) -> Option<String> {
    let text = |pointer: &str| old.pointer(pointer).and_then(Value::as_str);
    // A terminating object must not be held (DP-2, DP-E3); a request without old object is allowed (CS-110).
    if !gates.is_on(Gate::ResourcesDeletionProtection)
        || !sub_resource.is_empty()
        || text("/metadata/deletionTimestamp").is_some()
    {
        return None;
    }
    let label = old.get("metadata")?.get("labels")?.get(api::keys::DELETE_PROTECTION_LABEL)?.as_str()?;
    let prefix = format!("forbidden by ResourcesProtectionDeletion for {}={label}", api::keys::DELETE_PROTECTION_LABEL);
    match label {
        "Always" => Some(prefix),
        "Cascading" => match old.pointer("/spec/replicas").and_then(Value::as_i64) {
            Some(replicas) if replicas > 0 => Some(format!("{prefix} and replicas {replicas}>0")),
            _ => None,
        },
        _ => None,
    }
}

/// Decides about the deletion of a workload, and counts and logs a refusal.
///
/// # Errors
/// The refusal: 403, or 400 where the stored object can't be read (DP-51).
pub fn check(request: &Request, gates: &Gates, log: &ProtectionLog) -> Result<(), Refusal> {
    if !request.old_object.is_null() && !request.old_object.is_object() {
        return Err(Refusal::unreadable("the old object is not an object"));
    }
    let Some(message) = refusal(&request.old_object, &request.sub_resource, gates) else { return Ok(()) };
    let Request { kind, namespace, name, username, .. } = request;
    REFUSED
        .get_or_create(&Refused {
            kind_namespace_name: format!("{}_{namespace}_{name}", kind.kind),
            username: username.clone(),
        })
        .inc();
    log.note(&Entry { event: "DeletionProtection", kind: &kind.kind, namespace, name, user_agent: username });
    Err(Refusal::forbidden(message))
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
    /// Fails where folder or file can't be made: the process must not start then (platform page, section 2, step 8).
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
    use serde_json::json;

    use super::super::{Kind, Operation, Resource};
    use super::*;

    fn gates(on: bool) -> Gates {
        Gates::parse(&format!("ResourcesDeletionProtection={on}"), None).unwrap()
    }

    fn old(label: &str, replicas: Value) -> Value {
        json!({
            "metadata": { "labels": { "policy.kruise.io/delete-protection": label } },
            "spec": { "replicas": replicas },
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
            assert_eq!(refusal(&old(label, replicas.clone()), "", &gates(true)), want, "{label} {replicas}");
        }
    }

    #[test] // DP-1, DP-2, DP-3
    fn nothing_is_refused_without_gate_or_for_a_terminating_object_or_a_subresource() {
        let always = old("Always", json!(1));
        assert_eq!(refusal(&always, "", &gates(false)), None);
        assert_eq!(refusal(&always, "scale", &gates(true)), None);
        let mut terminating = always;
        terminating["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z".into();
        assert_eq!(refusal(&terminating, "", &gates(true)), None);
        assert_eq!(refusal(&Value::Null, "", &gates(true)), None);
    }

    #[test] // PL-90, CS-110
    fn a_refusal_is_logged_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let log = ProtectionLog::open(&folder.path().join("log")).unwrap();
        let request = Request {
            uid: "u".into(),
            kind: Kind { kind: "CloneSet".into(), ..Kind::default() },
            resource: Resource::default(),
            sub_resource: String::new(),
            name: "web".into(),
            namespace: "shop".into(),
            operation: Operation::Delete,
            username: "jane".into(),
            object: Value::Null,
            old_object: old("Always", json!(1)),
            deadline: tokio::time::Instant::now(),
        };
        for _ in 0..2 {
            assert_eq!(check(&request, &gates(true), &log).unwrap_err().code, 403);
        }
        let line =
            r#"{"Event":"DeletionProtection","Kind":"CloneSet","Namespace":"shop","Name":"web","UserAgent":"jane"}"#;
        let text = std::fs::read_to_string(folder.path().join("log/protection.log")).unwrap();
        assert_eq!(text, format!("{line}\n{line}\n"));
        let metrics = runtime::metrics::encode().unwrap();
        let sample = r#"workload_deletion_protection{kind_namespace_name="CloneSet_shop_web",username="jane"} 2"#;
        assert!(metrics.contains(sample), "{metrics}");
    }

    #[test] // DP-51
    fn an_old_object_that_is_none_is_unreadable() {
        let folder = tempfile::tempdir().unwrap();
        let log = ProtectionLog::open(folder.path()).unwrap();
        let request = Request {
            uid: "u".into(),
            kind: Kind::default(),
            resource: Resource::default(),
            sub_resource: String::new(),
            name: "web".into(),
            namespace: "shop".into(),
            operation: Operation::Delete,
            username: String::new(),
            object: Value::Null,
            old_object: json!("x"),
            deadline: tokio::time::Instant::now(),
        };
        assert_eq!(check(&request, &gates(true), &log).unwrap_err().code, 400);
    }
}

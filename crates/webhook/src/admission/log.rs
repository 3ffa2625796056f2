//! One line a verdict. Who asked for what is enough to find the request in the API server's audit log; the rule is
//! enough to find it here.
//!
//! What others wrote is bounded in length. That it ends no line is the log's own promise.

use std::borrow::Cow;

use serde::Deserialize;
use tracing::{debug, info};

use super::bounded::{Bounded, SENTENCE, WORD};
use super::form::{Members, Text, members};
use super::{Operation, Request, Verdict};

/// Logs what became of a request at a path: refusals always, the rest for who looks closer.
pub fn verdict(path: &str, request: &Request, verdict: &Verdict) {
    let Request { kind, operation, username, uid, .. } = request;
    let (operation, kind) = (word_of(*operation), word(&kind.kind));
    let (user, uid) = (word(username), word(uid));
    let (kind, user, uid) = (&*kind, &*user, &*uid);
    match verdict {
        Verdict::Refuse(refusal) => {
            let reason = cut(&refusal.message, SENTENCE);
            let (object, rule, code, reason) = (object(request), refusal.rule, refusal.code, &*reason);
            info!(path, user, operation, kind, object, rule, code, reason, uid, "refuse");
        }
        Verdict::Change(patch) => {
            debug!(path, user, operation, kind, object = object(request), operations = patch.0.len(), uid, "change");
        }
        Verdict::Allow => debug!(path, user, operation, kind, object = object(request), uid, "allow"),
    }
}

fn word_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Delete => "delete",
        Operation::Connect => "connect",
    }
}

/// `namespace/name`; `namespace/prefix*` where the server will make the name, as it does for Pods of workloads.
fn object(request: &Request) -> String {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, deserialize_with = "members")]
        metadata: Metadata<'a>,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Metadata<'a> {
        #[serde(borrow)]
        name: Text<'a>,
        #[serde(borrow)]
        generate_name: Text<'a>,
    }

    let namespace = word(&request.namespace);
    let name = if request.name.is_empty() {
        match request.object.view::<Members<Named<'_>>>() {
            Ok(Members(Named { metadata })) if metadata.name.is_empty() => {
                format!("{}*", word(&metadata.generate_name))
            }
            Ok(Members(Named { metadata })) => word(&metadata.name).into_owned(),
            // What can't be read has no name; that is why it was refused.
            Err(_) => String::new(),
        }
    } else {
        word(&request.name).into_owned()
    };
    if namespace.is_empty() { name } else { format!("{namespace}/{name}") }
}

fn word(text: &str) -> Cow<'_, str> {
    cut(text, WORD)
}

fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit { Cow::Borrowed(text) } else { Cow::Owned(Bounded::new(text, limit).to_string()) }
}

#[cfg(test)]
mod tests {
    use runtime::telemetry::captured::Captured;
    use serde_json::{Value, json};

    use super::super::review::Question;
    use super::super::{Refusal, decide};
    use crate::server::paths::Admission;
    use crate::testing::{desk, request};

    use super::*;

    /// What a review leaves in the log of an installation.
    async fn lines(endpoint: Admission, asked: Value) -> Vec<String> {
        let log = Captured::start();
        let mut asked = asked;
        asked["uid"] = "u-1".into();
        asked["namespace"] = "shop".into();
        asked["userInfo"] = json!({ "username": "jane" });
        let body = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked });
        let question = Question::read(body.to_string().as_bytes(), request().deadline).unwrap();
        let desk = desk("ResourcesDeletionProtection=true");
        verdict("/path", &question.request, &decide(endpoint, &question.request, &desk).await);
        log.lines()
    }

    fn clone_set(asked: Value) -> Value {
        let mut all = json!({
            "kind": { "group": "apps.kruise.io", "version": "v1beta1", "kind": "CloneSet" },
            "resource": { "group": "apps.kruise.io", "version": "v1beta1", "resource": "clonesets" },
            "name": "web",
        });
        json_patch::merge(&mut all, &asked);
        all
    }

    fn pod(object: Value) -> Value {
        json!({
            "operation": "CREATE", "kind": { "version": "v1", "kind": "Pod" },
            "resource": { "version": "v1", "resource": "pods" }, "object": object,
        })
    }

    #[tokio::test] // PL-54
    async fn an_invalid_clone_set_leaves_one_line() {
        let object = json!({ "metadata": { "name": "web" }, "spec": {
            "selector": { "matchLabels": { "app": "web" } }, "replicas": -1, "template": {
            "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "main", "image": "web:1" }] },
        }}});
        let asked = clone_set(json!({ "operation": "CREATE", "object": object }));
        let lines = lines(Admission::ValidateCloneSet, asked).await;
        let [line] = lines.as_slice() else { panic!("{lines:#?}") };
        let begin = "INFO refuse path=/path user=jane operation=create kind=CloneSet object=shop/web rule=validation \
                     code=422 reason=\"CloneSet.apps.kruise.io \\\"web\\\" is invalid: ";
        assert!(line.starts_with(begin) && line.ends_with(" uid=u-1"), "{line}");
        assert!(line.contains("spec.replicas: Invalid value: -1"), "{line}");
    }

    #[tokio::test] // DP-50
    async fn a_protected_workload_leaves_one_line() {
        let old = json!({ "metadata": { "labels": { "policy.kruise.io/delete-protection": "Always" } } });
        let asked = clone_set(json!({ "operation": "DELETE", "oldObject": old }));
        assert_eq!(
            lines(Admission::ValidateCloneSet, asked).await,
            ["INFO refuse path=/path user=jane operation=delete kind=CloneSet object=shop/web \
              rule=deletion-protection code=403 reason=\"forbidden by ResourcesProtectionDeletion for \
              policy.kruise.io/delete-protection=Always\" uid=u-1"]
        );
    }

    #[tokio::test] // PW-4
    async fn a_pod_that_can_not_be_read_leaves_one_line_with_the_beginning_of_its_name() {
        let asked = pod(json!({ "metadata": { "generateName": "web-" }, "spec": [] }));
        let lines = lines(Admission::MutatePod, asked).await;
        let [line] = lines.as_slice() else { panic!("{lines:#?}") };
        let begin = "INFO refuse path=/path user=jane operation=create kind=Pod object=shop/web-* rule=decode \
                     code=400 reason=\"decode Pod: invalid type: sequence, expected an object at line 1 column ";
        assert!(line.starts_with(begin) && line.ends_with(" uid=u-1"), "{line}");
    }

    #[tokio::test]
    async fn what_is_allowed_or_changed_leaves_none() {
        let owner = json!({ "apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "controller": true });
        for owners in [json!([]), json!([owner])] {
            let asked = pod(json!({ "metadata": { "name": "web-a", "ownerReferences": owners }, "spec": {} }));
            assert_eq!(lines(Admission::MutatePod, asked).await, Vec::<String>::new());
        }
    }

    #[test]
    fn what_others_wrote_neither_ends_a_line_nor_fills_the_log() {
        for evil in ["[x\nINFO refuse nobody", "x\r\u{1b}[2Jy", "a\" user=admin", &"x".repeat(1 << 20)] {
            let log = Captured::start();
            let asked = Request {
                uid: evil.into(),
                username: evil.into(),
                namespace: evil.into(),
                object: json!({ "metadata": { "generateName": evil } }).into(),
                kind: super::super::Kind { kind: evil.into(), ..super::super::Kind::default() },
                ..request()
            };
            verdict("/path", &asked, &Verdict::Refuse(Refusal::forbidden("rule", evil)));
            let lines = log.lines();
            assert_eq!(lines.len(), 1, "{lines:#?}");
            assert!(lines[0].len() < 4096 && !lines[0].contains(char::is_control), "{lines:#?}");
            assert!(lines[0].starts_with("INFO refuse path=/path user="), "{lines:#?}");
            assert_eq!(
                lines[0].matches(" user=").count(),
                1 + lines[0].matches("\\\" user=admin").count(),
                "{lines:#?}"
            );
        }
    }
}

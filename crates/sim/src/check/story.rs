//! Small hand-built sequences of writes for the tests of the rules: one CloneSet `web` with Pods `web-a`, `web-b` ...

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::picture::{CLONESETS, PODS, REVISIONS};
use super::{Checker, GRACE};
use crate::server::call::{PatchFormat, Verb, Written};

pub(super) const MANAGER: &str = "kruise-manager-0";
pub(super) const USER: &str = "user";
const KUBELET: &str = "kubelet";

/// Writes so far, and who judges them.
pub(super) struct Story {
    checker: Checker,
    objects: BTreeMap<(String, String), Arc<Value>>,
    version: u64,
    at: Timestamp,
}

/// A user made a CloneSet with this spec, the manager its first revision (image `app:1`); all of it is old news.
pub(super) fn cloneset(spec: Value) -> Story {
    judged(GRACE, spec)
}

/// The same, judged with another grace.
pub(super) fn judged(grace: SignedDuration, spec: Value) -> Story {
    let mut story = Story {
        checker: Checker::new(|caller| caller.starts_with("kruise-manager")).with_grace(grace),
        objects: BTreeMap::new(),
        version: 0,
        at: Timestamp::from_second(1_000_000).unwrap(),
    };
    let mut whole = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template("app:1"),
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"podUpdatePolicy": "InPlaceIfPossible"}}});
    json_patch::merge(&mut whole, &spec);
    let object = json!({"metadata": {"name": "web", "namespace": "sim", "uid": "set", "generation": 1}, "spec": whole,
        "status": {"currentRevision": "web-r1"}});
    story.create(USER, CLONESETS, "web", object);
    story.revision(1, "app:1");
    story.news();
    story
}

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image}]}})
}

/// A controller reference to the CloneSet.
pub(super) fn owner() -> Value {
    json!([{"uid": "set", "kind": "CloneSet", "name": "web", "controller": true}])
}

/// A condition that began now.
fn condition(kind: &str, status: bool, at: Timestamp) -> Value {
    let status = if status { "True" } else { "False" };
    json!({"type": kind, "status": status, "lastTransitionTime": at.to_string()})
}

impl Story {
    pub(super) fn write(&mut self, who: &str, verb: Verb, resource: &str, name: &str, after: Option<Value>) {
        let key = (resource.to_owned(), name.to_owned());
        let before = self.objects.get(&key).cloned();
        let after = after.map(Arc::new);
        if before != after {
            self.version += 1;
        }
        match &after {
            Some(after) => self.objects.insert(key, Arc::clone(after)),
            None => self.objects.remove(&key),
        };
        self.checker.saw(&Written {
            at: self.at,
            caller: who.to_owned(),
            verb,
            resource: resource.to_owned(),
            subresource: String::new(),
            namespace: "sim".to_owned(),
            name: name.to_owned(),
            version: self.version,
            before,
            after,
        });
    }

    pub(super) fn create(&mut self, who: &str, resource: &str, name: &str, object: Value) {
        self.write(who, Verb::Create, resource, name, Some(object));
    }

    pub(super) fn patch(&mut self, who: &str, resource: &str, name: &str, patch: Value) {
        let mut object = self.object(resource, name);
        json_patch::merge(&mut object, &patch);
        self.write(who, Verb::Patch(PatchFormat::Merge), resource, name, Some(object));
    }

    pub(super) fn object(&self, resource: &str, name: &str) -> Value {
        (*self.objects[&(resource.to_owned(), name.to_owned())]).clone()
    }

    /// The user changes the CloneSet.
    pub(super) fn set(&mut self, spec: Value) {
        self.patch(USER, CLONESETS, "web", json!({"spec": spec}));
    }

    /// The user changes `rollingUpdate`.
    pub(super) fn rolling(&mut self, rolling: Value) {
        self.set(json!({"updateStrategy": {"rollingUpdate": rolling}}));
    }

    pub(super) fn revision_object(number: i64, image: &str) -> Value {
        json!({"metadata": {"name": format!("web-r{number}"), "namespace": "sim", "ownerReferences": owner()},
            "revision": number, "data": {"spec": {"template": template(image)}}})
    }

    /// The manager stores a revision.
    pub(super) fn revision(&mut self, number: i64, image: &str) {
        self.create(MANAGER, REVISIONS, &format!("web-r{number}"), Self::revision_object(number, image));
    }

    /// The user wants another image; the manager has stored the revision; both are old news.
    pub(super) fn new_image(&mut self, number: i64, image: &str) {
        self.set(json!({"template": template(image)}));
        self.revision(number, image);
        self.news();
    }

    /// A Pod as the manager creates it.
    pub(super) fn new_pod(id: char, revision: i64) -> Value {
        let labels = json!({"app": "web", "controller-revision-hash": format!("web-r{revision}"),
            "apps.kruise.io/cloneset-instance-id": id, "lifecycle.apps.kruise.io/state": "PreparingNormal"});
        json!({"metadata": {"name": format!("web-{id}"), "namespace": "sim", "uid": format!("uid-{id}"),
                "labels": labels, "ownerReferences": owner()},
            "spec": {"containers": [{"name": "main", "image": format!("app:{revision}")}],
                "readinessGates": [{"conditionType": "InPlaceUpdateReady"}]}})
    }

    pub(super) fn creates(&mut self, ids: &str, revision: i64) {
        for id in ids.chars() {
            self.create(MANAGER, PODS, &format!("web-{id}"), Self::new_pod(id, revision));
        }
    }

    /// The kubelet reports Pods ready.
    pub(super) fn ready(&mut self, ids: &str) {
        self.report(ids, true);
    }

    /// Their containers are down.
    pub(super) fn crash(&mut self, ids: &str) {
        self.report(ids, false);
    }

    fn report(&mut self, ids: &str, ready: bool) {
        for id in ids.chars() {
            let conditions =
                json!([condition("Ready", ready, self.at), condition("InPlaceUpdateReady", true, self.at)]);
            let patch = json!({"metadata": {"labels": {"lifecycle.apps.kruise.io/state": "Normal"}},
                "status": {"phase": "Running", "conditions": conditions}});
            self.patch(KUBELET, PODS, &format!("web-{id}"), patch);
        }
    }

    /// Pods of a revision, ready, and old news.
    pub(super) fn runs(&mut self, ids: &str, revision: i64) {
        self.creates(ids, revision);
        self.ready(ids);
        self.news();
    }

    /// The manager marks Pods not ready for an update.
    pub(super) fn marks(&mut self, ids: &str) {
        for id in ids.chars() {
            let conditions =
                json!([condition("Ready", false, self.at), condition("InPlaceUpdateReady", false, self.at)]);
            self.patch(MANAGER, PODS, &format!("web-{id}"), json!({"status": {"conditions": conditions}}));
        }
    }

    /// The manager gives Pods another revision and its image.
    pub(super) fn switches(&mut self, ids: &str, revision: i64) {
        for id in ids.chars() {
            let patch = json!({"metadata": {"labels": {"controller-revision-hash": format!("web-r{revision}"),
                "lifecycle.apps.kruise.io/state": "Updating"}}});
            let mut object = self.object(PODS, &format!("web-{id}"));
            json_patch::merge(&mut object, &patch);
            object["spec"]["containers"][0]["image"] = json!(format!("app:{revision}"));
            self.write(MANAGER, Verb::Update, PODS, &format!("web-{id}"), Some(object));
        }
    }

    pub(super) fn updates(&mut self, ids: &str, revision: i64) {
        for id in ids.chars() {
            self.marks(&id.to_string());
            self.switches(&id.to_string(), revision);
        }
    }

    pub(super) fn deletes(&mut self, who: &str, ids: &str) {
        for id in ids.chars() {
            self.write(who, Verb::Delete, PODS, &format!("web-{id}"), None);
        }
    }

    /// Pods get the label of specified-delete.
    pub(super) fn specifies(&mut self, who: &str, ids: &str) {
        for id in ids.chars() {
            let patch = json!({"metadata": {"labels": {"apps.kruise.io/specified-delete": "true"}}});
            self.patch(who, PODS, &format!("web-{id}"), patch);
        }
    }

    /// The manager's caches are shown everything.
    pub(super) fn shown(&mut self) {
        for resource in [CLONESETS, PODS, REVISIONS] {
            self.checker.shown(self.at, MANAGER, resource, self.version);
        }
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.at = self.at.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// Everything was shown, and more than a grace ago.
    pub(super) fn news(&mut self) {
        self.shown();
        self.wait(60);
    }

    #[track_caller]
    pub(super) fn keeps(&self) {
        let first = self.checker.violations().first();
        assert!(first.is_none(), "{}", first.map(ToString::to_string).unwrap_or_default());
    }

    #[track_caller]
    pub(super) fn breaks(&self, rule: &str, part: &str) {
        let first = self.checker.violations().first().expect("nothing was found");
        assert!(first.rule == rule && first.text.contains(part), "{first}");
    }

    pub(super) fn unsettled(&self) -> String {
        self.checker.unsettled().unwrap_or_default()
    }
}

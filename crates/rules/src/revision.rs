//! ControllerRevisions: what they hold, how they are named, which one a workload should move to (RV-1..9).
//!
//! Decides only; reading and writing them is the workload's controller.

use std::cmp::Ordering;

use api::k8s::{ControllerRevision, OwnerReference};
use serde_json::{Map, Value, json};

use crate::{
    hash,
    json::canonical,
    template::{canonical_template, known_to_1_32, same_meaning},
};

/// Longest part of the workload's name in the name of a revision, in bytes (RV-3).
const NAME_LIMIT: usize = 223;
/// Marks revisions that keep template members newer than Kubernetes 1.32; those of OpenKruise 1.9 lack them (ruling 17).
const KEEPS_UNKNOWN_ANNOTATION: &str = "kruise.io/revision-keeps-unknown-fields";

/// The data document of a template (RV-1).
#[must_use]
pub fn data(template: &Value) -> Value {
    let mut inner = Map::from_iter([("$patch".to_owned(), json!("replace"))]);
    if let Value::Object(members) = canonical_template(template) {
        inner.extend(members);
    }
    json!({"spec": {"template": inner}})
}

/// The template that a revision holds, `None` where its data is of another form.
#[must_use]
pub fn template_of(revision: &ControllerRevision) -> Option<Value> {
    let mut template = revision.data.pointer("/spec/template")?.as_object()?.clone();
    template.remove("$patch");
    Some(Value::Object(template))
}

/// Everything a new revision is made of.
#[derive(Clone, Debug)]
pub struct NewRevision<'a> {
    /// Name of the workload.
    pub owner_name: &'a str,
    /// Namespace of the workload.
    pub namespace: &'a str,
    /// Controller reference to the workload.
    pub owner: OwnerReference,
    /// The live template.
    pub template: &'a Value,
    /// Annotations to carry (RV-6).
    pub annotations: Map<String, Value>,
    /// Number in the order of revisions.
    pub number: i64,
    /// Name collisions so far (RV-3).
    pub collisions: i32,
}

/// The ControllerRevision object to create (RV-3, RV-6).
#[must_use]
pub fn object(new: &NewRevision<'_>) -> Value {
    let data = data(new.template);
    let hash = hash::revision(&canonical(&data), new.collisions);
    let mut labels = new.template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    labels.insert(api::keys::REVISION_HASH_LABEL.to_owned(), json!(hash));
    let mut annotations = new.annotations.clone();
    annotations.insert(KEEPS_UNKNOWN_ANNOTATION.to_owned(), json!("true"));
    json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name(new.owner_name, &hash),
            "namespace": new.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [new.owner],
        },
        "data": data,
        "revision": new.number,
    })
}

/// Name of a revision: the workload's name, cut, and the hash (RV-3).
#[must_use]
pub fn name(owner: &str, hash: &str) -> String {
    let cut = (0..=owner.len().min(NAME_LIMIT)).rev().find(|at| owner.is_char_boundary(*at)).unwrap_or(0);
    format!("{}-{hash}", owner.get(..cut).unwrap_or(owner))
}

/// The hash part of a revision's name: the text after the last `-` (RV-7, RV-8).
#[must_use]
pub fn hash_part(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(_, hash)| hash)
}

/// Whether a Pod's `controller-revision-hash` names a revision; long and short forms may be mixed (RV-8).
#[must_use]
pub fn label_names(label: Option<&str>, revision: &str) -> bool {
    label.is_some_and(|label| label == revision || hash_part(label) == hash_part(revision))
}

/// Whether a stored revision holds this template (RV-2, rulings 12 and 17).
#[must_use]
pub fn holds(revision: &ControllerRevision, template: &Value) -> bool {
    let Some(stored) = template_of(revision) else { return false };
    if same_meaning(&stored, &canonical_template(template)) {
        return true;
    }
    !keeps_unknown(revision) && same_meaning(&stored, &canonical_template(&known_to_1_32(template)))
}

fn keeps_unknown(revision: &ControllerRevision) -> bool {
    revision.metadata.annotations.contains_key(KEEPS_UNKNOWN_ANNOTATION)
}

/// Order of the revisions of one workload (RV-4).
#[must_use]
pub fn order(left: &ControllerRevision, right: &ControllerRevision) -> Ordering {
    let key = |of: &ControllerRevision| (of.revision, of.metadata.creation_timestamp, of.metadata.name.clone());
    key(left).cmp(&key(right))
}

/// Which revision the newest template asks for (RV-5).
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// The last one holds it: use it as it is.
    Last(usize),
    /// An older one holds it: give it this number and use it.
    Renumber {
        /// Position in the ordered list.
        at: usize,
        /// Its new number.
        number: i64,
    },
    /// None holds it: create one with this number.
    Create {
        /// Number of the new revision.
        number: i64,
    },
}

/// Chooses among revisions in [`order`] (RV-5).
#[must_use]
pub fn choose<R: std::borrow::Borrow<ControllerRevision>>(ordered: &[R], template: &Value) -> Choice {
    let number = ordered.last().map_or(1, |last| last.borrow().revision.saturating_add(1));
    match ordered.iter().rposition(|revision| holds(revision.borrow(), template)) {
        Some(at) if at + 1 == ordered.len() => Choice::Last(at),
        Some(at) => Choice::Renumber { at, number },
        None => Choice::Create { number },
    }
}

#[cfg(test)]
mod tests {
    use api::k8s::ControllerRevision;
    use serde_json::{Value, json};

    use super::{Choice, choose, data, hash_part, holds, label_names, name, template_of};

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": image}]}})
    }

    fn stored(name: &str, number: i64, template: &Value) -> ControllerRevision {
        serde_json::from_value(json!({
            "metadata": {"name": name, "annotations": {super::KEEPS_UNKNOWN_ANNOTATION: "true"}},
            "data": data(template), "revision": number,
        }))
        .unwrap()
    }

    #[test] // RV-5
    fn the_last_equal_revision_is_used_as_it_is() {
        let revisions = [stored("a", 1, &template("x:1")), stored("b", 2, &template("x:2"))];
        assert_eq!(choose(&revisions, &template("x:2")), Choice::Last(1));
    }

    #[test] // RV-5
    fn an_older_equal_revision_gets_the_next_number() {
        let revisions = [stored("a", 1, &template("x:1")), stored("b", 2, &template("x:2"))];
        assert_eq!(choose(&revisions, &template("x:1")), Choice::Renumber { at: 0, number: 3 });
    }

    #[test] // RV-4, RV-5
    fn a_new_template_gets_the_next_number() {
        let none: [ControllerRevision; 0] = [];
        assert_eq!(choose(&none, &template("x:1")), Choice::Create { number: 1 });
        assert_eq!(choose(&[stored("a", 7, &template("x:1"))], &template("x:2")), Choice::Create { number: 8 });
    }

    #[test] // RV-1
    fn the_template_comes_back_out_of_the_data() {
        let revision = stored("a", 1, &template("x:1"));
        let back = template_of(&revision).unwrap();
        assert_eq!(back["spec"]["containers"][0]["image"], json!("x:1"));
        assert!(back.get("$patch").is_none());
    }

    #[test] // ruling 17
    fn only_revisions_of_1_9_may_lack_newer_members() {
        let mut newer = template("x:1");
        newer["spec"]["fancy"] = json!(true);
        let ours = stored("a", 1, &template("x:1"));
        let mut theirs = ours.clone();
        theirs.metadata.annotations = Default::default();
        assert!(!holds(&ours, &newer), "a newer member added by the user is a new revision");
        assert!(holds(&theirs, &newer), "at take-over nothing may restart");
    }

    #[test] // RV-7, RV-8
    fn long_and_short_labels_name_the_same_revision() {
        assert_eq!(hash_part("my-web-7df87c59b"), "7df87c59b");
        for (label, same) in [("web-7df", true), ("7df", true), ("web-8df", false), ("other-7df", true)] {
            assert_eq!(label_names(Some(label), "web-7df"), same, "{label}");
        }
        assert!(!label_names(None, "web-7df"));
    }

    #[test] // RV-3
    fn long_names_are_cut() {
        assert_eq!(name(&"n".repeat(300), "h").len(), 223 + 2);
    }
}

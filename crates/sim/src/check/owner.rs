//! Whose objects our writes may touch, and how ownership is taken and given up (CS-1, CS-3, CS-13, CS-17).

use serde_json::Value;

use super::picture::{CLAIMS, CLONESETS, Life, PODS, Picture, REVISIONS, Set, Step};
use super::view::{controller, owners, selects, value};
use crate::server::call::{Verb, Written};

/// What is wrong with a write on a Pod, a claim or a ControllerRevision.
pub(super) fn check(picture: &Picture, written: &Written, step: &Step) -> Option<String> {
    let resource = written.resource.as_str();
    if ![PODS, CLAIMS, REVISIONS].contains(&resource) {
        return None;
    }
    if let Some(text) = foreign(picture, written) {
        return Some(text);
    }
    if let Some(text) = ended(picture, written, step) {
        return Some(text);
    }
    if resource == PODS { taken(picture, written).or_else(|| released(picture, written, step)) } else { None }
}

/// The object belongs to no CloneSet that ever was.
fn foreign(picture: &Picture, written: &Written) -> Option<String> {
    let object = written.before.as_ref().or(written.after.as_ref())?;
    // The readiness of every Pod with the gate is ours to begin (PR-5).
    if written.resource == PODS && written.subresource == "status" {
        return None;
    }
    match controller(object) {
        Some(uid) if picture.sets.contains_key(uid) || owned_by_pod(picture, written, uid) => None,
        Some(uid) => Some(format!("its controller {uid} is no CloneSet (CS-1, CS-13)")),
        // Revisions of nobody that match the selector are used and truncated (CS-14, CS-20).
        None if written.resource == REVISIONS => None,
        // Claims have an owner, not a controller (CS-67); a Pod's plain reference is made a controller's (CS-13).
        None if owners(object).any(|uid| picture.sets.contains_key(uid)) => None,
        // Released by others so lately that the cache may still show it as ours.
        None if was_ours_for_the_cache(picture, written) => None,
        None => Some("it belongs to no CloneSet; nothing is adopted (CS-13)".to_owned()),
    }
}

fn was_ours_for_the_cache(picture: &Picture, written: &Written) -> bool {
    let known = picture.knowledge.understood(written.at, &written.caller, PODS);
    let sets = picture.sets.values().filter(|set| set.namespace == written.namespace);
    let mut left = sets.flat_map(|set| &set.left);
    written.resource == PODS
        && left.any(|left| left.life.pod.name == written.name && !left.how.ours && left.how.version > known)
}

/// A claim that was handed over to an inactive Pod (CS-62).
fn owned_by_pod(picture: &Picture, written: &Written, uid: &str) -> bool {
    let pods = picture.pods.get(&written.namespace);
    let mut pods = pods.into_iter().flat_map(|pods| pods.values());
    written.resource == CLAIMS && pods.any(|life| value(&life.pod.object, "/metadata/uid").as_str() == Some(uid))
}

/// A CloneSet that is being deleted, or is gone, gets no Pods and loses none by us (CS-17).
fn ended(picture: &Picture, written: &Written, step: &Step) -> Option<String> {
    let created = written.before.is_none();
    let deleted = written.verb == Verb::Delete && written.resource == PODS;
    let moved = step.before.as_ref().is_some_and(|before| {
        picture.life(&written.namespace, &written.name).is_some_and(|after| after.pod.revision != before.pod.revision)
    });
    if !created && !deleted && !moved || (created && written.resource == REVISIONS) {
        return None;
    }
    let object = written.before.as_ref().or(written.after.as_ref())?;
    let set = owners(object).find_map(|uid| picture.sets.get(uid))?;
    let known = picture.knowledge.understood(written.at, &written.caller, CLONESETS);
    if let Some(gone) = set.gone.filter(|gone| *gone <= known) {
        return Some(format!(
            "CloneSet {} is gone since version {gone}, and the cache had shown that (CS-10)",
            set.name
        ));
    }
    set.asked_since(known).all(|spec| spec.terminating).then(|| {
        format!(
            "CloneSet {} is being deleted, and the cache had shown that: nothing is scaled or updated (CS-17)",
            set.name
        )
    })
}

/// CS-13: Pods without a reference are never adopted.
fn taken(picture: &Picture, written: &Written) -> Option<String> {
    let (before, after) = (written.before.as_ref()?, written.after.as_ref()?);
    let mut new = owners(after).filter(|uid| !owners(before).any(|had| had == *uid));
    let set = new.find_map(|uid| picture.sets.get(uid))?;
    Some(format!("adopts a Pod that had no reference to CloneSet {} (CS-13)", set.name))
}

/// CS-13: only Pods that do not match the selector are released, and none while the CloneSet is being deleted.
fn released(picture: &Picture, written: &Written, step: &Step) -> Option<String> {
    let (before, after) = (written.before.as_ref()?, written.after.as_ref()?);
    let uid = owners(before).find(|uid| picture.sets.contains_key(*uid) && !owners(after).any(|has| has == *uid))?;
    let set = picture.sets.get(uid)?;
    let life = step.before.as_ref()?;
    if matched_for_long(picture, written, set, life, before) {
        return Some(format!("releases a Pod that matches the selector of CloneSet {} (CS-13)", set.name));
    }
    let known = picture.knowledge.understood(written.at, &written.caller, CLONESETS);
    let ending = set.asked_since(known).all(|spec| spec.terminating);
    ending.then(|| format!("releases a Pod while CloneSet {} is being deleted (CS-13)", set.name))
}

fn matched_for_long(picture: &Picture, written: &Written, set: &Set, life: &Life, before: &Value) -> bool {
    let known = picture.knowledge.understood(written.at, &written.caller, PODS);
    selects(value(&set.object, "/spec/selector"), before) && life.set.is_some() && life.joined.0 <= known
}

#[cfg(test)]
mod tests {
    use super::super::picture::{CLONESETS, PODS, REVISIONS};
    use super::super::story::{MANAGER, Story, USER, cloneset, owner};
    use crate::server::call::Verb;
    use serde_json::{Value, json};

    fn alone() -> Story {
        let mut story = cloneset(json!({"replicas": 2}));
        story.runs("a", 1);
        let mut object = Story::new_pod('z', 1);
        object["metadata"]["ownerReferences"] = Value::Null;
        story.create(USER, PODS, "web-z", object);
        story.news();
        story
    }

    #[test] // CS-13
    fn pods_of_nobody_and_of_others_are_not_touched() {
        for (reference, part) in
            [(Value::Null, "nothing is adopted"), (json!([{"uid": "other", "controller": true}]), "no CloneSet")]
        {
            let mut story = alone();
            story.patch(USER, PODS, "web-z", json!({"metadata": {"ownerReferences": reference}}));
            story.patch(MANAGER, PODS, "web-z", json!({"metadata": {"labels": {"pod-template-hash": "x"}}}));
            story.breaks("owner", part);
        }
    }

    #[test] // CS-13
    fn a_pod_that_was_released_a_moment_ago_may_still_look_like_ours() {
        let mut story = alone();
        story.patch(USER, PODS, "web-a", json!({"metadata": {"ownerReferences": null}}));
        story.patch(MANAGER, PODS, "web-a", json!({"metadata": {"labels": {"pod-template-hash": "x"}}}));
        story.keeps();
        story.news();
        story.patch(MANAGER, PODS, "web-a", json!({"metadata": {"labels": {"pod-template-hash": "y"}}}));
        story.breaks("owner", "nothing is adopted");
    }

    #[test] // CS-13
    fn nothing_is_adopted() {
        let mut story = alone();
        story.patch(MANAGER, PODS, "web-z", json!({"metadata": {"ownerReferences": owner()}}));
        story.breaks("owner", "adopt");
    }

    #[test] // CS-13
    fn pods_that_match_no_more_are_released_and_no_others() {
        let mut story = alone();
        let release = json!({"metadata": {"ownerReferences": []}});
        story.patch(USER, PODS, "web-a", json!({"metadata": {"labels": {"app": "other"}}}));
        story.patch(MANAGER, PODS, "web-a", release.clone());
        story.keeps();
        story.runs("b", 1);
        story.patch(MANAGER, PODS, "web-b", release);
        story.breaks("owner", "releases a Pod that matches");
    }

    #[test] // CS-17
    fn a_cloneset_that_is_being_deleted_gets_no_pods() {
        let mut story = alone();
        story.patch(USER, CLONESETS, "web", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        story.creates("b", 1);
        story.keeps();
        story.news();
        story.creates("c", 1);
        story.breaks("owner", "being deleted");
    }

    #[test] // CS-10
    fn a_cloneset_that_is_gone_gets_no_pods() {
        let mut story = alone();
        story.write(USER, Verb::Delete, CLONESETS, "web", None);
        story.patch(MANAGER, REVISIONS, "web-r1", json!({"metadata": {"labels": {"a": "b"}}}));
        story.creates("b", 1);
        story.keeps();
        story.news();
        story.creates("c", 1);
        story.breaks("owner", "is gone since");
    }
}

//! Whether everything is as the specs want it once nothing happens any more.
//!
//! Ready Pods count as available whatever `minReadySeconds` is: histories must be given that time before they are asked.

use serde_json::Value;

use super::inplace::possible;
use super::picture::{Life, Picture, Set};
use super::pod::{INSTANCE, Pod, images, same_revision};
use super::spec::Spec;
use super::view::{controller, integer, label, list, map, owners, terminating, text, truth, value};

/// The first thing that is missing.
pub(super) fn unsettled(picture: &Picture) -> Option<String> {
    picture.sets.iter().find_map(|(uid, set)| {
        let spec = set.specs.back()?;
        let missing = if set.gone.is_some() {
            leftovers(picture, set, uid)
        } else if spec.terminating {
            Some("is still being deleted".to_owned())
        } else {
            let members: Vec<&Life> = picture.members(set).collect();
            let waiting = members.iter().any(|life| waits_for_hook(&life.pod, &set.object));
            let numbers = if waiting { None } else { pods(set, spec, &members) };
            numbers
                .or_else(|| template(set))
                .or_else(|| status(set, spec, &members))
                .or_else(|| claims(picture, set, uid, &members))
                .or_else(|| history(set, spec, &members))
        };
        missing.map(|missing| format!("CloneSet {}/{} {missing}", set.namespace, set.name))
    })
}

/// Pods of a CloneSet that is gone; those that were orphaned have lost their reference.
fn leftovers(picture: &Picture, set: &Set, uid: &str) -> Option<String> {
    let pods = picture.pods.get(&set.namespace)?;
    let (name, _) = pods.iter().find(|(_, life)| controller(&life.pod.object) == Some(uid))?;
    Some(format!("is gone, but its Pod {name} is there"))
}

/// CS-36, CS-38, CS-45: as many Pods as wanted, of the wanted revisions, all available.
fn pods(set: &Set, spec: &Spec, members: &[&Life]) -> Option<String> {
    if let Some(down) = members.iter().find(|life| !life.pod.up()) {
        let pod = &down.pod;
        return Some(format!(
            "has Pod {} that is not available: state {:?}, Ready {:?}, InPlaceUpdateReady {:?}, KruisePodReady {:?}",
            pod.name,
            pod.state,
            pod.condition("Ready"),
            pod.condition("InPlaceUpdateReady"),
            pod.condition("KruisePodReady"),
        ));
    }
    // With neither budget nor surge ready Pods are never deleted by name (CS-35, CS-37).
    let movable = spec.max_unavailable > 0 || spec.max_surge > 0;
    if let Some(left) = members.iter().find(|life| life.pod.specified || spec.pods_to_delete.contains(&life.pod.name)) {
        if movable {
            return Some(format!("has Pod {} that was to be deleted by name or label (CS-45)", left.pod.name));
        }
        return None;
    }
    let have = count(members.len());
    // A scale-up limit of 0 never lets one more be created (CS-43).
    if have != spec.replicas && !(have < spec.replicas && spec.scale_max_unavailable <= 0) {
        return Some(format!("has {have} Pods; replicas is {} (CS-36)", spec.replicas));
    }
    if !spec.pods_to_delete.is_empty() {
        return Some(format!("still names {:?} in podsToDelete (CS-19)", spec.pods_to_delete));
    }
    if spec.paused || spec.on_delete || !movable || have != spec.replicas {
        return None;
    }
    let (.., newest) = set.newest.back()?;
    let new = count(members.iter().filter(|life| life.pod.carries(newest)).count());
    let stuck = spec.policy == "InPlaceOnly"
        && members.iter().filter(|life| !life.pod.carries(newest)).any(|life| {
            let (from, to) = (set.revision(&life.pod.revision), set.revision(newest));
            from.zip(to).is_none_or(|(from, to)| !possible(from, to))
        });
    (new < spec.updatable() && !stuck).then(|| {
        format!(
            "has {new} Pods of its update revision {newest}; replicas {} - partition {} are wanted (CS-38)",
            spec.replicas, spec.partition
        )
    })
}

/// RV-5: the update revision is that of the template; compared by what matters most.
fn template(set: &Set) -> Option<String> {
    let Some((.., newest)) = set.newest.back() else { return Some("has no revision (RV-5)".to_owned()) };
    let revision = set.revisions.get(newest)?;
    let want = images(&set.object, "/spec/template/spec/containers");
    let have = images(&revision.object, "/data/spec/template/spec/containers");
    (!want.eq(have)).then(|| format!("has other images than its update revision {newest} (RV-5)"))
}

/// Section 3.1: the counters say what the Pods show.
fn status(set: &Set, spec: &Spec, members: &[&Life]) -> Option<String> {
    let object = &set.object;
    let update = text(object, "/status/updateRevision");
    let is_new = |life: &&&Life| same_revision(&life.pod.revision, update);
    let is_ready = |life: &&&Life| life.pod.ready_since.is_some();
    let is_up = |life: &&&Life| life.pod.up();
    let new = count(members.iter().filter(is_new).count());
    let rolling = !value(object, "/spec/updateStrategy/rollingUpdate").is_null();
    let expected = [
        ("replicas", count(members.len())),
        ("readyReplicas", count(members.iter().filter(is_ready).count())),
        ("availableReplicas", count(members.iter().filter(is_up).count())),
        ("updatedReplicas", new),
        ("updatedReadyReplicas", count(members.iter().filter(is_new).filter(is_ready).count())),
        ("updatedAvailableReplicas", count(members.iter().filter(is_new).filter(is_up).count())),
        ("expectedUpdatedReplicas", if rolling { spec.updatable() } else { spec.replicas }),
        ("observedGeneration", integer(object, "/metadata/generation").unwrap_or(0)),
    ];
    for (field, want) in expected {
        let have = integer(object, &format!("/status/{field}")).unwrap_or(0);
        if have != want {
            return Some(format!("has status.{field} {have}, but it is {want}"));
        }
    }
    let newest = set.newest.back().map_or("", |(.., newest)| newest.as_str());
    if update != newest {
        return Some(format!("has status.updateRevision {update:?}, but the newest revision is {newest} (RV-5)"));
    }
    let all_new = new == spec.replicas && count(members.len()) == spec.replicas;
    let current = &spec.current_revision;
    if current.is_empty() || (all_new && current != update) {
        return Some(format!("has status.currentRevision {current:?} with {new} Pods of {update} (CS-124)"));
    }
    None
}

/// CS-20: not more unused revisions than the limit.
fn history(set: &Set, spec: &Spec, members: &[&Life]) -> Option<String> {
    let limit = integer(&set.object, "/spec/revisionHistoryLimit").unwrap_or(10);
    let update = text(&set.object, "/status/updateRevision");
    let unused = set.revisions.keys().filter(|name| {
        *name != update && **name != spec.current_revision && !members.iter().any(|life| life.pod.carries(name))
    });
    let unused = count(unused.count());
    (unused > limit.max(0)).then(|| format!("keeps {unused} unused revisions; the limit is {limit} (CS-20)"))
}

/// CS-62, CS-67: each Pod has its claims, and without reuse no others are left.
fn claims(picture: &Picture, set: &Set, uid: &str, members: &[&Life]) -> Option<String> {
    let claims = picture.claims.get(&set.namespace)?;
    for life in members {
        let id = label(&life.pod.object, INSTANCE).unwrap_or_default();
        let mut own = life.pod.claims().filter(|claim| claim.ends_with(&format!("-{}-{id}", set.name)));
        if let Some(missing) = own.find(|claim| !claims.contains_key(*claim)) {
            return Some(format!("has Pod {} without its claim {missing} (CS-67)", life.pod.name));
        }
    }
    if truth(&set.object, "/spec/scaleStrategy/enablePVCReuse") {
        return None;
    }
    let carried =
        |claim: &Value| members.iter().any(|life| label(&life.pod.object, INSTANCE) == label(claim, INSTANCE));
    let mut left = claims.iter().filter(|(_, claim)| owners(claim).any(|owner| owner == uid) && !terminating(claim));
    let (name, _) = left.find(|(_, claim)| !carried(claim))?;
    Some(format!("keeps claim {name}, which is no Pod's, and claims are not reused (CS-62)"))
}

/// Whether somebody outside has to act before this Pod goes on (4.8).
fn waits_for_hook(pod: &Pod, set: &Value) -> bool {
    let hook = |name: &str| value(set, &format!("/spec/lifecycle/{name}"));
    match pod.state.as_str() {
        "PreparingDelete" => hooked(hook("preDelete"), pod).0,
        "PreparingUpdate" => hooked(hook("inPlaceUpdate"), pod).0,
        "Updated" => !hook("inPlaceUpdate").is_null() && !hooked(hook("inPlaceUpdate"), pod).1,
        "PreparingNormal" => !hook("preNormal").is_null() && !hooked(hook("preNormal"), pod).1,
        _ => false,
    }
}

/// Whether any part of a hook is on a Pod, and whether all are (LC-4, LC-5).
fn hooked(hook: &Value, pod: &Pod) -> (bool, bool) {
    let labels = map(hook, "/labelsHandler").into_iter().flatten();
    let on = |finalizer: &Value| list(&pod.object, "/metadata/finalizers").contains(finalizer);
    let labels = labels.map(|(key, want)| label(&pod.object, key) == want.as_str());
    let parts: Vec<bool> = labels.chain(list(hook, "/finalizersHandler").iter().map(on)).collect();
    (parts.contains(&true), !hook.is_null() && !parts.contains(&false))
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::picture::{CLAIMS, CLONESETS, PODS};
    use super::super::story::{MANAGER, Story, USER, cloneset, owner};
    use crate::server::call::Verb;
    use serde_json::{Value, json};

    /// Two Pods of the first revision, and a status that says so but for this.
    fn two(status: Value) -> Story {
        let mut story = cloneset(json!({"replicas": 2}));
        story.runs("ab", 1);
        let mut whole = json!({"replicas": 2, "readyReplicas": 2, "availableReplicas": 2, "updatedReplicas": 2,
            "updatedReadyReplicas": 2, "updatedAvailableReplicas": 2, "expectedUpdatedReplicas": 2,
            "observedGeneration": 1, "updateRevision": "web-r1", "currentRevision": "web-r1"});
        json_patch::merge(&mut whole, &status);
        story.patch(MANAGER, CLONESETS, "web", json!({"status": whole}));
        story
    }

    type Change = fn(&mut Story);

    #[track_caller]
    fn missing(story: &Story, part: &str) {
        let text = story.unsettled();
        assert!(text.contains(part), "{text:?}");
    }

    #[test]
    fn everything_as_wanted_is_settled() {
        assert_eq!(two(json!({})).unsettled(), "");
    }

    #[test] // section 3.1
    fn counters_that_are_wrong_are_named() {
        for (status, part) in [
            (json!({"readyReplicas": 1}), "status.readyReplicas 1, but it is 2"),
            (json!({"observedGeneration": 0}), "status.observedGeneration 0"),
            (json!({"updateRevision": "web-x"}), "status.updatedReplicas"),
            (json!({"currentRevision": "web-x"}), "status.currentRevision"),
        ] {
            missing(&two(status), part);
        }
    }

    #[test] // CS-36, CS-38, CS-45, RV-5
    fn pods_that_are_not_as_wanted_are_named() {
        let changes: [(Change, &str); 6] = [
            (|story| story.set(json!({"replicas": 3})), "has 2 Pods; replicas is 3"),
            (|story| story.deletes(USER, "a"), "has 1 Pods"),
            (|story| story.crash("b"), "web-b that is not available"),
            (|story| story.specifies(USER, "b"), "was to be deleted"),
            (|story| story.new_image(2, "app:2"), "0 Pods of its update revision web-r2"),
            (|story| story.set(json!({"scaleStrategy": {"podsToDelete": ["gone"]}})), "podsToDelete"),
        ];
        for (change, part) in changes {
            let mut story = two(json!({}));
            change(&mut story);
            missing(&story, part);
        }
    }

    #[test] // 4.8
    fn pods_that_wait_for_a_hook_hold_their_cloneset_back() {
        let mut story = two(json!({"updatedAvailableReplicas": 1, "availableReplicas": 1}));
        story.set(json!({"replicas": 1, "lifecycle": {"preDelete": {"labelsHandler": {"app": "web"}}}}));
        story.patch(MANAGER, CLONESETS, "web", json!({"status": {"expectedUpdatedReplicas": 1}}));
        let state = json!({"metadata": {"labels": {"lifecycle.apps.kruise.io/state": "PreparingDelete"}}});
        story.patch(MANAGER, PODS, "web-a", state);
        assert_eq!(story.unsettled(), "");
    }

    #[test]
    fn a_cloneset_that_is_gone_leaves_no_pods_but_orphans() {
        let mut story = two(json!({}));
        story.write(USER, Verb::Delete, CLONESETS, "web", None);
        story.deletes("garbage", "a");
        missing(&story, "its Pod web-b is there");
        story.patch("garbage", PODS, "web-b", json!({"metadata": {"ownerReferences": []}}));
        assert_eq!(story.unsettled(), "");
    }

    #[test] // CS-62
    fn claims_of_no_pod_are_named_unless_they_are_reused() {
        let mut story = two(json!({}));
        let labels = json!({"apps.kruise.io/cloneset-instance-id": "x"});
        let object = json!({"metadata": {"name": "data-web-x", "labels": labels, "ownerReferences": owner()}});
        story.create(MANAGER, CLAIMS, "data-web-x", object);
        missing(&story, "keeps claim data-web-x");
        story.set(json!({"scaleStrategy": {"enablePVCReuse": true}}));
        assert_eq!(story.unsettled(), "");
    }

    #[test] // CS-20
    fn unused_revisions_beyond_the_limit_are_counted() {
        let mut story = two(json!({}));
        story.set(json!({"revisionHistoryLimit": 1}));
        story.patch(
            MANAGER,
            CLONESETS,
            "web",
            json!({"status": {"updateRevision": "web-r4", "updatedReplicas": 0,
            "updatedReadyReplicas": 0, "updatedAvailableReplicas": 0}}),
        );
        for number in 2..5 {
            story.revision(number, &format!("app:{number}"));
        }
        story.set(json!({"template": {"spec": {"containers": [{"name": "main", "image": "app:4"}]}},
            "updateStrategy": {"rollingUpdate": {"paused": true}}}));
        missing(&story, "2 unused revisions; the limit is 1");
    }
}

//! Who may be updated: not more Pods than partition lets go, none while paused, none with OnDelete, and only to the
//! newest revision.

use super::lenient::Lenient;
use super::picture::{Life, PODS, Picture, REVISIONS, Step};
use super::pod::{PREPARING_UPDATE, same_revision};
use crate::server::call::Written;

/// What is wrong with a write on a Pod.
pub(super) fn check(picture: &Picture, written: &Written, step: &Step) -> Option<String> {
    if written.resource != PODS {
        return None;
    }
    let after = picture.life(&written.namespace, &written.name).filter(|after| after.set.is_some())?;
    let set = picture.sets.get(after.set.as_ref()?)?;
    let view = Lenient::new(picture, set, written);
    let Some(before) = &step.before else { return created(&view, after) };
    let moved = !before.pod.carries(&after.pod.revision) && !after.pod.revision.is_empty();
    let condemned = after.pod.specified && !before.pod.specified;
    let hooked = after.pod.state == PREPARING_UPDATE && before.pod.state != PREPARING_UPDATE;
    if !moved && !condemned && !hooked {
        return None;
    }
    for (property, all) in
        [("paused (CS-54)", view.all(|spec| spec.paused)), ("OnDelete (CS-54)", view.all(|spec| spec.on_delete))]
    {
        if all {
            return Some(format!("begins to update a Pod of a CloneSet that is {property}"));
        }
    }
    if moved { updated(&view, after, written) } else { None }
}

/// CS-34, CS-38: an in-place update counts the Pod to the new ones.
fn updated(view: &Lenient, after: &Life, written: &Written) -> Option<String> {
    let revision = &after.pod.revision;
    let known = view.picture.knowledge.understood(written.at, &written.caller, REVISIONS);
    if !view.set.newest.is_empty() && !view.set.newest_since(known).any(|newest| same_revision(newest, revision)) {
        let newest = view.set.newest.back().map_or("", |(.., newest)| newest.as_str());
        return Some(format!("updates a Pod to {revision}, but the update revision is {newest} (CS-55, RV-5)"));
    }
    // PreparingDelete Pods count on neither side (CS-33).
    over(view, revision, |_| 0, "updates a Pod")
}

/// CS-36, CS-43, CS-121: as many of the new Pods as are missing on the old side are made from the current revision.
fn created(view: &Lenient, after: &Life) -> Option<String> {
    let revision = &after.pod.revision;
    let newest = view.set.newest.back().map_or("", |(.., newest)| newest.as_str());
    // With equal revisions everything is new (4.12). The status may be as old as the cache.
    let one_revision = view.specs.iter().any(|spec| {
        let current = &spec.current_revision;
        same_revision(current, revision) || !view.set.revisions.contains_key(current)
    });
    if one_revision || !same_revision(newest, revision) {
        return None;
    }
    // Pods that wait for their specified deletion are replaced before, by surge (CS-35).
    let surge = view.any_specified();
    over(view, revision, |spec| if surge { spec.max_surge } else { 0 }, "creates a Pod")
}

fn over(view: &Lenient, revision: &str, surge: impl Fn(&super::spec::Spec) -> i64, does: &str) -> Option<String> {
    let new = view.members().filter(|life| life.pod.carries(revision) && !life.pod.preparing_delete());
    let new = i64::try_from(new.filter(|life| !view.maybe_unknown(life)).count()).unwrap_or(i64::MAX);
    if view.specs.iter().any(|spec| new <= spec.updatable() + surge(spec)) {
        return None;
    }
    let spec = view.specs.iter().max_by_key(|spec| spec.updatable())?;
    Some(format!(
        "{does}, which makes {new} of {revision}; replicas {} - partition {} may be (CloneSet version {}) (CS-34, \
         CS-121)",
        spec.replicas, spec.partition, spec.version
    ))
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, USER, cloneset};
    use serde_json::{Value, json};

    fn six(rolling: Value) -> Story {
        let mut whole = json!({"podUpdatePolicy": "InPlaceIfPossible", "maxUnavailable": "100%"});
        json_patch::merge(&mut whole, &rolling);
        let mut story = cloneset(json!({"replicas": 6, "updateStrategy": {"rollingUpdate": whole}}));
        story.runs("abcdef", 1);
        story.new_image(2, "app:2");
        story
    }

    #[test] // CS-30, CS-34
    fn partition_keeps_pods_back() {
        let mut story = six(json!({"partition": "50%"}));
        story.updates("abc", 2);
        story.keeps();
        story.updates("d", 2);
        story.breaks("partition", "makes 4");
    }

    #[test]
    fn the_partition_that_the_cache_may_still_show_is_good_enough() {
        let mut story = six(json!({"partition": 2}));
        story.rolling(json!({"partition": 6}));
        story.shown();
        story.updates("ab", 2);
        story.keeps();
        story.news();
        story.updates("c", 2);
        story.breaks("partition", "partition 6");
    }

    #[test] // CS-54
    fn paused_and_on_delete_update_nothing() {
        for (change, part) in [
            (json!({"updateStrategy": {"rollingUpdate": {"paused": true}}}), "paused"),
            (json!({"updateStrategy": {"type": "OnDelete"}}), "OnDelete"),
        ] {
            let mut story = six(json!({}));
            story.set(change);
            story.updates("a", 2);
            story.keeps();
            story.news();
            story.switches("a", 1);
            story.breaks("partition", part);
        }
    }

    #[test] // CS-55
    fn pods_go_to_the_newest_revision_only() {
        let mut story = six(json!({}));
        story.new_image(3, "app:3");
        story.updates("a", 3);
        story.keeps();
        story.updates("b", 2);
        story.breaks("partition", "update revision is web-r3");
    }

    #[test] // CS-121
    fn missing_old_pods_are_made_from_the_current_revision() {
        let mut story = six(json!({"partition": 4}));
        story.updates("ab", 2);
        story.ready("ab");
        story.deletes(USER, "cd");
        story.news();
        story.creates("x", 1);
        story.keeps();
        story.creates("y", 2);
        story.breaks("partition", "CS-121");
    }

    #[test] // 4.12
    fn with_equal_revisions_everything_is_new() {
        let mut story = cloneset(json!({"replicas": 2, "updateStrategy": {"rollingUpdate": {"partition": 2}}}));
        story.runs("ab", 1);
        story.keeps();
    }
}

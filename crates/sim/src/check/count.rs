//! How many Pods there are: never more than `replicas + maxSurge` by our creations, never fewer than `replicas` by our
//! scaling down; and which Pods a CloneSet must not delete at all.

use super::lenient::Lenient;
use super::picture::{Life, PODS, Picture, Step};
use crate::server::call::{Verb, Written};

/// What is wrong with a write on a Pod.
pub(super) fn check(picture: &Picture, written: &Written, step: &Step) -> Option<String> {
    if written.resource != PODS {
        return None;
    }
    let after = picture.life(&written.namespace, &written.name);
    let Some(before) = &step.before else {
        let after = after.filter(|after| after.set.is_some() && written.verb == Verb::Create)?;
        let set = picture.sets.get(after.set.as_ref()?)?;
        return too_many(&Lenient::new(picture, set, written));
    };
    let deleted = written.verb == Verb::Delete;
    let marked = after.is_some_and(|after| after.pod.preparing_delete()) && !before.pod.preparing_delete();
    if !deleted && !marked {
        return None;
    }
    let set = picture.sets.get(before.pod.controller.as_ref()?)?;
    let view = Lenient::new(picture, set, written);
    if before.set.is_none() { not_its_own(&view, before) } else { too_few(&view, before) }
}

/// CS-36, CS-122: after a creation.
fn too_many(view: &Lenient) -> Option<String> {
    let mut text = None;
    for spec in &view.specs {
        let have = view.members().filter(|life| {
            // Pods that others brought in so lately may be unknown.
            !(view.maybe_unknown(life) || spec.exclude_preparing_delete && life.pod.preparing_delete())
        });
        let have = i64::try_from(have.count()).unwrap_or(i64::MAX);
        if have <= spec.replicas + spec.max_surge {
            return None;
        }
        text = Some(format!(
            "creates a Pod, which makes {have}; at most replicas {} + maxSurge {} may be (CloneSet version {}) (CS-36)",
            spec.replicas, spec.max_surge, spec.version
        ));
    }
    text
}

/// CS-36, CS-46: after a deletion that is no specified one and not the end of a `PreparingDelete`.
fn too_few(view: &Lenient, before: &Life) -> Option<String> {
    if before.pod.preparing_delete() || view.maybe_specified(before) {
        return None;
    }
    let staying = view.members().filter(|life| !life.pod.preparing_delete()).count();
    // Pods that others removed so lately may still be counted.
    let have = i64::try_from(staying + view.maybe_still_there().count()).unwrap_or(i64::MAX);
    if view.specs.iter().any(|spec| have >= spec.replicas) {
        return None;
    }
    let spec = view.specs.iter().min_by_key(|spec| spec.replicas)?;
    Some(format!(
        "deletes a Pod that is not to be deleted by name, which leaves {have}; replicas is {} (CloneSet version {}) \
         (CS-36, CS-46)",
        spec.replicas, spec.version
    ))
}

/// CS-2, CS-133: Pods that are inactive or match the selector no more are never deleted.
fn not_its_own(view: &Lenient, before: &Life) -> Option<String> {
    if before.changed > view.pods {
        return None;
    }
    let why = if before.pod.active { "matches the selector no more (CS-133)" } else { "is inactive (CS-2)" };
    Some(format!("deletes a Pod that {why}, and the cache had shown that"))
}

#[cfg(test)]
mod tests {
    use super::super::picture::PODS;
    use super::super::story::{MANAGER, USER, cloneset};
    use serde_json::json;

    #[test] // CS-36
    fn no_more_pods_are_created_than_wanted() {
        let mut story = cloneset(json!({"replicas": 2}));
        story.creates("ab", 1);
        story.keeps();
        story.creates("c", 1);
        story.breaks("count", "makes 3");
    }

    #[test]
    fn replicas_that_the_cache_may_still_show_are_good_enough() {
        let mut story = cloneset(json!({"replicas": 2}));
        story.set(json!({"replicas": 1}));
        story.creates("ab", 1);
        story.keeps();
        story.deletes(USER, "b");
        story.news();
        story.creates("c", 1);
        story.breaks("count", "replicas 1");
    }

    #[test] // CS-36
    fn a_pod_that_is_deleted_twice_for_scaling_is_one_too_many() {
        let mut story = cloneset(json!({"replicas": 4}));
        story.runs("abcd", 1);
        story.set(json!({"replicas": 2}));
        story.news();
        story.deletes(MANAGER, "ab");
        story.keeps();
        story.crash("c");
        story.deletes(MANAGER, "c");
        story.breaks("count", "leaves 1");
    }

    #[test]
    fn pods_deleted_by_others_a_moment_ago_may_be_counted() {
        let mut story = cloneset(json!({"replicas": 4}));
        story.runs("abcd", 1);
        story.set(json!({"replicas": 2}));
        story.news();
        story.deletes(USER, "d");
        story.deletes(MANAGER, "ab");
        story.keeps();
    }

    #[test] // CS-45
    fn specified_pods_may_be_deleted_below_replicas() {
        let mut story = cloneset(json!({"replicas": 3, "scaleStrategy": {"podsToDelete": ["web-a"]}}));
        story.runs("abc", 1);
        story.deletes(MANAGER, "a");
        story.keeps();
    }

    #[test] // CS-2, CS-133
    fn failed_and_foreign_pods_are_left_alone() {
        for (patch, part) in [
            (json!({"status": {"phase": "Failed"}}), "CS-2"),
            (json!({"metadata": {"labels": {"app": "other"}}}), "CS-133"),
        ] {
            let mut story = cloneset(json!({"replicas": 3}));
            story.runs("abc", 1);
            story.patch(USER, PODS, "web-a", patch);
            story.news();
            story.deletes(MANAGER, "a");
            story.breaks("count", part);
        }
    }
}

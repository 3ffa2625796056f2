//! maxUnavailable: how many Pods our writes may take down, or bring up at once.
//!
//! A budget is broken when our writes take down Pods beyond it: counted are Pods that were available when our write was
//! applied and have not been available since, plus failures by others that our cache had already shown. In the spec's
//! numbers (CS-37, CS-57) this is one floor: a Pod may be taken down while more than `replicas - maxUnavailable` Pods
//! are available, surplus Pods included. Scaling down has no other limit: its ready Pods go under the same floor (CS-46).

use super::lenient::Lenient;
use super::picture::{Life, PODS, Picture, Step};
use super::pod::Pod;
use super::spec::Spec;
use super::view::{condition, text};
use crate::server::call::{Verb, Written};

/// What is wrong with a write on a Pod.
pub(super) fn check(picture: &Picture, written: &Written, step: &Step) -> Option<String> {
    if written.resource != PODS {
        return None;
    }
    let set = picture.sets.get(step.set.as_ref()?)?;
    let view = Lenient::new(picture, set, written);
    let after = picture.life(&written.namespace, &written.name).filter(|life| life.set == step.set);
    match (&step.before, after) {
        (Some(before), after) if before.set == step.set => {
            floor(&view, before, after).or_else(|| target(&view, before, after?))
        }
        (None, Some(after)) if written.verb == Verb::Create => throttle(&view, after),
        _ => None,
    }
}

/// An available Pod is taken down: enough others must be available (CS-37, CS-57).
fn floor(view: &Lenient, before: &Life, after: Option<&Life>) -> Option<String> {
    let down = after.is_none_or(|after| !after.pod.up() || (after.doomed && !before.doomed));
    // A Pod that became ready a moment ago may still look not ready: such ones go freely (CS-45, CS-57).
    if !down || before.doomed || view.maybe_down(before) {
        return None;
    }
    let deletion = after.is_none_or(|after| deletes(&after.pod));
    let mut closest: Option<(i64, i64, &Spec)> = None;
    for spec in &view.specs {
        // Updating a Pod that is not available is free (CS-57); deleting one is not if it is ready (CS-45, CS-46).
        if !deletion && !before.pod.available(spec.min_ready, view.began) {
            return None;
        }
        let available = available(view, spec, deletion);
        let ready_only = deletion && !before.pod.available(spec.min_ready, view.at) && !view.maybe_specified(before);
        let floor = spec.replicas - spec.max_unavailable + i64::from(ready_only);
        if available >= floor {
            return None;
        }
        if closest.is_none_or(|(others, least, _)| available - floor > others - least) {
            closest = Some((available, floor, spec));
        }
    }
    let (available, floor, spec) = closest?;
    let how = if deletion { "deletes" } else { "takes down" };
    Some(format!(
        "{how} an available Pod; {available} others are available and {floor} must be: replicas {}, maxUnavailable {} \
         (CloneSet version {}){} (CS-31, {})",
        spec.replicas,
        spec.max_unavailable,
        spec.version,
        casualties(view, spec),
        if deletion { "CS-37, CS-45, CS-46" } else { "CS-57" },
    ))
}

/// Pods that are available, or may look so to the writer.
fn available(view: &Lenient, spec: &Spec, deletion: bool) -> i64 {
    let members = view.members().filter(|life| {
        (life.pod.available(spec.min_ready, view.at) && !life.doomed)
            || view.maybe_unseen(life.lost)
            // For deletions, Pods that are to be deleted anyway are not counted as unavailable (CS-33).
            || (deletion && view.maybe_specified(life) && !life.pod.preparing_delete())
    });
    let left = view.set.left.iter().filter(|left| {
        view.maybe_unseen(left.lost)
            // Their deletion in the same pass does not lower the limit of that pass (CS-37, CS-45).
            || (deletion
                && left.how.ours
                && left.how.version > view.pods
                && view.maybe_down(&left.life)
                && view.maybe_specified(&left.life))
    });
    count(members) + count(left)
}

/// An in-place update: not available Pods of the target revision never exceed the budget (CS-57, CS-123).
fn target(view: &Lenient, before: &Life, after: &Life) -> Option<String> {
    let revision = &after.pod.revision;
    if before.pod.carries(revision) || revision.is_empty() {
        return None;
    }
    let still = count(view.maybe_still_there());
    let mut text = None;
    for spec in &view.specs {
        let unavailable = count(view.members().filter(|life| {
            life.pod.carries(revision)
                && !life.pod.available(spec.min_ready, view.at)
                && !view.maybe_unseen(life.lost)
                && !view.maybe_unknown(life)
        }));
        let limit = spec.max_unavailable + count(view.members()) + still - spec.replicas;
        if unavailable <= limit {
            return None;
        }
        text = Some(format!(
            "updates in place to {revision}, which makes {unavailable} not available Pods of that revision, over the \
             limit {limit}: replicas {}, maxUnavailable {} (CloneSet version {}){} (CS-57, CS-123)",
            spec.replicas,
            spec.max_unavailable,
            spec.version,
            casualties(view, spec),
        ));
    }
    text
}

/// A Pod is created: `scaleStrategy.maxUnavailable` limits how many are not available (CS-36, CS-43).
fn throttle(view: &Lenient, after: &Life) -> Option<String> {
    let mut text = None;
    for spec in &view.specs {
        let unavailable = count(view.members().filter(|life| {
            life.pod.preparing_delete()
                || (!view.maybe_specified(life)
                    && !life.pod.available(spec.min_ready, view.at)
                    && !view.maybe_unseen(life.lost)
                    && !view.maybe_unknown(life))
        }));
        if unavailable <= spec.scale_max_unavailable {
            return None;
        }
        text = Some(format!(
            "creates {}, the {unavailable}th Pod that is not available; scaleStrategy.maxUnavailable is {} (CloneSet \
             version {}) (CS-36, CS-43)",
            after.pod.name, spec.scale_max_unavailable, spec.version,
        ));
    }
    text
}

fn deletes(pod: &Pod) -> bool {
    // The Pod is marked not ready by its hook before its state changes (LC-7).
    let marked = condition(&pod.object, "KruisePodReady");
    pod.preparing_delete() || marked.is_some_and(|marked| text(marked, "/message").contains("preDeleteHook"))
}

/// Who is down, for the text of a violation.
fn casualties(view: &Lenient, spec: &Spec) -> String {
    let mut text = String::new();
    for life in view.members().filter(|life| !life.pod.available(spec.min_ready, view.at)) {
        let who = if life.lost.ours { "us" } else { "others" };
        text.push_str(&format!("; {} not available since {} by {who}", life.pod.name, life.lost.version));
    }
    for left in view.set.left.iter().filter(|left| left.how.version > view.pods) {
        let who = if left.how.ours { "us" } else { "others" };
        text.push_str(&format!("; {} gone since {} by {who}", left.life.pod.name, left.how.version));
    }
    text
}

fn count<T>(all: impl Iterator<Item = T>) -> i64 {
    i64::try_from(all.count()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::story::{MANAGER, Story, USER, cloneset, judged};
    use jiff::SignedDuration;
    use serde_json::json;

    fn five(max_unavailable: i64) -> Story {
        let rolling = json!({"podUpdatePolicy": "InPlaceIfPossible", "maxUnavailable": max_unavailable});
        let mut story = cloneset(json!({"replicas": 5, "updateStrategy": {"rollingUpdate": rolling}}));
        story.runs("abcde", 1);
        story.new_image(2, "app:2");
        story
    }

    #[test] // CS-57
    fn as_many_pods_as_the_budget_may_go_down() {
        let mut story = five(2);
        story.updates("ab", 2);
        story.keeps();
        story.marks("c");
        story.breaks("budget", "2 others are available and 3 must be");
    }

    #[test]
    fn pods_that_came_back_are_not_counted() {
        let mut story = five(2);
        story.updates("ab", 2);
        story.ready("ab");
        story.updates("cd", 2);
        story.keeps();
    }

    #[test] // CS-57
    fn failures_that_the_cache_had_shown_are_counted() {
        let mut story = five(2);
        story.crash("a");
        story.news();
        story.updates("b", 2);
        story.keeps();
        story.marks("c");
        story.breaks("budget", "web-a not available since");
    }

    #[test]
    fn failures_that_the_cache_did_not_show_are_not() {
        let mut story = five(2);
        story.crash("a");
        story.deletes(USER, "e");
        story.updates("bc", 2);
        story.keeps();
    }

    #[test]
    fn pods_that_became_ready_a_moment_ago_count_after_the_grace() {
        for (grace, broken) in [(2, true), (30, false)] {
            let mut story = judged(SignedDuration::from_secs(grace), json!({"replicas": 3}));
            story.creates("abc", 1);
            story.ready("abc");
            story.shown();
            story.wait(5);
            story.marks("ab");
            if broken { story.breaks("budget", "maxUnavailable 1") } else { story.keeps() }
        }
    }

    #[test] // CS-57
    fn a_pod_that_is_down_anyway_is_updated_freely() {
        let mut story = five(1);
        story.crash("a");
        story.news();
        story.updates("a", 2);
        story.keeps();
    }

    #[test] // CS-123
    fn not_available_pods_of_the_target_revision_are_limited() {
        let mut story = five(1);
        story.crash("ab");
        story.news();
        story.updates("a", 2);
        story.keeps();
        story.updates("b", 2);
        story.breaks("budget", "CS-123");
    }

    #[test]
    fn the_budget_that_the_cache_may_still_show_is_good_enough() {
        let mut story = five(3);
        story.rolling(json!({"maxUnavailable": 1}));
        story.shown();
        story.wait(20);
        story.updates("abc", 2);
        story.keeps();
        story.ready("abc");
        story.news();
        story.marks("de");
        story.breaks("budget", "maxUnavailable 1");
    }

    #[test] // CS-45, CS-46
    fn deletions_have_the_same_floor() {
        let mut story = five(1);
        story.set(json!({"replicas": 3}));
        story.news();
        story.deletes(MANAGER, "ab");
        story.keeps();
        story.specifies(USER, "cd");
        story.news();
        story.deletes(MANAGER, "c");
        story.keeps();
        story.deletes(MANAGER, "d");
        story.breaks("budget", "CS-45");
    }

    #[test] // CS-33, CS-45
    fn specified_pods_that_are_not_ready_go_freely_and_count_nowhere() {
        let mut story = five(1);
        story.crash("a");
        story.specifies(USER, "ab");
        story.news();
        story.deletes(MANAGER, "ab");
        story.keeps();
    }

    #[test] // the last worked value of 4.3
    fn scale_down_waits_for_pods_that_are_too_young() {
        let mut story = five(1);
        story.set(json!({"minReadySeconds": 600, "replicas": 3}));
        story.news();
        story.deletes(MANAGER, "a");
        story.breaks("budget", "deletes");
    }

    #[test] // CS-35, CS-57
    fn surplus_pods_make_room() {
        let rolling = json!({"podUpdatePolicy": "InPlaceIfPossible", "maxUnavailable": 0, "maxSurge": 2});
        let mut story = cloneset(json!({"replicas": 6, "updateStrategy": {"rollingUpdate": rolling}}));
        story.runs("abcdef", 1);
        story.new_image(2, "app:2");
        story.runs("xy", 2);
        story.updates("ab", 2);
        story.keeps();
        story.updates("c", 2);
        story.breaks("budget", "replicas 6, maxUnavailable 0");
    }

    #[test] // CS-36
    fn creations_wait_for_pods_that_are_not_available() {
        let mut story = cloneset(json!({"replicas": 5, "scaleStrategy": {"maxUnavailable": 2}}));
        story.creates("ab", 1);
        story.keeps();
        story.ready("a");
        story.creates("c", 1);
        story.keeps();
        story.creates("d", 1);
        story.breaks("budget", "scaleStrategy.maxUnavailable is 2");
    }
}

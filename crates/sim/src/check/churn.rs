//! No write without a need: none that changes nothing, none again and again.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::picture::{CLONESETS, Picture};
use super::pod::INPLACE_READY;
use super::view::{condition, owners, text};
use crate::server::call::Written;

/// Writes of ours to one object within [`WITHIN`] while nobody else touched it: more is a loop.
const LOOP: usize = 20;
/// The time for [`LOOP`].
const WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// What happened to objects lately.
#[derive(Debug, Default)]
pub(super) struct Churn {
    objects: BTreeMap<Key, Object>,
}

type Key = (String, String, String);

#[derive(Debug, Default)]
struct Object {
    /// Version of the last change by anybody.
    changed: u64,
    /// Times of our writes since the last one of others on it, its owner or what it owns.
    ours: VecDeque<Timestamp>,
}

impl Churn {
    /// Takes a write in and says what is wrong with it.
    pub(super) fn saw(&mut self, picture: &Picture, written: &Written, ours: bool) -> Option<String> {
        if written.resource.starts_with("leases") || written.resource.starts_with("events") {
            return None;
        }
        let key = (written.resource.clone(), written.namespace.clone(), written.name.clone());
        let same = matches!((&written.before, &written.after), (Some(before), Some(after))
            if std::sync::Arc::ptr_eq(before, after) || (ours && same_content(before, after)));
        if !ours {
            self.calm(picture, written);
        }
        let object = self.objects.entry(key.clone()).or_default();
        let changed = object.changed;
        if written.after.is_none() {
            self.objects.remove(&key);
            return None;
        }
        if !same {
            object.changed = written.version;
        }
        if !ours {
            return None;
        }
        object.ours.push_back(written.at);
        while object.ours.front().is_some_and(|first| written.at.duration_since(*first) > WITHIN) {
            object.ours.pop_front();
        }
        let times = object.ours.len();
        if times > LOOP {
            object.ours.clear();
            return Some(format!("write number {times} in {} s while nobody else changed anything", WITHIN.as_secs()));
        }
        // A lost answer or a cache that lags makes a writer say the same again; a cache that shows it does not.
        let known = picture.knowledge.understood(written.at, &written.caller, &written.resource);
        (same && changed != 0 && changed <= known && !remark(written))
            .then(|| format!("changes nothing, and the cache had shown the object as it is since version {changed}"))
    }

    /// Others acted: what we write next on the object, its owner or what it owns has a reason.
    fn calm(&mut self, picture: &Picture, written: &Written) {
        let key = (written.resource.clone(), written.namespace.clone(), written.name.clone());
        if let Some(object) = self.objects.get_mut(&key) {
            object.ours.clear();
        }
        if written.resource == CLONESETS {
            for object in self.objects.values_mut() {
                object.ours.clear();
            }
            return;
        }
        let Some(object) = written.after.as_ref().or(written.before.as_ref()) else { return };
        for set in owners(object).filter_map(|uid| picture.sets.get(uid)) {
            let key = (CLONESETS.to_owned(), set.namespace.clone(), set.name.clone());
            if let Some(object) = self.objects.get_mut(&key) {
                object.ours.clear();
            }
        }
    }
}

/// A Pod is marked not ready without looking whether it is already: a stale cache must never skip that (IU-21, IU-82).
fn remark(written: &Written) -> bool {
    written.subresource == "status"
        && written
            .after
            .as_ref()
            .and_then(|pod| condition(pod, INPLACE_READY))
            .is_some_and(|ready| text(ready, "/status") == "False")
}

/// Equal but for resourceVersion and managedFields.
fn same_content(before: &Value, after: &Value) -> bool {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return before == after };
    before.len() == after.len()
        && before.iter().all(|(key, one)| match (key.as_str(), after.get(key)) {
            ("metadata", Some(other)) => same_metadata(one, other),
            (_, other) => other == Some(one),
        })
}

fn same_metadata(before: &Value, after: &Value) -> bool {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return before == after };
    let counts = |key: &&String| key.as_str() != "resourceVersion" && key.as_str() != "managedFields";
    before.keys().filter(counts).count() == after.keys().filter(counts).count()
        && before.iter().filter(|(key, _)| counts(key)).all(|(key, one)| after.get(key) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::super::picture::{CLONESETS, PODS};
    use super::super::story::{MANAGER, USER, cloneset};
    use serde_json::json;

    #[test]
    fn a_write_that_changes_nothing_is_a_fault_when_the_cache_showed_it() {
        let mut story = cloneset(json!({"replicas": 1}));
        let status = json!({"status": {"replicas": 1}, "metadata": {"resourceVersion": "77"}});
        story.patch(MANAGER, CLONESETS, "web", status);
        story.patch(MANAGER, CLONESETS, "web", json!({"metadata": {"resourceVersion": "78"}}));
        story.keeps();
        story.news();
        story.patch(MANAGER, CLONESETS, "web", json!({"metadata": {"resourceVersion": "79"}}));
        story.breaks("churn", "changes nothing");
    }

    #[test]
    fn a_loop_is_found_even_if_every_write_changes_something() {
        let mut story = cloneset(json!({"replicas": 1}));
        for n in 0..21 {
            story.keeps();
            story.patch(MANAGER, CLONESETS, "web", json!({"status": {"collisionCount": n}}));
        }
        story.breaks("churn", "write number 21");
    }

    #[test]
    fn writes_that_follow_others_are_no_loop() {
        let mut story = cloneset(json!({"replicas": 1}));
        story.creates("a", 1);
        for n in 0..60 {
            story.patch(MANAGER, CLONESETS, "web", json!({"status": {"collisionCount": n}}));
            if n % 15 == 0 {
                story.patch(USER, PODS, "web-a", json!({"metadata": {"annotations": {"n": n.to_string()}}}));
            }
        }
        story.keeps();
    }
}

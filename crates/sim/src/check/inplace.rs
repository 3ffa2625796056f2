//! What an in-place update may change, and in which order (IU-3, IU-21, IU-30, IU-43, IU-51, CS-59).

use serde_json::Value;

use super::lenient::Lenient;
use super::picture::{Life, PODS, Picture, REVISIONS, Revision, Step};
use super::pod::{INPLACE_GRACE, INPLACE_READY, INPLACE_STATE, Pod, REVISION, images};
use super::view::{annotation, integer, list, map, text, time, value};
use crate::server::call::Written;

/// Where the template is in a ControllerRevision (RV-1).
const TEMPLATE: &str = "/data/spec/template";

/// What is wrong with a write on a Pod.
pub(super) fn check(picture: &Picture, written: &Written, step: &Step) -> Option<String> {
    if written.resource != PODS {
        return None;
    }
    let before = step.before.as_ref().filter(|before| before.set.is_some())?;
    let after = picture.life(&written.namespace, &written.name)?;
    let set = picture.sets.get(before.set.as_ref()?)?;
    let view = Lenient::new(picture, set, written);
    if value(&before.pod.object, "/metadata/uid") != value(&after.pod.object, "/metadata/uid") {
        return Some("changes the uid of a Pod".to_owned());
    }
    policy(&view, before, after, written)
        .or_else(|| image(&view, before, after))
        .or_else(|| spec(before, after, written))
        .or_else(|| metadata(&view, before, after))
        .or_else(|| completed(&before.pod, &after.pod))
}

/// CS-59, CS-134: in place where the policy says so and the templates allow it, never otherwise.
fn policy(view: &Lenient, before: &Life, after: &Life, written: &Written) -> Option<String> {
    let from = view.set.revision(&before.pod.revision);
    if !after.pod.revision.is_empty() && !before.pod.carries(&after.pod.revision) {
        if view.all(|spec| !spec.policy.starts_with("InPlace")) {
            return Some("updates a Pod in place, but the policy is ReCreate (CS-59)".to_owned());
        }
        let to = view.set.revision(&after.pod.revision);
        let impossible = from.zip(to).is_some_and(|(from, to)| !possible(from, to));
        return impossible.then(|| {
            format!(
                "updates a Pod in place from {} to {}, which differ in more than images (IU-3)",
                before.pod.revision, after.pod.revision
            )
        });
    }
    if !after.pod.specified || before.pod.specified {
        return None;
    }
    if view.all(|spec| spec.policy == "InPlaceOnly") {
        return Some("has a Pod recreated, but the policy is InPlaceOnly (CS-59)".to_owned());
    }
    let known = view.picture.knowledge.understood(written.at, &written.caller, REVISIONS);
    let mut targets = view.set.newest_since(known).map(|name| view.set.revision(name)).peekable();
    let could =
        targets.peek().is_some() && targets.all(|target| from.zip(target).is_some_and(|(from, to)| possible(from, to)));
    (could && view.all(|spec| spec.policy.starts_with("InPlace"))).then(|| {
        format!("has a Pod of {} recreated, but the update is possible in place (CS-59, CS-134)", before.pod.revision)
    })
}

/// Images change to those of the target revision, after the Pod was marked not ready and the grace period ended.
fn image(view: &Lenient, before: &Life, after: &Life) -> Option<String> {
    let changed = |(name, image): &(&str, &str)| before.pod.images().any(|(had, was)| had == *name && was != *image);
    let mut changes = after.pod.images().filter(changed).peekable();
    changes.peek()?;
    if before.pod.has_inplace_gate() && before.pod.condition(INPLACE_READY) != "False" {
        return Some(format!("changes an image while {INPLACE_READY} is not False (IU-21)"));
    }
    let moved = before.pod.revision != after.pod.revision;
    if before.pod.in_grace() {
        let seconds = integer(&before.pod.document(INPLACE_GRACE), "/graceSeconds").unwrap_or(0);
        let began = time(text(&before.pod.document(INPLACE_STATE), "/updateTimestamp"));
        if !moved && began.is_some_and(|began| view.at.duration_since(began).as_secs() < seconds) {
            return Some(format!("changes an image before its grace period of {seconds} s has ended (IU-30)"));
        }
    } else if moved && view.all(|spec| spec.grace_seconds > 0) {
        return Some("changes an image at once, but there is a grace period (IU-22)".to_owned());
    }
    let to = &view.set.revision(&after.pod.revision)?.object;
    let from = view.set.revision(if moved { &before.pod.revision } else { &after.from });
    for (name, image) in changes {
        let want = image_in(to, name);
        if want.is_some_and(|want| want != image) {
            return Some(format!(
                "sets {name} to image {image}, but {} has {} (IU-33)",
                after.pod.revision,
                want.unwrap_or_default()
            ));
        }
        let had = from.and_then(|from| image_in(&from.object, name));
        if had.is_some() && had == want {
            return Some(format!("changes the image of {name}, which the update does not change (IU-3)"));
        }
    }
    None
}

/// Nothing else of the spec (IU-3).
fn spec(before: &Life, after: &Life, written: &Written) -> Option<String> {
    let (old, new) = (value(&before.pod.object, "/spec"), value(&after.pod.object, "/spec"));
    let resources = written.subresource == "resize";
    (!same_but_images(old, new, resources)).then(|| "changes more of a Pod's spec than images (IU-3)".to_owned())
}

/// Labels and annotations: our own, and those that the templates differ in (IU-3, IU-85, CS-128).
fn metadata(view: &Lenient, before: &Life, after: &Life) -> Option<String> {
    let (old, new) = (&before.pod.object, &after.pod.object);
    for part in ["labels", "annotations"] {
        let pointer = format!("/metadata/{part}");
        let (had, has) = (map(old, &pointer), map(new, &pointer));
        let keys = had.into_iter().chain(has).flat_map(|map| map.keys());
        for key in keys.filter(|key| !ours(key)) {
            let changed = had.and_then(|had| had.get(key)) != has.and_then(|has| has.get(key));
            if !changed || view.set.specs.iter().any(|spec| part == "labels" && spec.hooks_label(key)) {
                continue;
            }
            let moved = before.pod.revision != after.pod.revision;
            let from = if moved { &before.pod.revision } else { &after.from };
            if from.is_empty() {
                return Some(format!("changes the {part} key {key} outside of an update (IU-3)"));
            }
            let (Some(from), Some(to)) = (view.set.revision(from), view.set.revision(&after.pod.revision)) else {
                continue;
            };
            let pointer = format!("{TEMPLATE}/metadata/{part}");
            let of = |revision: &Revision| map(&revision.object, &pointer).and_then(|map| map.get(key)).cloned();
            if of(from) == of(to) {
                return Some(format!("changes the {part} key {key}, which the update does not change (IU-3)"));
            }
        }
    }
    None
}

/// A Pod is only marked ready again when its update is complete (IU-30, IU-43, IU-50, IU-51).
fn completed(before: &Pod, after: &Pod) -> Option<String> {
    if before.condition(INPLACE_READY) != "False" || after.condition(INPLACE_READY) != "True" {
        return None;
    }
    if before.in_grace() {
        return Some(format!("sets {INPLACE_READY} True during the grace period (IU-30)"));
    }
    let state = before.document(INPLACE_STATE);
    let next = ["/nextContainerImages", "/nextContainerRefMetadata", "/nextContainerResources"];
    if next.iter().any(|part| map(&state, part).is_some_and(|left| !left.is_empty())) {
        return Some(format!("sets {INPLACE_READY} True with containers left to update (IU-43, IU-50)"));
    }
    if annotation(&before.object, "apps.kruise.io/runtime-containers-meta").is_some() {
        return None;
    }
    for (name, was) in map(&state, "/lastContainerStatuses").into_iter().flatten() {
        let statuses = list(&before.object, "/status/containerStatuses");
        let status = statuses.iter().find(|status| text(status, "/name") == name);
        let image = before.images().find(|(container, _)| container == name).map_or("", |(_, image)| image);
        let running = status.is_some_and(|status| {
            text(status, "/imageID") != text(was, "/imageID")
                || tagged(image) == text(status, "/image")
                || image == text(status, "/image")
        });
        if !running {
            return Some(format!("sets {INPLACE_READY} True before {name} runs {image} (IU-51)"));
        }
    }
    None
}

/// Whether one revision can become another in place: only metadata and images differ (IU-3; without the gate of resources).
pub(super) fn possible(from: &Revision, to: &Revision) -> bool {
    let spec = format!("{TEMPLATE}/spec");
    same_but_images(value(&from.object, &spec), value(&to.object, &spec), false)
}

fn same_but_images(old: &Value, new: &Value, resources: bool) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return old == new };
    let others = |(key, _): &(&String, &Value)| key.as_str() != "containers";
    if !old.iter().filter(others).eq(new.iter().filter(others)) {
        return false;
    }
    let containers = |spec: &serde_json::Map<String, Value>| spec.get("containers").and_then(Value::as_array).cloned();
    let (old, new) = (containers(old).unwrap_or_default(), containers(new).unwrap_or_default());
    let kept = |(key, _): &(&String, &Value)| key.as_str() != "image" && !(resources && key.as_str() == "resources");
    let has_image = |container: &Value| !text(container, "/image").is_empty();
    old.len() == new.len()
        && old.iter().zip(&new).all(|(old, new)| {
            has_image(old) == has_image(new)
                && match (old.as_object(), new.as_object()) {
                    (Some(old), Some(new)) => old.iter().filter(kept).eq(new.iter().filter(kept)),
                    _ => false,
                }
        })
}

fn image_in<'a>(revision: &'a Value, container: &str) -> Option<&'a str> {
    images(revision, "/data/spec/template/spec/containers").find(|(name, _)| *name == container).map(|(_, image)| image)
}

fn ours(key: &str) -> bool {
    key.contains("kruise.io/") || key == REVISION || key == "pod-template-hash" || key.starts_with("inplace-update-")
}

fn tagged(image: &str) -> String {
    if image.contains(':') { image.to_owned() } else { format!("{image}:latest") }
}

#[cfg(test)]
mod tests {
    use super::super::picture::{PODS, REVISIONS};
    use super::super::story::{MANAGER, Story, cloneset};
    use crate::server::call::Verb;
    use serde_json::{Value, json};

    fn three(rolling: Value) -> Story {
        let mut whole = json!({"podUpdatePolicy": "InPlaceIfPossible", "maxUnavailable": 3});
        json_patch::merge(&mut whole, &rolling);
        let mut story = cloneset(json!({"replicas": 3, "updateStrategy": {"rollingUpdate": whole}}));
        story.runs("abc", 1);
        story.new_image(2, "app:2");
        story
    }

    type Change = fn(&mut Value);

    fn change(story: &mut Story, change: impl FnOnce(&mut Value)) {
        let mut object = story.object(PODS, "web-a");
        change(&mut object);
        story.write(MANAGER, Verb::Update, PODS, "web-a", Some(object));
    }

    #[test] // IU-21
    fn a_pod_is_marked_not_ready_before_its_image_changes() {
        let mut story = three(json!({}));
        story.updates("a", 2);
        story.keeps();
        story.switches("b", 2);
        story.breaks("inplace", "IU-21");
    }

    #[test] // IU-3, IU-33
    fn only_the_images_of_the_update_change() {
        let cases: [(Change, &str); 4] = [
            (|pod| pod["spec"]["containers"][0]["image"] = json!("app:9"), "web-r1 has app:1"),
            (|pod| pod["spec"]["containers"][0]["command"] = json!(["sh"]), "more of a Pod's spec"),
            (|pod| pod["metadata"]["labels"]["tier"] = json!("x"), "labels key tier"),
            (|pod| pod["metadata"]["uid"] = json!("other"), "uid"),
        ];
        for (does, part) in cases {
            let mut story = three(json!({}));
            story.marks("a");
            change(&mut story, does);
            story.breaks("inplace", part);
        }
    }

    #[test] // IU-22, IU-30
    fn the_grace_period_is_kept() {
        let mut story = three(json!({"inPlaceUpdateStrategy": {"gracePeriodSeconds": 600}}));
        story.marks("a");
        story.switches("a", 2);
        story.breaks("inplace", "IU-22");
    }

    #[test] // IU-43, IU-51
    fn a_pod_is_ready_again_when_its_containers_run_the_new_image() {
        let state = |next: Value| {
            json!({"lastContainerStatuses": {"main": {"imageID": "old"}}, "nextContainerImages": next}).to_string()
        };
        for (id, next, part) in [
            ("old", Value::Null, Some("IU-51")),
            ("new", json!({"side": "b:2"}), Some("IU-43")),
            ("new", Value::Null, None),
        ] {
            let mut story = three(json!({}));
            story.updates("a", 2);
            let status = json!({"name": "main", "imageID": id, "image": "app:1"});
            story.patch(
                MANAGER,
                PODS,
                "web-a",
                json!({"status": {"containerStatuses": [status]},
                "metadata": {"annotations": {"apps.kruise.io/inplace-update-state": state(next)}}}),
            );
            let ready = json!([{"type": "InPlaceUpdateReady", "status": "True"}]);
            story.patch(MANAGER, PODS, "web-a", json!({"status": {"conditions": ready}}));
            part.map_or_else(|| story.keeps(), |part| story.breaks("inplace", part));
        }
    }

    #[test] // CS-59, CS-134
    fn the_policy_says_how_pods_are_updated() {
        let mut story = three(json!({}));
        story.specifies(MANAGER, "a");
        story.breaks("inplace", "possible in place");

        let mut story = three(json!({"podUpdatePolicy": "ReCreate"}));
        story.specifies(MANAGER, "a");
        story.keeps();
        story.updates("b", 2);
        story.breaks("inplace", "policy is ReCreate");
    }

    #[test] // IU-3
    fn templates_that_differ_in_more_than_images_are_not_updated_in_place() {
        let mut story = three(json!({}));
        let containers = json!([{"name": "main", "image": "app:2", "command": ["sh"]}]);
        let data = json!({"spec": {"template": {"spec": {"containers": containers}}}});
        story.patch(MANAGER, REVISIONS, "web-r2", json!({"data": data}));
        story.news();
        story.specifies(MANAGER, "b");
        story.keeps();
        story.updates("a", 2);
        story.breaks("inplace", "IU-3");
    }
}

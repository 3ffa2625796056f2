//! Nothing is given twice: instance ids, claims, revision numbers, revision data.

use serde_json::Value;

use super::picture::{CLAIMS, Life, PODS, Picture, REVISIONS, Step};
use super::pod::INSTANCE;
use super::view::{controller, integer, label, text, value};
use crate::server::call::{Verb, Written};

/// What is wrong with a write on a Pod or a ControllerRevision.
pub(super) fn check(picture: &Picture, written: &Written, step: &Step) -> Option<String> {
    match written.resource.as_str() {
        PODS if step.before.is_none() && written.verb == Verb::Create => {
            let life = picture.life(&written.namespace, &written.name)?;
            named(picture, life).or_else(|| shared(picture, written, life))
        }
        REVISIONS => revision(picture, written),
        CLAIMS if written.verb == Verb::Delete => in_use(picture, written),
        _ => None,
    }
}

/// CS-65: a Pod's name is made of the CloneSet's and its instance id.
fn named(picture: &Picture, life: &Life) -> Option<String> {
    let set = picture.sets.get(life.set.as_ref()?)?;
    let id = label(&life.pod.object, INSTANCE).unwrap_or_default();
    let want = format!("{}-{id}", set.name);
    (life.pod.name != want).then(|| format!("creates a Pod with instance id {id:?} that is not named {want} (CS-65)"))
}

/// CS-66, CS-67: no other Pod that still exists has its instance id or one of its claims.
fn shared(picture: &Picture, written: &Written, life: &Life) -> Option<String> {
    let id = label(&life.pod.object, INSTANCE);
    for (name, other) in picture.pods.get(&written.namespace)? {
        if *name == written.name {
            continue;
        }
        let same_owner = other.pod.controller.is_some() && other.pod.controller == life.pod.controller;
        if same_owner && id.is_some() && label(&other.pod.object, INSTANCE) == id {
            return Some(format!("creates a Pod with the instance id {} of {name} (CS-66)", id.unwrap_or_default()));
        }
        if let Some(claim) = life.pod.claims().find(|claim| other.pod.claims().any(|theirs| theirs == *claim)) {
            // A claim that the template itself names is shared on purpose.
            if id.is_some_and(|id| claim.ends_with(&format!("-{id}"))) {
                return Some(format!("creates a Pod with claim {claim}, which {name} uses (CS-66, CS-67)"));
            }
        }
    }
    None
}

/// CS-47, CS-60: a claim goes after its Pod.
fn in_use(picture: &Picture, written: &Written) -> Option<String> {
    let mut pods = picture.pods.get(&written.namespace)?.values();
    let user = pods.find(|life| life.set.is_some() && life.pod.claims().any(|claim| claim == written.name))?;
    Some(format!("deletes a claim that active Pod {} mounts (CS-47, CS-60)", user.pod.name))
}

/// CS-20: a revision that is the newest or that a Pod carries is kept.
fn truncated(picture: &Picture, before: &Value) -> Option<String> {
    let set = picture.sets.get(controller(before)?)?;
    let (name, number) = (text(before, "/metadata/name"), integer(before, "/revision").unwrap_or(0));
    if set.revisions.values().all(|other| other.number < number) {
        return Some("deletes the newest revision (CS-20)".to_owned());
    }
    let carrier = picture.members(set).find(|life| life.pod.carries(name))?;
    Some(format!("deletes a revision that {} carries (CS-20)", carrier.pod.name))
}

/// RV-2, RV-4, RV-5: numbers are given once and grow; equal data is not stored twice.
fn revision(picture: &Picture, written: &Written) -> Option<String> {
    if written.after.is_none() {
        return truncated(picture, written.before.as_ref()?);
    }
    let after = written.after.as_ref()?;
    let number = integer(after, "/revision").unwrap_or(0);
    let before = written.before.as_ref().map(|before| integer(before, "/revision").unwrap_or(0));
    if before == Some(number) {
        return None;
    }
    let set = picture.sets.get(controller(after)?)?;
    // One that others gave up a moment ago may not look like the CloneSet's yet (RV-4).
    let known = picture.knowledge.understood(written.at, &written.caller, REVISIONS);
    let version = |other: &Value| text(other, "/metadata/resourceVersion").parse::<u64>().unwrap_or_default();
    let unseen = |other: &Value| controller(other).is_none() && version(other) > known;
    let others = set.revisions.iter().filter(|(name, other)| **name != written.name && !unseen(&other.object));
    for (name, other) in others {
        if other.number >= number {
            return Some(format!("gives number {number}, but {name} has {} already (RV-4, RV-5)", other.number));
        }
        if before.is_none() && value(&other.object, "/data") == value(after, "/data") {
            return Some(format!("creates a revision with the data of {name} (RV-2, RV-5)"));
        }
    }
    if before.is_some_and(|before| before > number) {
        return Some(format!("lowers the number of {} to {number} (RV-5)", text(after, "/metadata/name")));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::picture::{CLAIMS, PODS, REVISIONS};
    use super::super::story::{MANAGER, Story, USER, cloneset, owner};
    use crate::server::call::Verb;
    use serde_json::{Value, json};

    #[test] // RV-4
    fn a_revision_that_others_gave_up_a_moment_ago_may_not_count_yet() {
        let revision = |name: &str, image: &str, owner: Value| {
            let data = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}});
            json!({"metadata": {"name": name, "labels": {"app": "web"}, "ownerReferences": owner,
                "resourceVersion": "99"}, "revision": 7, "data": data})
        };
        let mut story = cloneset(json!({"replicas": 1}));
        story.create(USER, REVISIONS, "web-r7", revision("web-r7", "app:7", Value::Null));
        story.create(MANAGER, REVISIONS, "web-r8", revision("web-r8", "app:8", owner()));
        story.keeps();
    }

    #[test] // CS-65, CS-66
    fn an_instance_id_is_given_to_one_pod() {
        let mut story = cloneset(json!({"replicas": 3}));
        story.creates("ab", 1);
        story.keeps();
        let mut object = Story::new_pod('c', 1);
        object["metadata"]["labels"]["apps.kruise.io/cloneset-instance-id"] = json!("a");
        story.create(MANAGER, PODS, "web-c", object);
        story.breaks("identity", "not named web-a");
    }

    #[test] // CS-67
    fn a_claim_is_given_to_one_pod() {
        let claim =
            |id: char| json!([{"name": "data", "persistentVolumeClaim": {"claimName": format!("data-web-{id}")}}]);
        let mut story = cloneset(json!({"replicas": 3}));
        for (id, of) in [('a', 'a'), ('b', 'c'), ('c', 'c')] {
            story.keeps();
            let mut object = Story::new_pod(id, 1);
            object["spec"]["volumes"] = claim(of);
            story.create(MANAGER, PODS, &format!("web-{id}"), object);
        }
        story.breaks("identity", "claim data-web-c, which web-b uses");
    }

    #[test] // CS-47, CS-60
    fn a_claim_goes_after_its_pod() {
        let mut story = cloneset(json!({"replicas": 1}));
        let object = json!({"metadata": {"name": "data-web-a", "namespace": "sim", "ownerReferences": owner()}});
        story.create(MANAGER, CLAIMS, "data-web-a", object);
        let mut object = Story::new_pod('a', 1);
        object["spec"]["volumes"] = json!([{"persistentVolumeClaim": {"claimName": "data-web-a"}}]);
        story.create(MANAGER, PODS, "web-a", object);
        story.keeps();
        story.write(MANAGER, Verb::Delete, CLAIMS, "data-web-a", None);
        story.breaks("identity", "active Pod web-a mounts");
    }

    #[test] // RV-2, RV-4, RV-5
    fn revision_numbers_grow_and_data_is_stored_once() {
        for (number, image, part) in
            [(2, "app:3", "has 2 already"), (1, "app:3", "has 1 already"), (3, "app:1", "data of web-r1")]
        {
            let mut story = cloneset(json!({"replicas": 3}));
            story.new_image(2, "app:2");
            story.keeps();
            story.create(MANAGER, REVISIONS, "web-x", Story::revision_object(number, image));
            story.breaks("identity", part);
        }
    }

    #[test] // CS-20
    fn revisions_in_use_are_kept() {
        for (name, part) in [("web-r3", Some("newest")), ("web-r2", None), ("web-r1", Some("web-a carries"))] {
            let mut story = cloneset(json!({"replicas": 1}));
            story.runs("a", 1);
            story.new_image(2, "app:2");
            story.new_image(3, "app:3");
            story.write(MANAGER, Verb::Delete, REVISIONS, name, None);
            part.map_or_else(|| story.keeps(), |part| story.breaks("identity", part));
        }
    }

    #[test] // RV-5
    fn an_older_revision_gets_the_next_number() {
        let mut story = cloneset(json!({"replicas": 3}));
        story.new_image(2, "app:2");
        story.patch(MANAGER, REVISIONS, "web-r1", json!({"revision": 3}));
        story.keeps();
    }
}

//! Snapshots for tests of whole passes, and plans as lines that a person can read.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    cloneset::CloneSet,
    k8s::{ControllerRevision, PersistentVolumeClaim, Pod},
};
use rules::{
    inplace::EnvFromMetadata,
    revision,
    write::{Step, Verb, Write},
};
use serde_json::{Value, json};

use super::fixtures::{CloneSetFixture, NEW, OLD, PodsFixture, UID, now};
use crate::cloneset::{
    numbers::{PreparingDelete, Rollback},
    plan::{Plan, plan},
    snapshot::{ClaimChange, PreparingUpdate, Revision, RevisionLabel, Revisions, Settings, Snapshot},
};

/// What flags and gates say by default.
pub(crate) const SETTINGS: Settings = Settings {
    revision_label: RevisionLabel::Name,
    rollback: Rollback::Off,
    preparing_update: PreparingUpdate::ByRevision,
    preparing_delete: PreparingDelete::Counts,
    env_from_metadata: EnvFromMetadata::Obstacle,
    claim_change: ClaimChange::Ignored,
};

fn stored(name: &str, number: i64, template: &Value) -> Arc<ControllerRevision> {
    Arc::new(ControllerRevision {
        data: revision::data(template),
        ..serde_json::from_value(
            json!({"metadata": {"name": name, "uid": format!("uid-of-{name}")}, "revision": number}),
        )
        .unwrap()
    })
}

/// A CloneSet between the revisions [`OLD`] and [`NEW`], which differ in the image.
pub(crate) fn world(cloneset: CloneSetFixture) -> World {
    let cloneset = cloneset.build();
    let new = cloneset.spec.template.clone();
    let mut old = new.clone();
    old["spec"]["containers"][0]["image"] = json!("web:1");
    World(Snapshot {
        revisions: Revisions {
            current: Revision { name: OLD.into(), template: old.clone() },
            update: Revision { name: NEW.into(), template: new.clone() },
            history: vec![stored(OLD, 1, &old), stored(NEW, 2, &new)],
            collisions: 0,
        },
        cloneset: Arc::new(cloneset),
        pods: Vec::new(),
        inactive: Vec::new(),
        claims: Vec::new(),
        nodes: BTreeMap::new(),
        settings: SETTINGS,
        seed: 1,
    })
}

/// A snapshot in the making.
#[derive(Clone)]
pub(crate) struct World(pub(crate) Snapshot);

impl World {
    /// Owning these Pods, which have been let be ready.
    pub(crate) fn owning(mut self, pods: PodsFixture) -> Self {
        self.0.pods.extend(pods.build().into_iter().map(|pod| Arc::new(let_ready(Arc::unwrap_or_clone(pod)))));
        self
    }

    /// Owning these Pods as they are.
    pub(crate) fn owning_raw(mut self, pods: PodsFixture) -> Self {
        self.0.pods.extend(pods.build());
        self
    }

    /// Where Pods come from the update revision already.
    pub(crate) fn settled(mut self) -> Self {
        self.0.revisions.current = self.0.revisions.update.clone();
        self
    }

    /// With other flags or gates.
    pub(crate) fn settings(mut self, change: impl Fn(&mut Settings)) -> Self {
        change(&mut self.0.settings);
        self
    }

    /// Owning claims with these instance ids.
    pub(crate) fn claims(mut self, ids: &[&str]) -> Self {
        for id in ids {
            let claim = json!({"metadata": {"name": format!("data-web-{id}"), "namespace": "shop", "uid": format!("uid-of-{id}"),
                "labels": {"apps.kruise.io/cloneset-instance-id": id},
                "ownerReferences": [{"apiVersion": "apps.kruise.io/v1beta1", "kind": "CloneSet", "name": "web", "uid": UID}]}});
            self.0.claims.push(Arc::new(serde_json::from_value::<PersistentVolumeClaim>(claim).unwrap()));
        }
        self
    }

    /// With this stored status.
    pub(crate) fn status(mut self, status: Value) -> Self {
        let cloneset = CloneSet { status: serde_json::from_value(status).unwrap(), ..(*self.0.cloneset).clone() };
        self.0.cloneset = Arc::new(cloneset);
        self
    }

    /// The plan of one pass.
    pub(crate) fn plan(&self) -> Plan {
        plan(&self.0, now())
    }
}

/// The Pod as the kubelet and the engine leave it once it may be ready.
pub(crate) fn let_ready(mut pod: Pod) -> Pod {
    let condition = json!({"type": "InPlaceUpdateReady", "status": "True"});
    let mut conditions = pod.status.conditions.to_vec();
    conditions.push(serde_json::from_value(condition).unwrap());
    pod.status.conditions = conditions.into();
    pod
}

/// A plan's writes, a line each: what is done first, then, behind `else`, what is done if that writes nothing.
pub(crate) fn lines(plan: &Plan) -> Vec<String> {
    let of = |step: &Option<Step>, before: &str| -> Vec<String> {
        let writes = step.iter().flat_map(|step| step.groups.iter().flatten());
        writes.map(|write| format!("{before}{}", line(write))).collect()
    };
    let mut lines = of(&plan.scale, "");
    lines.extend(of(&plan.update, if plan.scale.is_some() { "else " } else { "" }));
    lines
}

fn line(write: &Write) -> String {
    let verb = match &write.verb {
        Verb::Create { .. } => "create",
        Verb::Delete { .. } => "delete",
        Verb::Patch { .. } => "patch",
    };
    let to = write.revision.as_ref().map_or_else(String::new, |revision| format!(" -> {revision}"));
    format!("{verb} {} ({}){to}", write.name, write.reason)
}

/// The Pod objects that a plan creates.
pub(crate) fn created(plan: &Plan) -> Vec<Value> {
    let writes = plan.scale.iter().flat_map(|step| step.groups.iter().flatten());
    writes
        .filter_map(|write| match &write.verb {
            Verb::Create { body } if body["kind"] == json!("Pod") => Some(body.clone()),
            _ => None,
        })
        .collect()
}

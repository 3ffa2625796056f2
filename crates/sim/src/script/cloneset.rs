//! CloneSets and their users: valid specs, and edits that keep them valid and able to come to rest.
//!
//! Left out on purpose, because they stop by design and not by a fault: changes that `InPlaceOnly` cannot carry out,
//! hooks that nobody releases, and a paused CloneSet without any budget (pausing takes the surge away).

use serde_json::{Value, json};

use super::draw::Draw;
use super::generate::{Actor, difference};
use super::{Step, Target};

/// How Pods are updated.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Policy {
    #[default]
    ReCreate,
    InPlaceIfPossible,
    InPlaceOnly,
}

/// A number or a percentage.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Amount {
    #[default]
    Absent,
    Number(u32),
    Percent(&'static str),
}

/// What users change.
#[derive(Clone, Copy, Default)]
enum Edit {
    #[default]
    Image,
    ImageBack,
    SideImage,
    Annotation,
    Label,
    Environment,
    Scale,
    ScaleAndImage,
    Partition,
    Pause,
    Budget,
    CreationBudget,
    MinReady,
    Policy,
    AbsentPod,
}

const EDITS: &[(u32, Edit)] = &[
    (26, Edit::Image),
    (10, Edit::ImageBack),
    (4, Edit::SideImage),
    (3, Edit::Annotation),
    (3, Edit::Label),
    (9, Edit::Environment),
    (18, Edit::Scale),
    (5, Edit::ScaleAndImage),
    (11, Edit::Partition),
    (7, Edit::Pause),
    (8, Edit::Budget),
    (3, Edit::CreationBudget),
    (2, Edit::MinReady),
    (3, Edit::Policy),
    (2, Edit::AbsentPod),
];

const REPLICAS: &[(u32, (u32, u32))] = &[(4, (0, 0)), (12, (1, 2)), (66, (3, 6)), (14, (7, 8)), (4, (9, 12))];

/// What its controller watches; most passes hang on Pods.
const WATCHES: &[(u32, &str)] =
    &[(10, "pods"), (4, "clonesets.apps.kruise.io"), (2, "controllerrevisions.apps"), (2, "persistentvolumeclaims")];

/// What one user wants of one CloneSet.
struct CloneSet {
    target: Target,
    replicas: u32,
    image: u32,
    side_image: Option<u32>,
    annotation: u32,
    label: u32,
    environment: u32,
    claims: bool,
    reuse_claims: bool,
    termination_seconds: Option<u32>,
    policy: Policy,
    partition: Amount,
    max_unavailable: Amount,
    max_surge: Amount,
    paused: bool,
    grace_seconds: Option<u32>,
    creation_budget: Amount,
    min_ready_seconds: u32,
    progress_deadline_seconds: Option<u32>,
    revision_history_limit: Option<u32>,
}

/// One user with one CloneSet, or two with one each.
pub(super) fn actors(draw: &mut Draw) -> Vec<Box<dyn Actor>> {
    let names: &[&str] = if draw.percent(80) { &["web"] } else { &["web", "api"] };
    names.iter().map(|name| Box::new(CloneSet::drawn(name, draw)) as Box<dyn Actor>).collect()
}

impl CloneSet {
    fn drawn(name: &str, draw: &mut Draw) -> Self {
        let mut drawn = Self {
            target: Target::new("CloneSet", name),
            replicas: replicas(draw),
            image: 1,
            side_image: draw.percent(30).then_some(1),
            annotation: 0,
            label: 0,
            environment: 0,
            claims: draw.percent(25),
            reuse_claims: draw.percent(50),
            termination_seconds: draw.weighted(&[(40, None), (30, Some(1)), (30, Some(10))]),
            policy: draw.weighted(&[
                (40, Policy::ReCreate),
                (42, Policy::InPlaceIfPossible),
                (18, Policy::InPlaceOnly),
            ]),
            partition: if draw.percent(25) { partition(draw) } else { Amount::Absent },
            max_unavailable: Amount::Absent,
            max_surge: Amount::Absent,
            paused: draw.percent(4),
            grace_seconds: draw.weighted(&[(75, None), (15, Some(2)), (10, Some(10))]),
            creation_budget: if draw.percent(20) { creation_budget(draw) } else { Amount::Absent },
            min_ready_seconds: draw.weighted(&[(75, 0), (10, 2), (10, 5), (5, 20)]),
            progress_deadline_seconds: draw.weighted(&[(85, None), (8, Some(30)), (7, Some(120))]),
            revision_history_limit: draw.weighted(&[(75, None), (8, Some(0)), (9, Some(1)), (8, Some(2))]),
        };
        drawn.draw_budget(draw);
        drawn
    }

    /// maxUnavailable and maxSurge. Never both 0, no surge for `InPlaceOnly`, and none while paused, which would
    /// leave a CloneSet with maxUnavailable 0 without a way to replace a Pod.
    fn draw_budget(&mut self, draw: &mut Draw) {
        use Amount::{Absent, Number, Percent};
        let may_surge = self.policy != Policy::InPlaceOnly && !self.paused;
        let surges = [(55, Absent), (20, Number(1)), (10, Number(2)), (5, Number(3)), (10, Percent("30%"))];
        self.max_surge = if may_surge { draw.weighted(&surges) } else { Absent };
        let nothing = if self.max_surge == Absent { 0 } else { 40 };
        self.max_unavailable = draw.weighted(&[
            (nothing, Number(0)),
            (25, Absent),
            (25, Number(1)),
            (20, Number(2)),
            (6, Number(3)),
            (10, Percent("25%")),
            (8, Percent("50%")),
            (4, Percent("100%")),
        ]);
    }

    /// Whether this can be wanted now, and if so it is.
    fn want(&mut self, edit: Edit, draw: &mut Draw) -> bool {
        match edit {
            Edit::Image => self.image = if self.image == 2 || draw.percent(25) { 3 } else { 2 },
            Edit::ImageBack => self.image = 1,
            Edit::SideImage => match self.side_image.as_mut() {
                Some(side) => *side = 3 - (*side).min(2),
                None => return false,
            },
            Edit::Annotation => self.annotation += 1,
            Edit::Label => self.label += 1,
            Edit::Environment if self.policy == Policy::InPlaceOnly => return false,
            Edit::Environment => self.environment += 1,
            Edit::Scale => self.replicas = self.scaled(draw),
            Edit::ScaleAndImage => {
                self.replicas = self.scaled(draw);
                self.image = self.image % 3 + 1;
            }
            Edit::Partition => {
                self.partition = if draw.percent(45) { Amount::Absent } else { partition(draw) };
            }
            Edit::Pause if self.max_surge != Amount::Absent => return false,
            Edit::Pause => self.paused = !self.paused,
            Edit::Budget => self.draw_budget(draw),
            Edit::CreationBudget => self.creation_budget = creation_budget(draw),
            Edit::MinReady => self.min_ready_seconds = draw.one_of(&[0, 1, 3, 8, 15]),
            Edit::Policy => match self.policy {
                Policy::ReCreate => self.policy = Policy::InPlaceIfPossible,
                Policy::InPlaceIfPossible => self.policy = Policy::ReCreate,
                Policy::InPlaceOnly => return false,
            },
            Edit::AbsentPod => return false,
        }
        true
    }

    fn scaled(&self, draw: &mut Draw) -> u32 {
        let step = draw.number(1..=3);
        match draw.number(1..=10) {
            1..=4 => (self.replicas + step).min(12),
            5..=8 => self.replicas.saturating_sub(step).max(1),
            _ => replicas(draw),
        }
    }

    /// Null where there is nothing.
    fn template(&self) -> Value {
        let main = json!({
            "name": "main",
            "image": format!("app:v{}", self.image),
            "env": (self.environment > 0).then(|| json!([{"name": "MODE", "value": self.environment.to_string()}])),
            "volumeMounts": self.claims.then(|| json!([{"name": "data", "mountPath": "/data"}])),
        });
        let side = self.side_image.map(|version| json!({"name": "side", "image": format!("side:v{version}")}));
        json!({
            "metadata": {
                "labels": {"app": self.target.name, "track": (self.label > 0).then(|| format!("t{}", self.label))},
                "annotations": (self.annotation > 0).then(|| json!({"note": self.annotation.to_string()})),
            },
            "spec": {
                "containers": std::iter::once(main).chain(side).collect::<Vec<Value>>(),
                "terminationGracePeriodSeconds": self.termination_seconds,
            },
        })
    }

    fn spec(&self) -> Value {
        let grace_seconds = self.grace_seconds.filter(|_| self.policy != Policy::ReCreate);
        let scales = self.claims || self.creation_budget != Amount::Absent;
        without_nulls(json!({
            "replicas": self.replicas,
            "selector": {"matchLabels": {"app": self.target.name}},
            "template": self.template(),
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {
                "podUpdatePolicy": self.policy.word(),
                "partition": self.partition.value(),
                "maxUnavailable": self.max_unavailable.value(),
                "maxSurge": self.max_surge.value(),
                "paused": self.paused.then_some(true),
                "inPlaceUpdateStrategy": grace_seconds.map(|seconds| json!({"gracePeriodSeconds": seconds})),
            }},
            "scaleStrategy": scales.then(|| json!({
                "maxUnavailable": self.creation_budget.value(),
                "enablePVCReuse": self.claims.then_some(self.reuse_claims),
            })),
            "volumeClaimTemplates": self.claims.then(|| json!([{
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }])),
            "minReadySeconds": (self.min_ready_seconds > 0).then_some(self.min_ready_seconds),
            "progressDeadlineSeconds": self.progress_deadline_seconds,
            "revisionHistoryLimit": self.revision_history_limit,
        }))
    }
}

impl Actor for CloneSet {
    fn target(&self) -> &Target {
        &self.target
    }

    fn object(&self) -> Value {
        json!({
            "apiVersion": "apps.kruise.io/v1beta1",
            "kind": "CloneSet",
            "metadata": {"name": self.target.name, "namespace": "sim"},
            "spec": self.spec(),
        })
    }

    fn edit(&mut self, draw: &mut Draw) -> Step {
        let before = self.spec();
        let target = self.target.clone();
        let edit = loop {
            match draw.weighted(EDITS) {
                // No instance id has an `a`: the controller takes the name out again.
                Edit::AbsentPod => {
                    let name = format!("{}-aaaaa", target.name);
                    return Step::Set { target, patch: json!({"spec": {"scaleStrategy": {"podsToDelete": [name]}}}) };
                }
                edit if self.want(edit, draw) && self.spec() != before => break edit,
                _ => {}
            }
        };
        match edit {
            Edit::Scale if draw.percent(50) => Step::Scale { target, replicas: self.replicas },
            _ => Step::Set { target, patch: json!({"spec": difference(&before, &self.spec())}) },
        }
    }

    fn touch(&self, draw: &mut Draw) -> Value {
        match draw.number(1..=10) {
            1..=7 => json!({"metadata": {"labels": {"apps.kruise.io/specified-delete": "true"}}}),
            // Out of the selector: the CloneSet lets go of it. Not with claims, whose ids it would want back.
            8 if !self.claims => json!({"metadata": {"labels": {"app": "released"}}}),
            _ => json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-10"}}}),
        }
    }

    fn watches(&self) -> &'static [(u32, &'static str)] {
        WATCHES
    }
}

impl Policy {
    fn word(self) -> &'static str {
        match self {
            Self::ReCreate => "ReCreate",
            Self::InPlaceIfPossible => "InPlaceIfPossible",
            Self::InPlaceOnly => "InPlaceOnly",
        }
    }
}

impl Amount {
    /// Null where it is absent.
    fn value(self) -> Value {
        match self {
            Self::Absent => Value::Null,
            Self::Number(number) => number.into(),
            Self::Percent(percent) => percent.into(),
        }
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let left = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(left.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        value => value,
    }
}

fn replicas(draw: &mut Draw) -> u32 {
    let (least, most) = draw.weighted(REPLICAS);
    draw.number(least..=most)
}

fn partition(draw: &mut Draw) -> Amount {
    use Amount::{Number, Percent};
    let percents = [Percent("30%"), Percent("50%"), Percent("99%"), Percent("100%"), Percent("12.5%")];
    if draw.percent(65) { Number(draw.number(1..=5)) } else { draw.one_of(&percents) }
}

fn creation_budget(draw: &mut Draw) -> Amount {
    draw.one_of(&[Amount::Number(1), Amount::Number(2), Amount::Number(3), Amount::Percent("50%")])
}

#[cfg(test)]
mod tests;

//! One container as the runtime knows it, and its entry in the status of the Pod.

use serde_json::{Value, json};

use crate::actors::fields::{at, set, text};

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Ends before the others start.
    Init,
    /// An init container that goes on.
    Sidecar,
    /// A container of the Pod proper.
    Main,
}

/// What it does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Life {
    /// Never ran.
    Waiting,
    /// Runs since.
    Up(String),
    /// Ended; this is its `terminated`.
    Ended(Value),
    /// Ended with an error and is not started again for now.
    BackingOff(Value),
    /// Its image cannot be pulled; this is the `terminated` of the run before, null if it never ran.
    Unpulled(Value),
}

#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) role: Role,
    /// The image that runs or ran last.
    pub(super) image: String,
    /// The image that it is on the way to.
    pub(super) wanted: String,
    pub(super) id: String,
    pub(super) restarts: u32,
    pub(super) life: Life,
    /// `terminated` of the run before.
    pub(super) last: Value,
    pub(super) probed: bool,
    /// Counts changes of plan: steps that were planned under an earlier one are void.
    pub(super) course: u32,
    /// Resources that it has.
    pub(super) resources: Value,
    /// Resources that the node keeps for it.
    pub(super) allocated: Value,
}

impl Container {
    /// As it is before it ever ran.
    pub(super) fn new(spec: &Value, role: Role) -> Self {
        let text = |field: &str| text(at(spec, field)).to_owned();
        Self {
            name: text("name"),
            role,
            image: text("image"),
            wanted: text("image"),
            id: String::new(),
            restarts: 0,
            life: Life::Waiting,
            last: Value::Null,
            probed: false,
            course: 0,
            resources: Value::Null,
            allocated: Value::Null,
        }
    }

    /// Runs the image. An init container has done its work at once.
    pub(super) fn start(&mut self, spec: &Value, id: String, stamp: &str) {
        if self.has_run() {
            self.restarts += 1;
        }
        self.stop(0, stamp);
        if self.has_run() {
            self.last = self.take_ended();
        }
        self.id = id;
        text(at(spec, "image")).clone_into(&mut self.image);
        self.wanted.clone_from(&self.image);
        self.allocated.clone_from(at(spec, "resources"));
        self.resources.clone_from(at(spec, "resources"));
        self.probed = self.role == Role::Init;
        self.life = Life::Up(stamp.to_owned());
        if self.role == Role::Init {
            self.stop(0, stamp);
        }
    }

    /// Fails to run the image, which is none that can be pulled. What ran before is ended all the same.
    pub(super) fn fail_to_pull(&mut self, spec: &Value, stamp: &str) {
        self.stop(0, stamp);
        text(at(spec, "image")).clone_into(&mut self.wanted);
        if !self.has_run() {
            self.image.clone_from(&self.wanted);
        }
        self.life = Life::Unpulled(self.take_ended());
    }

    fn take_ended(&mut self) -> Value {
        match &mut self.life {
            Life::Ended(ended) | Life::BackingOff(ended) | Life::Unpulled(ended) => ended.take(),
            Life::Waiting | Life::Up(_) => Value::Null,
        }
    }

    /// Ends it, if it runs.
    pub(super) fn stop(&mut self, exit_code: u8, stamp: &str) {
        if let Life::Up(since) = &self.life {
            let reason = if exit_code == 0 { "Completed" } else { "Error" };
            self.life = Life::Ended(json!({"exitCode": exit_code, "reason": reason, "startedAt": since,
                "finishedAt": stamp, "containerID": self.id}));
        }
    }

    /// Ends it with an error if it runs, and lets it wait for its next start.
    pub(super) fn crash(&mut self, stamp: &str) {
        self.stop(1, stamp);
        if let Life::Ended(ended) = &mut self.life {
            self.life = Life::BackingOff(ended.take());
        }
        self.course += 1;
    }

    /// Whether it runs or ran.
    pub(super) fn has_run(&self) -> bool {
        !matches!(&self.life, Life::Waiting | Life::Unpulled(Value::Null))
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.life, Life::Up(_))
    }

    pub(super) fn is_resizing(&self) -> bool {
        self.is_up() && self.resources != self.allocated
    }

    /// Whether it counts as ready while the probes of the Pod succeed or fail.
    pub(super) fn is_ready(&self, probes: Probes) -> bool {
        match self.role {
            Role::Init => matches!(self.life, Life::Ended(_)),
            Role::Sidecar | Role::Main => self.is_up() && self.probed && probes == Probes::Succeed,
        }
    }

    /// Its entry among the container statuses.
    pub(super) fn status(&self, spec: &Value, probes: Probes) -> Value {
        let (state, last) = match &self.life {
            Life::Waiting => (json!({"waiting": {"reason": "ContainerCreating"}}), Value::Null),
            Life::Up(since) => (json!({"running": {"startedAt": since}}), self.last.clone()),
            Life::Ended(ended) => (json!({"terminated": ended}), self.last.clone()),
            Life::BackingOff(ended) => {
                let message = format!("back-off restarting failed container={}", self.name);
                (json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}}), ended.clone())
            }
            Life::Unpulled(ended) => {
                let message = format!("Back-off pulling image \"{}\"", self.wanted);
                (json!({"waiting": {"reason": "ImagePullBackOff", "message": message}}), ended.clone())
            }
        };
        let last = if last.is_null() { json!({}) } else { json!({"terminated": last}) };
        let started = self.is_up() && (self.probed || at(spec, "startupProbe").is_null());
        let mut status = json!({"name": self.name, "image": self.image, "imageID": "", "ready": self.is_ready(probes),
            "started": started, "restartCount": self.restarts, "state": state, "lastState": last});
        if self.has_run() {
            set(&mut status, "imageID", image_id(&self.image));
            set(&mut status, "containerID", self.id.clone());
            let resources = if self.resources.is_null() { json!({}) } else { self.resources.clone() };
            set(&mut status, "resources", resources);
            if let Some(requests) = self.allocated.get("requests") {
                set(&mut status, "allocatedResources", requests.clone());
            }
        }
        status
    }
}

/// How the readiness probes of a Pod go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probes {
    Succeed,
    Fail,
}

/// Whether the registry has the image: all but those with `unpullable` in their name.
pub(super) fn can_be_pulled(image: &Value) -> bool {
    !text(image).contains("unpullable")
}

/// The digest of an image: the same for the same name, another one for another.
fn image_id(image: &str) -> String {
    let seed = image
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("sha256:{}", digest(&mut fastrand::Rng::with_seed(seed)))
}

/// 64 hexadecimal digits.
pub(super) fn digest(chance: &mut fastrand::Rng) -> String {
    (0..4).map(|_| format!("{:016x}", chance.u64(..))).collect()
}

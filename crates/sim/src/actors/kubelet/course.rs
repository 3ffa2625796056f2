//! What happens to a Pod on its node, step by step.

use serde_json::Value;

use super::container::{can_be_pulled, digest};
use super::{Life, Machine, Millis, PodRef, REMOVE, Role, Scene, State, task, turns};
use crate::actors::agenda::{Disturbance, Step, Turn};
use crate::actors::fields::{at, list, text};

/// From a running container to its successful probes.
const PROBE: Millis = 500..4_000;
/// From the sight of a new image to the container that runs it.
const REPLACE: Millis = 1_000..3_000;
/// From the sight of new resources to the container that has them.
const RESIZE: Millis = 100..1_000;
/// A container that ends soon after it is told so; the others use up to the whole grace period.
const PROMPT: Millis = 200..2_000;
/// What the kubelet keeps of the grace period for its own writes.
const RESERVE: u64 = 500;

impl Machine {
    /// Takes a step and writes what came of it.
    pub(super) fn take(&mut self, pod: &PodRef, live: &Value, step: Step, scene: &mut Scene<'_>) {
        let stamp = scene.stamp();
        match step {
            Step::Look => {
                if !at(live, "metadata.deletionTimestamp").is_null() && self.begin_to_end(pod, live, scene) {
                    return;
                }
                self.follow(pod, live, scene);
            }
            Step::Start(turns) | Step::Restart(turns) => self.start(pod, live, &turns, scene),
            Step::Stop(turns) => self.of_course(&turns).for_each(|(_, container)| container.stop(0, &stamp)),
            Step::Probed(turns) => self.of_course(&turns).for_each(|(_, container)| container.probed = true),
            Step::Resize(turn) => {
                self.of_course(&[turn]).for_each(|(_, container)| container.resources.clone_from(&container.allocated));
            }
            Step::Recover(failure) if failure == self.failures => self.probes_fail = false,
            Step::End(ending) if ending == self.endings => self.end(pod, scene),
            Step::Disturb(how) => self.disturb(pod, live, how, scene),
            Step::Recover(_) | Step::End(_) | Step::Remove => return,
        }
        self.write(pod, live, scene);
    }

    /// Starts containers with what the Pod says now.
    fn start(&mut self, pod: &PodRef, live: &Value, which: &[Turn], scene: &mut Scene<'_>) {
        let stamp = scene.stamp();
        let mut started = Vec::new();
        for (index, container) in self.of_course(which) {
            let spec = spec(live, &container.name);
            if !can_be_pulled(at(spec, "image")) {
                container.fail_to_pull(spec, &stamp);
                continue;
            }
            let id = format!("containerd://{}", digest(scene.chance));
            container.start(spec, id, &stamp);
            // After the return of a lost node what was late comes in any order: a stop of the run before is void.
            container.course += 1;
            started.push(Turn { container: index, course: container.course });
        }
        if self.is_alive() {
            self.sandbox = true;
        }
        if !started.is_empty() {
            scene.later(PROBE, task(pod, Step::Probed(started)));
        }
    }

    /// Brings the containers to what the Pod says: other images restart a container, other resources do where its
    /// resize policy demands it.
    fn follow(&mut self, pod: &PodRef, live: &Value, scene: &mut Scene<'_>) {
        if !self.is_alive() {
            return;
        }
        let mut restarts = Vec::new();
        for (index, container) in self.containers.iter_mut().enumerate() {
            let spec = spec(live, &container.name);
            // A container that is not started yet, or backs off, takes everything from the Pod when it starts.
            if container.role == Role::Init || matches!(container.life, Life::Waiting | Life::BackingOff(_)) {
                continue;
            }
            let turn = |course| Turn { container: index, course };
            let resized = container.allocated != *at(spec, "resources");
            if text(at(spec, "image")) != container.wanted {
                text(at(spec, "image")).clone_into(&mut container.wanted);
                container.course += 1;
                if container.wanted != container.image || !container.is_up() {
                    restarts.push(turn(container.course));
                } else {
                    // Back to what runs: nothing is restarted, and what the former plan still had to do goes on.
                    if !container.probed {
                        scene.later(PROBE, task(pod, Step::Probed(vec![turn(container.course)])));
                    }
                    scene.later(RESIZE, task(pod, Step::Resize(turn(container.course))));
                }
            } else if resized && must_restart(spec, &container.allocated) {
                container.course += 1;
                restarts.push(turn(container.course));
            } else if resized {
                scene.later(RESIZE, task(pod, Step::Resize(turn(container.course))));
            }
            container.allocated.clone_from(at(spec, "resources"));
        }
        if restarts.is_empty() {
            return;
        }
        // Sometimes it takes a while until the new container runs, and the old one is seen to have ended.
        let time = scene.chance.u64(REPLACE);
        if scene.chance.u8(..3) == 0 {
            scene.later(time / 3..time, task(pod, Step::Stop(restarts.clone())));
        }
        scene.later(time..time, task(pod, Step::Start(restarts)));
    }

    /// The Pod is deleted: plans its end. False where that is planned already.
    fn begin_to_end(&mut self, pod: &PodRef, live: &Value, scene: &mut Scene<'_>) -> bool {
        let grace = at(live, "metadata.deletionGracePeriodSeconds").as_u64().unwrap_or(30);
        if self.grace.is_some_and(|planned| planned <= grace) {
            return false;
        }
        self.grace = Some(grace);
        if matches!(self.state, State::Ended { .. }) {
            scene.later(REMOVE, task(pod, Step::Remove));
            return true;
        }
        self.state = State::Stopping;
        self.endings += 1;
        let most = (grace * 1_000).saturating_sub(RESERVE);
        let runs = self.containers.iter().any(super::Container::is_up);
        let delay = match scene.chance.u8(..4) {
            _ if !runs => REMOVE,
            0 => PROMPT.start.min(most)..most,
            _ => PROMPT.start.min(most)..PROMPT.end.min(most),
        };
        scene.later(delay, task(pod, Step::End(self.endings)));
        true
    }

    /// The containers have ended, now and then because the kubelet killed them.
    fn end(&mut self, pod: &PodRef, scene: &mut Scene<'_>) {
        let killed = scene.chance.u8(..8) == 0;
        let stamp = scene.stamp();
        self.containers.iter_mut().for_each(|container| container.stop(if killed { 137 } else { 0 }, &stamp));
        let done = |life: &Life| matches!(life, Life::Ended(ended) if at(ended, "exitCode") == 0);
        let succeeded = self.containers.iter().all(|container| done(&container.life));
        let phase = if succeeded { "Succeeded" } else { "Failed" };
        self.state = State::Ended { phase, reason: "", message: "" };
        scene.later(REMOVE, task(pod, Step::Remove));
    }

    fn disturb(&mut self, pod: &PodRef, live: &Value, how: Disturbance, scene: &mut Scene<'_>) {
        if !self.is_alive() {
            return;
        }
        let stamp = scene.stamp();
        match how {
            Disturbance::Crash(_) if at(live, "spec.restartPolicy") == "Never" => {
                if self.sandbox {
                    self.containers.iter_mut().for_each(|container| container.stop(1, &stamp));
                    self.state = State::Ended { phase: "Failed", reason: "", message: "" };
                }
            }
            Disturbance::Crash(time) => {
                let began = |container: &&mut super::Container| {
                    container.role != Role::Init && !matches!(container.life, Life::Waiting | Life::Unpulled(_))
                };
                self.containers.iter_mut().filter(began).for_each(|container| container.crash(&stamp));
                let down = self.containers.iter().enumerate();
                let down = turns(down.filter(|(_, container)| matches!(container.life, Life::BackingOff(_))));
                if !down.is_empty() {
                    scene.after(time, task(pod, Step::Restart(down)));
                }
            }
            Disturbance::Unready(time) => {
                self.probes_fail = true;
                self.failures += 1;
                scene.after(time, task(pod, Step::Recover(self.failures)));
            }
            Disturbance::Fail => {
                self.containers.iter_mut().for_each(|container| container.stop(137, &stamp));
                let message = "The node was low on resource: memory.";
                self.state = State::Ended { phase: "Failed", reason: "Evicted", message };
            }
        }
    }
}

/// The container as the Pod says it.
fn spec<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let of = |field: &str| list(at(pod, field)).iter().find(|container| at(container, "name") == name);
    of("spec.containers").or_else(|| of("spec.initContainers")).unwrap_or(&Value::Null)
}

/// Whether one of the changed resources is only taken up by a restart.
fn must_restart(spec: &Value, allocated: &Value) -> bool {
    list(at(spec, "resizePolicy")).iter().filter(|policy| at(policy, "restartPolicy") == "RestartContainer").any(
        |policy| {
            let name = text(at(policy, "resourceName"));
            ["requests", "limits"].iter().any(|part| {
                at(spec, "resources").get(part).and_then(|part| part.get(name))
                    != allocated.get(part).and_then(|part| part.get(name))
            })
        },
    )
}

//! Makes a history from a seed: workloads, what users want of them, and trouble at the moments where it hurts.
//!
//! Here is what holds for every kind: how a history is put together. What a valid object of a kind looks like and how
//! users edit it is that kind's [`Actor`]. No history leaves behind what could not come to rest once all faults are
//! healed, and no user ever sends what the webhooks refuse.

use std::time::Duration;

use serde_json::{Value, json};

use super::draw::Draw;
use super::faults::{FAULTS, Fault};
use super::{History, PodAction, Propagation, Step, Target, cloneset};

/// Which kind a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// One or two CloneSets.
    #[value(name = "CloneSet")]
    CloneSet,
}

/// A workload and its user, who knows what is wanted of it now.
pub(super) trait Actor {
    /// The workload.
    fn target(&self) -> &Target;
    /// The object as wanted now.
    fn object(&self) -> Value;
    /// The user changes their mind; the step that says so.
    fn edit(&mut self, draw: &mut Draw) -> Step;
    /// What the user does to one Pod of it, beside what can happen to any Pod.
    fn touch(&self, draw: &mut Draw) -> Value;
    /// What its controller watches, by how much depends on it.
    fn watches(&self) -> &'static [(u32, &'static str)];
}

/// One part of a history, between two waits.
#[derive(Clone, Copy, Default)]
enum Scene {
    /// An edit, and nothing wrong.
    #[default]
    Edit,
    /// Faults that are due when the edit is carried out.
    EditInTrouble,
    /// A second edit while the first is carried out.
    EditAgain,
    /// A second edit while watches are late and the leader dies.
    EditAgainUnseen,
    /// Something befalls one Pod or two.
    Pods,
    /// Something befalls Pods in the middle of an edit.
    PodsInEdit,
    /// A fault on its own.
    Fault,
    /// Watches late for longer than any expectation waits.
    LongLag,
    /// Deleted, and created again under the same name.
    Replace,
}

const SCENES: &[(u32, Scene)] = &[
    (16, Scene::Edit),
    (30, Scene::EditInTrouble),
    (14, Scene::EditAgain),
    (10, Scene::EditAgainUnseen),
    (12, Scene::Pods),
    (12, Scene::PodsInEdit),
    (10, Scene::Fault),
    (1, Scene::LongLag),
    (3, Scene::Replace),
];

/// How long the waits of a history are together, in seconds: at least, at most.
const LENGTHS: &[(u32, (u64, u64))] = &[(55, (60, 150)), (38, (120, 240)), (7, (240, 600))];

/// The history of this seed.
#[must_use]
pub fn generate(subject: Subject, seed: u64) -> History {
    let mut draw = Draw::new(seed);
    let mut actors = match subject {
        Subject::CloneSet => cloneset::actors(&mut draw),
    };
    let (least, most) = draw.weighted(LENGTHS);
    let mut author = Author { left: draw.seconds(least..=most), draw, steps: Vec::new() };
    for actor in &actors {
        author.steps.push(Step::Create { target: actor.target().clone(), object: actor.object() });
        author.maybe(20, |author| author.fault(actor.as_ref()));
    }
    // Half of the histories begin with workloads at rest, the others in the middle of their first scale-up.
    let first = if author.draw.percent(50) { 15..=30 } else { 1..=6 };
    author.wait(first);
    let scenes = author.draw.number(3..=10);
    for scene in 0..scenes {
        if scene >= 3 && author.left.is_zero() {
            break;
        }
        let chosen = author.draw.number(1..=u32::try_from(actors.len()).unwrap_or(1));
        let Some(actor) = super::nth(chosen, actors.len()).and_then(|index| actors.get_mut(index)) else { continue };
        author.scene(actor.as_mut());
    }
    History { seed, steps: author.steps }
}

struct Author {
    draw: Draw,
    steps: Vec<Step>,
    /// What is left of the history's length.
    left: Duration,
}

impl Author {
    fn scene(&mut self, actor: &mut dyn Actor) {
        match self.draw.weighted(SCENES) {
            Scene::Edit => self.edit(actor),
            Scene::EditInTrouble => {
                for _ in 0..self.draw.number(1..=3) {
                    self.fault(actor);
                }
                self.edit(actor);
                self.maybe(30, |author| {
                    author.wait(1..=4);
                    author.fault(actor);
                });
            }
            Scene::EditAgain => {
                self.edit(actor);
                self.wait(1..=9);
                self.maybe(50, |author| author.fault(actor));
                self.edit(actor);
            }
            Scene::EditAgainUnseen => {
                self.edit(actor);
                self.wait(1..=6);
                self.particular(Fault::Lag, actor);
                let death = self.draw.one_of(&[Fault::KillAfter, Fault::KillBefore, Fault::Restart, Fault::Takeover]);
                self.particular(death, actor);
                self.edit(actor);
            }
            Scene::Pods => self.pods(actor),
            Scene::PodsInEdit => {
                self.edit(actor);
                self.maybe(60, |author| author.wait(1..=8));
                self.maybe(30, |author| author.fault(actor));
                self.pods(actor);
            }
            Scene::Fault => self.fault(actor),
            Scene::LongLag => {
                let time = self.draw.seconds(305..=340);
                self.steps.push(Step::Lag { resource: "pods".to_owned(), time });
                self.edit(actor);
                // Beyond the length drawn: the scene is about what happens when this time is over.
                let time = self.draw.seconds(300..=350);
                self.steps.push(Step::Wait { time });
            }
            Scene::Replace => self.replace(actor),
        }
        let pause = self.draw.weighted(&[(30, (1, 5)), (40, (6, 20)), (22, (20, 45)), (8, (45, 90))]);
        self.wait(pause.0..=pause.1);
    }

    fn edit(&mut self, actor: &mut dyn Actor) {
        let step = actor.edit(&mut self.draw);
        self.steps.push(step);
    }

    fn fault(&mut self, actor: &dyn Actor) {
        let fault = self.draw.weighted(FAULTS);
        self.particular(fault, actor);
    }

    fn particular(&mut self, fault: Fault, actor: &dyn Actor) {
        self.steps.push(fault.step(&mut self.draw, actor.watches()));
    }

    fn pods(&mut self, actor: &dyn Actor) {
        for _ in 0..self.draw.weighted(&[(70, 1), (30, 2)]) {
            let action =
                match self.draw.weighted(&[(28, "delete"), (16, "crash"), (16, "unready"), (8, "evict"), (32, "")]) {
                    "delete" => PodAction::Delete,
                    "crash" => PodAction::Crash(self.draw.seconds(3..=60)),
                    "unready" => PodAction::Unready(self.draw.seconds(3..=60)),
                    "evict" => PodAction::Evict,
                    _ => PodAction::Set(actor.touch(&mut self.draw)),
                };
            let number = self.draw.number(1..=6);
            self.steps.push(Step::Pod { target: actor.target().clone(), number, action });
        }
    }

    /// A name is free again at once, or once its Pods are gone; a user who comes too early is told that it exists.
    fn replace(&mut self, actor: &mut dyn Actor) {
        let target = actor.target().clone();
        self.maybe(40, |author| author.fault(actor));
        let (propagation, pause) = match self.draw.number(1..=10) {
            1..=6 => (Propagation::Background, 1..=10),
            7..=8 => (Propagation::Foreground, 50..=70),
            _ => (Propagation::Orphan, 3..=10),
        };
        self.steps.push(Step::Delete { target: target.clone(), propagation });
        let time = self.draw.seconds(pause);
        self.steps.push(Step::Wait { time });
        self.steps.push(Step::Create { target, object: actor.object() });
    }

    /// A wait within what is left of the length; at least a second, for time to pass between scenes.
    fn wait(&mut self, range: std::ops::RangeInclusive<u64>) {
        let time = self.draw.seconds(range).min(self.left).max(Duration::from_secs(1));
        self.left = self.left.saturating_sub(time);
        self.steps.push(Step::Wait { time });
    }

    fn maybe(&mut self, often: u32, what: impl FnOnce(&mut Self)) {
        if self.draw.percent(often) {
            what(self);
        }
    }
}

/// The merge patch that makes the second of the first; lists are replaced as a whole.
pub(super) fn difference(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut patch = serde_json::Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in to {
        match from.get(key) {
            Some(old) if old == value => {}
            old => {
                patch.insert(key.clone(), difference(old.unwrap_or(&json!(null)), value));
            }
        }
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::tally;
    use super::*;

    fn histories() -> impl Iterator<Item = History> {
        (0..800).map(|seed| generate(Subject::CloneSet, seed))
    }

    #[test]
    fn equal_seeds_give_equal_histories_and_others_do_not() {
        assert_eq!(generate(Subject::CloneSet, 5), generate(Subject::CloneSet, 5));
        assert_ne!(generate(Subject::CloneSet, 5).steps, generate(Subject::CloneSet, 6).steps);
    }

    #[test]
    fn histories_survive_printing() {
        for history in histories().take(300) {
            assert_eq!(history.to_string().parse(), Ok(history));
        }
    }

    #[test]
    fn most_histories_last_between_one_minute_and_four() {
        let lengths: Vec<u64> = histories().map(|history| history.length().as_secs()).collect();
        let usual = lengths.iter().filter(|length| (45..=240).contains(*length)).count();
        assert!(usual * 10 > lengths.len() * 8, "{usual} of {}", lengths.len());
        assert!(lengths.iter().all(|length| *length < 1500), "{:?}", lengths.iter().max());
    }

    #[test]
    fn each_sort_of_step_comes_up() {
        let mut sorts = BTreeMap::new();
        for history in histories() {
            for (sort, count) in tally(&history) {
                *sorts.entry(sort).or_insert(0) += count;
            }
        }
        assert_eq!(sorts.len(), 26, "{sorts:?}");
        assert!(sorts.values().all(|count| *count > 10), "{sorts:?}");
    }

    #[test]
    fn a_difference_is_the_patch_from_one_to_the_other() {
        let from = json!({"a": 1, "b": {"c": 2, "d": [1]}, "e": 5});
        let to = json!({"a": 1, "b": {"c": 3, "d": [2]}, "f": {"g": 1}});
        assert_eq!(difference(&from, &to), json!({"b": {"c": 3, "d": [2]}, "e": null, "f": {"g": 1}}));
    }
}

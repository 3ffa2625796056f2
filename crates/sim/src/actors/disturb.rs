//! What a script does to Pods and nodes. Every disturbance but [`Actors::fail`] ends by itself, or with
//! [`Actors::heal_all`].

use std::time::Duration;

use jiff::Timestamp;

use super::Actors;
use super::agenda::{Disturbance, Task};

impl Actors {
    /// The Pod's containers end with an error and are started again after this time. A Pod that never restarts its
    /// containers fails. Nothing happens to a Pod without running containers.
    pub fn crash(&mut self, now: Timestamp, namespace: &str, name: &str, time: Duration) {
        self.disturb(now, namespace, name, Disturbance::Crash(time));
    }

    /// The Pod's readiness probes fail for this time.
    pub fn unready(&mut self, now: Timestamp, namespace: &str, name: &str, time: Duration) {
        self.disturb(now, namespace, name, Disturbance::Unready(time));
    }

    /// The kubelet evicts the Pod for want of memory: it fails, for good, and stays until somebody deletes it.
    pub fn fail(&mut self, now: Timestamp, namespace: &str, name: &str) {
        self.disturb(now, namespace, name, Disturbance::Fail);
    }

    /// The node (modulo how many there are) is cut off for this time: its kubelet does and writes nothing, what runs
    /// there goes on. What is later than the end of an earlier loss counts.
    pub fn lose_node(&mut self, now: Timestamp, node: usize, time: Duration) {
        self.nodes.lose(now, node, time, &mut self.agenda);
    }

    /// Ends all disturbances now. Containers still take their time to start and to get ready.
    pub fn heal_all(&mut self, now: Timestamp) {
        self.nodes.heal();
        self.agenda.heal(now);
    }

    fn disturb(&mut self, now: Timestamp, namespace: &str, name: &str, how: Disturbance) {
        self.agenda.add(now, Task::Disturb { namespace: namespace.to_owned(), name: name.to_owned(), how });
    }
}

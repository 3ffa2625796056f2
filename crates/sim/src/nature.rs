//! Scheduler, kubelets and collector as they act by themselves: whenever something is due or was written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use runtime::clock::Clock;
use tokio::sync::Notify;

use crate::actors::{Actors, Refusal};
use crate::server::Server;
use crate::server::call::Written;

/// The actors and what they have yet to see; clones share both.
#[derive(Clone)]
pub struct Nature {
    actors: Arc<Mutex<Actors>>,
    clock: Clock,
    unseen: Arc<Mutex<VecDeque<Written>>>,
    wake: Arc<Notify>,
}

impl Nature {
    /// Sets the cluster up and starts to act.
    #[must_use]
    pub fn start(mut actors: Actors, server: Server, clock: Clock) -> Self {
        actors.setup(clock.now(), &server);
        let actors = Arc::new(Mutex::new(actors));
        let nature = Self { actors, clock, unseen: Arc::default(), wake: Arc::default() };
        tokio::spawn(nature.clone().act(server));
        nature
    }

    /// What the server refused to the actors: one of both is wrong then.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        self.actors.lock().refusals()
    }

    /// Takes note of a write.
    pub fn saw(&self, written: &Written) {
        self.unseen.lock().push_back(written.clone());
        self.wake.notify_one();
    }

    /// Does something to the actors, such as losing a node.
    pub fn disturb(&self, what: impl FnOnce(&mut Actors, Timestamp)) {
        self.look();
        what(&mut self.actors.lock(), self.clock.now());
        self.wake.notify_one();
    }

    /// Ends all disturbances.
    pub fn heal(&self) {
        self.disturb(Actors::heal_all);
    }

    /// Shows the actors what they have not seen.
    fn look(&self) {
        let unseen = std::mem::take(&mut *self.unseen.lock());
        let mut actors = self.actors.lock();
        unseen.iter().for_each(|written| actors.saw(written));
    }

    async fn act(self, server: Server) {
        loop {
            self.look();
            let (now, due) = (self.clock.now(), self.actors.lock().next_due());
            match due.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or_default()) {
                Some(Duration::ZERO) => self.actors.lock().run_due(now, &server),
                Some(pause) => {
                    tokio::select! {
                        biased;
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                None => self.wake.notified().await,
            }
        }
    }
}

//! Caches of the cluster that handlers read: one watch a kind, decoded straight into what they read (design rule 4).
//!
//! A cache belongs to [`Caches`], the readers' side, and is filled by [`Watches`], which run with the process. Whether it
//! is complete decides two things. Readiness waits for the caches of kinds that do not convert through us, and for these
//! alone: the API server can fill the others only after this replica serves. And a handler
//! waits for its cache as long as its request may wait, then fails the request: it never decides on half a list. What was
//! complete once is read from then on, also while its watch is broken.

use futures::future::select_all;
use kube::Client;
use runtime::informer::{Cached, Informer, Progress, Store, Synced};
use runtime::shutdown::Shutdown;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::admission::Refusal;

/// The caches, as handlers find them on their desk. One line a kind; no kind here needs another's objects yet.
#[derive(Clone, Debug, Default)]
pub struct Caches {}

impl Caches {
    /// Asks for the watches that fill them.
    pub fn new(_: &mut Watches) -> Self {
        Self {}
    }
}

/// Whether the API server asks us to convert what it shows of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Converted {
    /// It does: the list may need this very process.
    ByUs,
    /// It has one version, or the server converts it by itself.
    No,
}

/// One cache, for reading.
#[derive(Clone, Debug)]
pub struct Cache<T> {
    store: Store<T>,
    synced: Synced,
}

/// A cache did not become complete in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct NotSynced {
    kind: String,
    progress: Progress,
}

impl NotSynced {
    fn text(&self) -> String {
        match self.progress {
            Progress::NotInstalled => format!("{} is not installed, its objects can't be looked up", self.kind),
            Progress::Listing | Progress::Complete => format!("the cache of {} is not complete yet", self.kind),
        }
    }
}

impl From<NotSynced> for Refusal {
    /// We failed: 500, and the API server does as the entry's failure policy says only where we said nothing at all.
    fn from(err: NotSynced) -> Self {
        Self::internal("cache", err.to_string())
    }
}

impl<T: Cached> Cache<T> {
    /// What the cluster holds, once the cache has shown its first list.
    ///
    /// # Errors
    /// It has not by the deadline of the request.
    pub async fn read(&self, deadline: Instant) -> Result<&Store<T>, NotSynced> {
        if !self.synced.is_synced() && timeout_at(deadline, self.synced.wait()).await.is_err() {
            return Err(NotSynced { kind: self.synced.kind().to_owned(), progress: self.synced.progress() });
        }
        Ok(&self.store)
    }
}

type Run = Box<dyn FnOnce(Client, Shutdown, &mut JoinSet<()>) + Send>;

/// The watches that fill the caches, before they start.
#[derive(Default)]
pub struct Watches {
    runs: Vec<Run>,
    needed: Needed,
}

impl Watches {
    /// A cache that is filled by this informer.
    pub fn add<T: Cached>(&mut self, informer: Informer<T>, converted: Converted) -> Cache<T> {
        let cache = Cache { store: informer.store(), synced: informer.synced() };
        if converted == Converted::No {
            self.needed.0.push(cache.synced.clone());
        }
        self.runs.push(Box::new(|client, shutdown, running| {
            running.spawn(informer.run(client, String::new(), shutdown));
        }));
        cache
    }

    /// What readiness waits for.
    pub fn needed(&self) -> Needed {
        self.needed.clone()
    }

    /// Starts them, in all namespaces.
    #[must_use = "the watches end when this is dropped"]
    pub fn start(self, client: &Client, shutdown: &Shutdown) -> JoinSet<()> {
        let mut running = JoinSet::new();
        for run in self.runs {
            run(client.clone(), shutdown.clone(), &mut running);
        }
        running
    }
}

/// The caches without which a replica is not ready.
#[derive(Clone, Debug, Default)]
pub struct Needed(Vec<Synced>);

impl Needed {
    /// Returns once nothing is missing; tells meanwhile what is.
    pub async fn wait(&self, mut tell: impl FnMut(String)) {
        loop {
            let missing = self.missing();
            let settling: Vec<_> = missing.iter().map(|cache| Box::pin(cache.settled())).collect();
            if settling.is_empty() {
                return;
            }
            let kinds: Vec<_> = missing.iter().map(|cache| cache.kind()).collect();
            let text = format!("caches are not complete: {}", kinds.join(", "));
            info!("{text}");
            tell(text);
            select_all(settling).await;
        }
    }

    /// Those that are missing. A kind that is not installed is not: it has no objects, and whoever asks for them is told
    /// so; all other admission must not wait for it.
    fn missing(&self) -> Vec<&Synced> {
        self.0.iter().filter(|cache| cache.progress() == Progress::Listing).collect()
    }
}

#[cfg(test)]
mod tests;

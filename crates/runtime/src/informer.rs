//! Caches of the cluster: one watch per kind and process, decoded straight into what controllers read (design rule 4).
//!
//! The rules are in `cache.rs`, without async or cluster; readers see `store.rs`; here is the loop around them. Built on
//! kube's `watcher`, which lists, watches, resumes and lists again; its reflector streams drop deletions, so they are
//! not used. A handler runs after the cache shows the change, in the order of the watch.

use std::fmt::{self, Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use futures::{Stream, StreamExt};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_kind};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::{debug, error, warn};

use crate::client;
use crate::metrics;
use crate::shutdown::Shutdown;

mod cache;
mod store;

pub use cache::Cache;
pub use store::Store;

/// What a cache can hold: a kind, or the read part of one.
pub trait Cached: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static {}
impl<T: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static> Cached for T {}

/// Namespace and name of an object; the namespace of a cluster-scoped one is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// A key from its parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object.
    pub fn of<T: kube::Resource>(object: &T) -> Self {
        let meta = object.meta();
        Self { namespace: meta.namespace.clone().unwrap_or_default(), name: meta.name.clone().unwrap_or_default() }
    }
}

impl Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// A secondary index: under which values an object is found.
#[derive(Debug)]
pub struct Index<T> {
    /// Name given to [`Store::by_index`].
    pub name: &'static str,
    /// The values of one object; none leaves it out of the index.
    pub values: fn(&T) -> Vec<String>,
}

/// What happened to one object, told after the cache shows it.
#[derive(Debug)]
pub enum Change<T> {
    /// The object is new to this process.
    Added {
        /// As it is now.
        new: Arc<T>,
        /// Whether it was there before this process looked for the first time.
        initial: bool,
    },
    /// The object has another resourceVersion.
    Updated {
        /// As it was.
        old: Arc<T>,
        /// As it is now.
        new: Arc<T>,
    },
    /// The object is gone; so is one that went while the watch was down, which the next list shows.
    Deleted {
        /// As it was last seen.
        last: Arc<T>,
    },
}

/// How to list and watch: pages of 500, as of now. A list from the API server's cache may be older than what was seen
/// before, and would then show deletions that never happened.
#[must_use]
pub fn watch_config() -> watcher::Config {
    watcher::Config::default().page_size(500)
}

type Handler<T> = Box<dyn Fn(&Change<T>) + Send + Sync>;

/// One watch, its cache and those who are told.
pub struct Informer<T: Cached> {
    cache: Cache<T>,
    handlers: Vec<Handler<T>>,
    synced: watch::Sender<bool>,
}

impl<T: Cached> Informer<T> {
    /// An informer whose cache starts empty.
    #[must_use]
    pub fn new(indices: Vec<Index<T>>) -> Self {
        Self { cache: Cache::new(indices), handlers: Vec::new(), synced: watch::Sender::new(false) }
    }

    /// The readers' side of the cache.
    #[must_use]
    pub fn store(&self) -> Store<T> {
        self.cache.store()
    }

    /// Calls `handler` for each change. It must not block: the watch waits for it.
    pub fn on_change(&mut self, handler: impl Fn(&Change<T>) + Send + Sync + 'static) {
        self.handlers.push(Box::new(handler));
    }

    /// Tells when the first list is in the cache and all handlers have seen it.
    #[must_use]
    pub fn synced(&self) -> Synced {
        Synced { kind: T::kind(&()).into_owned(), flag: self.synced.subscribe() }
    }

    /// Lists and watches until the end is asked for. Errors are logged, counted and tried again with back-off.
    pub async fn run(self, api: Api<T>, config: watcher::Config, shutdown: Shutdown) {
        let mut this = self;
        loop {
            // A watch that may not start at the version where the last one ended would ask for the same version for
            // ever: only a new watcher lists again.
            let events = watch_kind(api.clone(), config.clone()).default_backoff();
            if matches!(this.follow(events, &shutdown).await, Followed::ToTheEnd) {
                return;
            }
        }
    }

    async fn follow(&mut self, events: impl Stream<Item = watcher::Result<Event<T>>>, shutdown: &Shutdown) -> Followed {
        let mut events = std::pin::pin!(events);
        let kind = T::kind(&());
        loop {
            let event = tokio::select! {
                () = shutdown.requested() => return Followed::ToTheEnd,
                event = events.next() => event,
            };
            match event {
                Some(Ok(event)) => self.take(event),
                Some(Err(err)) => {
                    ERRORS.get_or_create(&vec![("kind", kind.to_string())]).inc();
                    warn!(%kind, err = words(&err), "watch failed, try again");
                    if is_expired(&err) {
                        return Followed::UntilExpired;
                    }
                }
                None => return Followed::UntilExpired,
            }
        }
    }

    fn take(&mut self, event: Event<T>) {
        let done = matches!(event, Event::InitDone);
        for change in self.cache.apply(event) {
            for handler in &self.handlers {
                // One bad object must not end the watch for all others.
                if catch_unwind(AssertUnwindSafe(|| handler(&change))).is_err() {
                    error!(kind = %T::kind(&()), "handler panicked, go on without it for this change");
                }
            }
        }
        if done {
            let objects = self.cache.store().len();
            OBJECTS
                .get_or_create(&vec![("kind", T::kind(&()).into_owned())])
                .set(i64::try_from(objects).unwrap_or(i64::MAX));
            debug!(kind = %T::kind(&()), objects, "cache is complete");
            self.synced.send_replace(true);
        }
    }
}

enum Followed {
    ToTheEnd,
    UntilExpired,
}

/// Whether the server no longer has the version that the watch wants to start from.
fn is_expired(err: &watcher::Error) -> bool {
    matches!(err, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 410)
}

/// The error and what the server said, once.
fn words(err: &watcher::Error) -> String {
    match err {
        watcher::Error::InitialListFailed(err) => format!("list: {}", client::words(err)),
        watcher::Error::WatchStartFailed(err) => format!("start watch: {}", client::words(err)),
        watcher::Error::WatchFailed(err) => format!("read watch: {}", client::words(err)),
        watcher::Error::WatchError(status) => format!("watch ended by server: {}", status.message),
        watcher::Error::NoResourceVersion => err.to_string(),
    }
}

static ERRORS: LazyLock<Family<Vec<(&'static str, String)>, Counter>> =
    LazyLock::new(|| metrics::counters("kruise_informer_errors", "Failed lists and watches by kind"));
static OBJECTS: LazyLock<Family<Vec<(&'static str, String)>, Gauge>> = LazyLock::new(|| {
    metrics::gauges("kruise_informer_listed_objects", "Objects in the cache after the last list by kind")
});

/// Whether a cache is complete.
#[derive(Clone, Debug)]
pub struct Synced {
    kind: String,
    flag: watch::Receiver<bool>,
}

impl Synced {
    /// The kind in the cache.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether the first list is in the cache.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        *self.flag.borrow()
    }

    /// Returns once the first list is in the cache, or never if the informer has ended before.
    pub async fn wait(&self) {
        if self.flag.clone().wait_for(|synced| *synced).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests;

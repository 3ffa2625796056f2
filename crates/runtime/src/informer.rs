//! Caches of the cluster: one watch per kind and process, decoded straight into what controllers read (design rule 4).
//!
//! The rules are in `cache.rs`, without async or cluster; readers see `store.rs`; here is the loop around them. Built on
//! kube's `watcher`, which lists, watches, resumes and lists again; its reflector streams drop deletions, so they are
//! not used. A handler runs after the cache shows the change, in the order of the watch.

use std::fmt::{self, Debug, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use api::k8s::{Projection, Text};
use futures::{Stream, StreamExt};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_kind};
use kube::{Api, Client};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::client;
use crate::metrics;
use crate::shutdown::Shutdown;

mod ahead;
mod cache;
mod failure;
mod indices;
mod progress;
mod select;
mod store;
mod wire;

pub use cache::Cache;
use failure::{Ended, Lists};
pub use indices::{by_claim, by_node, by_owner};
pub use progress::{Progress, Waited};
pub use select::selectable;
pub use store::Store;
use wire::{Lenient, Seen, Strict, Wire};

/// What a cache can hold: the read part of a kind.
pub trait Cached: Projection + Clone + DeserializeOwned + Debug + Send + Sync + 'static {}
impl<T: Projection + Clone + DeserializeOwned + Debug + Send + Sync + 'static> Cached for T {}

/// The kind that a cache holds a part of.
fn kind<T: Cached>() -> String {
    <T::Of as kube::Resource>::kind(&()).into_owned()
}

/// Namespace and name of an object; the namespace of a cluster-scoped one is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: Text,
    /// Name.
    pub name: Text,
}

impl ObjectKey {
    /// A key from its parts.
    pub fn new(namespace: impl Into<Text>, name: impl Into<Text>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object; it shares the object's own text.
    pub fn of<T: Projection>(object: &T) -> Self {
        let metadata = object.metadata();
        Self { namespace: metadata.namespace.clone(), name: metadata.name.clone() }
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
    pub values: fn(&T) -> Vec<Text>,
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

/// Pause before a list that follows an expired watch: a server that expires each watch at once must not be asked for
/// everything without end.
const LIST_PAUSE: Duration = Duration::from_secs(1);

type Handler<T> = Box<dyn Fn(&Change<T>) + Send + Sync>;

/// One watch, its cache and those who are told.
pub struct Informer<T: Cached> {
    cache: Cache<T>,
    handlers: Vec<Handler<T>>,
    progress: watch::Sender<Progress>,
}

impl<T: Cached> Informer<T> {
    /// An informer whose cache starts empty.
    #[must_use]
    pub fn new(indices: Vec<Index<T>>) -> Self {
        Self { cache: Cache::new(indices), handlers: Vec::new(), progress: watch::Sender::new(Progress::Listing) }
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
        Synced { kind: kind::<T>(), progress: self.progress.subscribe() }
    }

    /// Adds an index, unless there is one of that name.
    pub fn index(&mut self, index: Index<T>) {
        self.cache.index(index);
    }

    /// Lists and watches until the end is asked for; an empty namespace means all of them. Errors are logged, counted
    /// and tried again with back-off. The first list is streamed where the server can do that, else it comes in pages;
    /// objects are decoded straight into the projection until one does not fit, see `wire.rs`.
    pub async fn run(mut self, client: Client, namespace: String, shutdown: Shutdown) {
        let client = client::fresh_lists(client);
        let (mut lists, mut strict) = (Lists::Streamed, true);
        loop {
            let ended = if strict {
                self.follow(watch::<Strict<T>>(&client, &namespace, lists), &shutdown).await
            } else {
                self.follow(watch::<Lenient<T>>(&client, &namespace, lists), &shutdown).await
            };
            match ended {
                Ended::Asked => return,
                Ended::NotStreamed if lists == Lists::Streamed => lists = Lists::Paged,
                Ended::Unreadable if strict => strict = false,
                Ended::Expired | Ended::NotStreamed | Ended::Unreadable => tokio::select! {
                    biased;
                    () = shutdown.requested() => return,
                    () = tokio::time::sleep(LIST_PAUSE) => {}
                },
            }
        }
    }

    /// Takes one event in and tells the handlers what it changed: what [`Informer::run`] does with each.
    pub fn apply(&mut self, event: Event<T>) {
        self.take(wire::map(event, Seen::Object));
    }

    async fn follow<W: Wire<T>>(
        &mut self,
        events: impl Stream<Item = watcher::Result<Event<W>>>,
        shutdown: &Shutdown,
    ) -> Ended {
        let (mut events, mut end) = (std::pin::pin!(events), std::pin::pin!(shutdown.requested()));
        loop {
            let event = tokio::select! {
                biased;
                () = &mut end => return Ended::Asked,
                event = events.next() => event,
            };
            match event {
                Some(Ok(event)) => self.take(wire::map(event, W::seen)),
                Some(Err(err)) => {
                    ERRORS.get_or_create(&vec![("kind", kind::<T>())]).inc();
                    let ended = failure::ends(&err);
                    let before = *self.progress.borrow();
                    let now = before.after(&err);
                    self.progress.send_replace(now);
                    if (before, now) == (Progress::NotInstalled, Progress::NotInstalled) {
                        // Said once, not with each attempt.
                        debug!(kind = kind::<T>(), "kind is still not installed, try again");
                    } else {
                        let (kind, words) = (kind::<T>(), failure::words(&err));
                        // An old version expires wherever much is written: nothing is wrong.
                        if failure::is_expiry(&err) {
                            info!(kind, err = words, "version to watch from is too old, list again");
                        } else {
                            warn!(kind, err = words, "{}", failure::what_follows(ended));
                        }
                    }
                    if let Some(ended) = ended {
                        return ended;
                    }
                }
                None => return Ended::Expired,
            }
        }
    }

    fn take(&mut self, event: Event<Seen<T>>) {
        if let Event::InitApply(Seen::Unreadable { key, err })
        | Event::Apply(Seen::Unreadable { key, err })
        | Event::Delete(Seen::Unreadable { key, err }) = &event
        {
            UNREADABLE.get_or_create(&vec![("kind", kind::<T>())]).inc();
            warn!(kind = kind::<T>(), object = %key, err, "object cannot be read, go on with what was known of it");
        }
        let done = matches!(event, Event::InitDone);
        for change in self.cache.take(event) {
            for handler in &self.handlers {
                // One bad object must not end the watch for all others.
                if catch_unwind(AssertUnwindSafe(|| handler(&change))).is_err() {
                    error!(kind = kind::<T>(), "handler panicked, go on without it for this change");
                }
            }
        }
        if done {
            let objects = self.cache.store().len();
            OBJECTS.get_or_create(&vec![("kind", kind::<T>())]).set(i64::try_from(objects).unwrap_or(i64::MAX));
            debug!(kind = kind::<T>(), objects, "cache is complete");
            self.progress.send_replace(Progress::Complete);
        }
    }
}

/// Lists as of now, then watches. A list from the API server's cache may be older than what was seen before, and would
/// then show deletions that never happened: see [`client::fresh_lists`].
fn watch<W>(client: &Client, namespace: &str, lists: Lists) -> impl Stream<Item = watcher::Result<Event<W>>> + use<W>
where
    W: kube::Resource<DynamicType = (), Scope = kube::core::DynamicResourceScope>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + 'static,
{
    let api = match namespace {
        "" => Api::all(client.clone()),
        namespace => Api::namespaced_with(client.clone(), namespace, &()),
    };
    let config = watcher::Config::default();
    let config = match lists {
        Lists::Streamed => config.streaming_lists(),
        // Few enough to be decoded in a few MiB, enough to be worth a request.
        Lists::Paged => config.page_size(500),
    };
    ahead::ahead(ahead::paced(watch_kind(api, config).default_backoff()))
}

static ERRORS: LazyLock<Family<Vec<(&'static str, String)>, Counter>> =
    LazyLock::new(|| metrics::counters("kruise_informer_errors", "Failed lists and watches by kind"));
static UNREADABLE: LazyLock<Family<Vec<(&'static str, String)>, Counter>> = LazyLock::new(|| {
    metrics::counters("kruise_informer_unreadable_objects", "Objects that could not be decoded by kind")
});
static OBJECTS: LazyLock<Family<Vec<(&'static str, String)>, Gauge>> = LazyLock::new(|| {
    metrics::gauges("kruise_informer_listed_objects", "Objects in the cache after the last list by kind")
});

/// Whether a cache is complete.
#[derive(Clone, Debug)]
pub struct Synced {
    kind: String,
    progress: watch::Receiver<Progress>,
}

impl Synced {
    /// The kind in the cache.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// How far the cache is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Whether the first list is in the cache.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.progress() == Progress::Complete
    }

    /// Returns once the first list is in the cache, or never if the informer has ended before.
    pub async fn wait(&self) {
        self.until(|progress| progress == Progress::Complete).await;
    }

    /// Returns once the first list is in the cache or the server has said that it does not know the kind, or never if the
    /// informer has ended before.
    pub async fn settled(&self) {
        self.until(|progress| progress != Progress::Listing).await;
    }

    async fn until(&self, reached: impl Fn(Progress) -> bool) {
        if self.progress.clone().wait_for(|progress| reached(*progress)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod watch_tests;

//! Waiting for the cluster: on watches where an object is concerned, by polling with a deadline elsewhere.
//!
//! Each wait names what it waits for and says, when time is up, what it saw last: that line explains most failures.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{StreamExt, pin_mut};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};

/// How often a condition that cannot be watched is looked at.
const PERIOD: Duration = Duration::from_millis(100);

/// What one look at the world showed.
#[derive(Debug)]
pub enum Seen<T> {
    /// It is so; waiting ends with this value.
    Done(T),
    /// Not yet; the text says what is there instead.
    NotYet(String),
}

/// Looks until the answer is `Done`. An error of `look` counts as not yet: servers start while we wait.
///
/// # Errors
/// Not done within `limit`; the message holds what was seen last.
pub async fn until<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Seen<T>>>,
{
    let deadline = Instant::now() + limit;
    let mut last = String::from("nothing");
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(Seen::Done(value))) => return Ok(value),
            Ok(Ok(Seen::NotYet(seen))) => last = seen,
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) => bail!("{what}: not within {limit:?}; last seen: {last}"),
        }
        if Instant::now() + PERIOD > deadline {
            bail!("{what}: not within {limit:?}; last seen: {last}");
        }
        sleep(PERIOD).await;
    }
}

/// Watches one object until `judge` is done with it; `None` means that it is not there.
///
/// # Errors
/// Not done within `limit`; the message holds what was seen last.
pub async fn object<K, T>(
    what: &str,
    api: &Api<K>,
    name: &str,
    limit: Duration,
    mut judge: impl FnMut(Option<&K>) -> Seen<T>,
) -> Result<T>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    all(what, api, watcher::Config::default().fields(&format!("metadata.name={name}")), limit, |objects| {
        judge(objects.first().copied())
    })
    .await
}

/// Watches a set of objects until `judge` is done with it. It is asked after every change and sees the whole set,
/// by namespace and name.
///
/// # Errors
/// Not done within `limit`; the message holds what was seen last.
pub async fn all<K, T>(
    what: &str,
    api: &Api<K>,
    which: watcher::Config,
    limit: Duration,
    mut judge: impl FnMut(&[&K]) -> Seen<T>,
) -> Result<T>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let deadline = Instant::now() + limit;
    let events = watcher::watcher(api.clone(), which);
    pin_mut!(events);
    let mut set = Set::default();
    let mut last = String::from("no answer from the API server");
    loop {
        let event = match timeout_at(deadline, events.next()).await {
            Err(_) => bail!("{what}: not within {limit:?}; last seen: {last}"),
            Ok(event) => event.context("the watch ended")?,
        };
        match event {
            // The watcher backs off and tries again by itself.
            Err(error) => last = format!("{error:#}"),
            Ok(event) => {
                if !set.apply(event) {
                    continue;
                }
                match judge(&set.objects.values().collect::<Vec<_>>()) {
                    Seen::Done(value) => return Ok(value),
                    Seen::NotYet(seen) => last = seen,
                }
            }
        }
    }
}

type Key = (String, String);

/// The objects of a watch. A relist replaces the set only when it is complete.
struct Set<K> {
    objects: BTreeMap<Key, K>,
    relist: Option<BTreeMap<Key, K>>,
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), relist: None }
    }
}

impl<K: kube::Resource> Set<K> {
    /// Takes an event in; true when the set is whole and worth judging.
    fn apply(&mut self, event: Event<K>) -> bool {
        let key = |object: &K| {
            let meta = object.meta();
            (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
        };
        match event {
            Event::Init => self.relist = Some(BTreeMap::new()),
            Event::InitApply(object) => {
                self.relist.get_or_insert_default().insert(key(&object), object);
            }
            Event::InitDone => self.objects = self.relist.take().unwrap_or_default(),
            Event::Apply(object) => {
                self.objects.insert(key(&object), object);
            }
            Event::Delete(object) => {
                self.objects.remove(&key(&object));
            }
        }
        self.relist.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn named(name: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.into());
        object
    }

    #[tokio::test]
    async fn waiting_ends_with_the_value_once_it_is_there() {
        let looks = Cell::new(0);
        let value = until("three looks", Duration::from_secs(5), async || {
            looks.set(looks.get() + 1);
            Ok(if looks.get() == 3 { Seen::Done("there") } else { Seen::NotYet(String::new()) })
        });
        assert_eq!(value.await.unwrap(), "there");
    }

    #[tokio::test]
    async fn a_timeout_says_what_was_seen_last() {
        let limit = Duration::from_millis(250);
        let result: Result<()> = until("five Pods", limit, async || Ok(Seen::NotYet("4 Pods".into()))).await;
        assert_eq!(result.unwrap_err().to_string(), "five Pods: not within 250ms; last seen: 4 Pods");
    }

    #[test]
    fn a_relist_replaces_the_set_only_when_complete() {
        let mut set = Set::default();
        assert!(!set.apply(Event::Init));
        assert!(!set.apply(Event::InitApply(named("a"))));
        assert!(set.apply(Event::InitDone));
        assert!(!set.apply(Event::Init));
        assert_eq!(set.objects.len(), 1, "the old set stands until the new one is whole");
        assert!(set.apply(Event::InitDone));
        assert_eq!(set.objects.len(), 0);
        assert!(set.apply(Event::Apply(named("b"))));
        assert!(set.apply(Event::Delete(named("b"))));
        assert_eq!(set.objects.len(), 0);
    }
}

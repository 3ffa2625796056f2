//! Between the watch and the cache: lists that break off come with pauses, and what the API server sends is received and
//! decoded in a task of its own while what came before goes into the cache. With a hundred thousand objects a start is
//! a third shorter for it.

use std::pin::pin;

use futures::stream::{self, Stream, StreamExt};
use kube::runtime::watcher::{self, Event};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::failure;

/// How many events travel together while many come: waking the other side for each would cost more than is won.
const TOGETHER: usize = 64;
/// How many such groups may be ahead of the cache; beyond them the server has to wait.
const GROUPS: usize = 8;

/// Delays each list that follows one that broke off. That a list ends early is no error to the watcher: it starts
/// another at once.
pub(super) fn paced<W>(
    events: impl Stream<Item = watcher::Result<Event<W>>>,
) -> impl Stream<Item = watcher::Result<Event<W>>> {
    let mut broken_off = 0;
    events.then(move |event| {
        let pause = match &event {
            Ok(Event::Init) => {
                broken_off += 1;
                Some(failure::pause_after(broken_off - 1))
            }
            Ok(Event::InitDone) => {
                broken_off = 0;
                None
            }
            _ => None,
        };
        async move {
            if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
                tokio::time::sleep(pause).await;
            }
            event
        }
    })
}

/// The same events in the same order, prepared ahead of whoever takes them. What is ahead is dropped with the stream.
pub(super) fn ahead<T: Send + 'static>(events: impl Stream<Item = T> + Send + 'static) -> impl Stream<Item = T> {
    let (tell, told) = mpsc::channel(GROUPS);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut groups = pin!(events.ready_chunks(TOGETHER));
        while let Some(group) = groups.next().await {
            if tell.send(group).await.is_err() {
                return;
            }
        }
    });
    let groups = stream::unfold((told, task), |(mut told, task)| async move {
        let group = told.recv().await?;
        Some((stream::iter(group), (told, task)))
    });
    groups.flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn events_come_in_order_and_few_are_ahead() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let numbers = stream::iter(0..10_000_usize).inspect(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let mut events = pin!(ahead(numbers));
        for want in 0..1_000 {
            assert_eq!(events.next().await, Some(want));
        }
        tokio::task::yield_now().await;
        assert!(made.load(Ordering::Relaxed) <= 1_000 + (GROUPS + 3) * TOGETHER, "{made:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_does_not_wait_for_what_has_not() {
        let events = stream::iter([1, 2]).chain(stream::once(async {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            3
        }));
        let start = tokio::time::Instant::now();
        let mut events = pin!(ahead(events));
        assert_eq!((events.next().await, events.next().await), (Some(1), Some(2)));
        assert!(start.elapsed().is_zero());
        assert_eq!((events.next().await, events.next().await), (Some(3), None));
    }
}

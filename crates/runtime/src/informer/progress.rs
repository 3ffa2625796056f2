//! How far a cache is, and what a wait for several of them comes to (PL-21).
//!
//! A kind that is not installed is no failure of this process: whoever needs it is left out, all others start. One
//! answer of 404 does not decide that, since a server that is starting gives it too: the last one before the limit does.

use std::time::Duration;

use futures::future::join_all;
use kube::runtime::watcher;

use super::Synced;

/// How far a cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The first list is not there yet.
    Listing,
    /// The server does not know the kind; it is asked again with back-off.
    NotInstalled,
    /// The first list was there and all handlers have seen it.
    Complete,
}

impl Progress {
    /// How far it is after a failure.
    pub(super) fn after(self, err: &watcher::Error) -> Self {
        use watcher::Error::{InitialListFailed, WatchStartFailed};
        match (self, err) {
            (Self::Complete, _) => Self::Complete,
            // For a kind that is known this is never 404, in a namespace that does not exist neither.
            (_, InitialListFailed(kube::Error::Api(status)) | WatchStartFailed(kube::Error::Api(status)))
                if status.code == 404 =>
            {
                Self::NotInstalled
            }
            (Self::Listing | Self::NotInstalled, _) => Self::Listing,
        }
    }
}

/// What a wait for caches came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "controllers must not start on incomplete caches"]
pub enum Waited {
    /// All show their first list.
    Complete,
    /// These kinds are not installed.
    NotInstalled(Vec<String>),
    /// These kinds did not come in time.
    Late(Vec<String>),
}

impl Waited {
    /// Waits until all caches are complete, or up to a limit.
    pub async fn for_all(caches: &[Synced], limit: Duration) -> Self {
        let all = join_all(caches.iter().map(Synced::wait));
        if tokio::time::timeout(limit, all).await.is_ok() {
            return Self::Complete;
        }
        let that_are = |progress| {
            let found = caches.iter().filter(|cache| cache.progress() == progress);
            found.map(|cache| cache.kind().to_owned()).collect::<Vec<_>>()
        };
        match that_are(Progress::NotInstalled) {
            none if none.is_empty() => Self::Late(that_are(Progress::Listing)),
            kinds => Self::NotInstalled(kinds),
        }
    }
}

#[cfg(test)]
mod tests {
    use api::k8s::Node;

    use super::*;
    use crate::clock;
    use crate::informer::Informer;
    use crate::mock::{Answer, Log, end_of_list, server};
    use crate::shutdown::Shutdown;

    const LIMIT: Duration = Duration::from_secs(120);

    /// A streamed list without objects, and the watch after it.
    fn nothing() -> Answer {
        Answer::Lines(vec![end_of_list("Node", 1)])
    }

    /// The cache of a server that answers like this.
    fn cache(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (Synced, Log) {
        let (client, log) = server(move |_| answer());
        let informer = Informer::<Node>::new(Vec::new());
        let synced = informer.synced();
        tokio::spawn(informer.run(client, String::new(), Shutdown::manual()));
        (synced, log)
    }

    // PL-21
    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_not_installed_is_no_late_cache() {
        let (missing, _) = cache(|| Answer::Refuse(404, "NotFound"));
        let (late, _) = cache(|| Answer::Refuse(500, "InternalError"));
        let (complete, _) = cache(nothing);
        let nodes = || vec!["Node".to_owned()];
        let wait = async |caches: &[&Synced]| {
            let caches: Vec<_> = caches.iter().map(|cache| (*cache).clone()).collect();
            Waited::for_all(&caches, LIMIT).await
        };
        assert_eq!(wait(&[&complete]).await, Waited::Complete);
        assert_eq!(wait(&[&complete, &missing]).await, Waited::NotInstalled(nodes()));
        assert_eq!(wait(&[&complete, &late]).await, Waited::Late(nodes()));
        assert_eq!(wait(&[&late, &missing]).await, Waited::NotInstalled(nodes()), "it could not start anyway");
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_installed_while_somebody_waits_is_waited_for() {
        let start = clock::instant();
        let (synced, _) = cache(move || match clock::instant() - start {
            soon if soon < Duration::from_secs(50) => Answer::Refuse(404, "NotFound"),
            _ => nothing(),
        });
        assert_eq!(Waited::for_all(std::slice::from_ref(&synced), LIMIT).await, Waited::Complete);
        assert!(synced.is_synced());
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_not_installed_is_looked_for_with_back_off_and_counted() {
        let (synced, log) = cache(|| Answer::Refuse(404, "NotFound"));
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(synced.progress(), Progress::NotInstalled);
        let attempts = log.all().len();
        assert!((10..=30).contains(&attempts), "{attempts} in ten minutes");
        let text = crate::metrics::encode().unwrap();
        let counted = text.lines().find_map(|line| line.strip_prefix("kruise_informer_errors_total{kind=\"Node\"} "));
        assert!(counted.is_some_and(|count| count.parse::<usize>().unwrap() >= attempts), "{text}");
    }
}

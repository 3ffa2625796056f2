//! What a failed list or watch means: try again as before, or start anew in another way.

use std::time::Duration;

use kube::runtime::watcher;

use crate::client;

/// How the first state is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lists {
    /// As the beginning of the watch (Kubernetes 1.27 and later, on by default since 1.32).
    Streamed,
    /// In pages, before the watch.
    Paged,
}

/// Why a watch is not followed any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The end of the process was asked for.
    Asked,
    /// The server no longer has the version to start from: only a new watcher lists again.
    Expired,
    /// The server does not stream lists.
    NotStreamed,
    /// Something came that cannot be decoded.
    Unreadable,
}

/// Whether a failure asks for another way; `None` where the watcher gets over it.
pub(super) fn ends(err: &watcher::Error) -> Option<Ended> {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match err {
        WatchStartFailed(_) if is_expiry(err) => Some(Ended::Expired),
        // 422 from a server that knows the question and says no, 400 from one that does not.
        WatchStartFailed(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => Some(Ended::NotStreamed),
        InitialListFailed(err) | WatchStartFailed(err) | WatchFailed(err) if is_unreadable(err) => {
            Some(Ended::Unreadable)
        }
        InitialListFailed(_) | WatchStartFailed(_) | WatchFailed(_) | WatchError(_) | NoResourceVersion => None,
    }
}

/// Whether the server no longer holds the version to go on from; the watcher, or a new one, lists again.
pub(super) fn is_expiry(err: &watcher::Error) -> bool {
    match err {
        watcher::Error::WatchError(status) => status.code == 410,
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        _ => false,
    }
}

/// Whether the answer came, but not as the kind is declared. kube takes such a line of a watch for a refusal that says
/// nothing.
fn is_unreadable(err: &kube::Error) -> bool {
    match err {
        kube::Error::SerdeError(_) => true,
        kube::Error::Api(status) => status.code == 0 && status.message.is_empty(),
        _ => false,
    }
}

/// How long to wait before a list, after some that broke off: nothing, then 1 s, doubling up to half a minute.
pub(super) fn pause_after(broken_off: u32) -> Duration {
    match broken_off {
        0 => Duration::ZERO,
        times => Duration::from_secs(1_u64 << times.saturating_sub(1).min(5)).min(Duration::from_secs(30)),
    }
}

/// What the log says of a failure.
pub(super) fn what_follows(ended: Option<Ended>) -> &'static str {
    match ended {
        Some(Ended::NotStreamed) => "server does not stream lists, list in pages",
        Some(Ended::Unreadable) => "object cannot be read, list again one by one",
        Some(Ended::Asked | Ended::Expired) | None => "watch failed, try again",
    }
}

/// The error and what the server said, once.
pub(super) fn words(err: &watcher::Error) -> String {
    match err {
        watcher::Error::InitialListFailed(err) => format!("list: {}", client::words(err)),
        watcher::Error::WatchStartFailed(err) => format!("start watch: {}", client::words(err)),
        watcher::Error::WatchFailed(err) => format!("read watch: {}", client::words(err)),
        watcher::Error::WatchError(status) => format!("watch ended by server: {}", status.message),
        watcher::Error::NoResourceVersion => err.to_string(),
    }
}

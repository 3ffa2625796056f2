//! Why a request has no answer, where that is known: whoever wrote must know whether it may have been carried out.

use std::time::Duration;

use hyper_util::client::legacy;

/// What became of a request that the server did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Another replica may lead now: it was not sent, or the server had turned it away before.
    #[error("not the leader")]
    NotLeader,
    /// There is no connection: it was not sent.
    #[error("cannot connect")]
    NotConnected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was sent and has no complete answer: it may have been carried out.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl From<Failure> for kube::Error {
    fn from(failure: Failure) -> Self {
        Self::Service(failure.into())
    }
}

/// The failure of our own within an error of a client; `None` for answers of the server and for anything else.
#[must_use]
pub fn failure(err: &kube::Error) -> Option<&Failure> {
    match err {
        kube::Error::Service(err) => err.downcast_ref(),
        _ => None,
    }
}

/// Tells a connection that was never made from one that was lost.
pub(super) fn told_apart(err: kube::Error) -> kube::Error {
    match err {
        kube::Error::Service(cause) if is_connect(cause.as_ref()) => Failure::NotConnected(cause).into(),
        other => other,
    }
}

fn is_connect(err: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(err);
    while let Some(err) = next {
        if let Some(err) = err.downcast_ref::<legacy::Error>() {
            return err.is_connect();
        }
        next = err.source();
    }
    false
}

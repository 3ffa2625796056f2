//! How stages run that change a Pod: in order, each on what the ones before it have left, until one fails (PW-5).

use futures::future::BoxFuture;

use super::draft::Draft;
use crate::admission::{Desk, Refusal, Request, Verdict};

/// Why a stage can't go on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The Pod can't be read: that is nobody's fault but the sender's.
    #[error("{}", .0.message)]
    Unreadable(Refusal),
    /// The text is the user's answer.
    #[error("{0}")]
    Failed(String),
}

/// What a stage does to a Pod. What it may read besides is in the draft's request and on the desk.
pub type Run = for<'a, 'r> fn(&'a mut Draft<'r>, &'a Desk) -> BoxFuture<'a, Result<(), StageError>>;

/// One step of the pipeline (PW-7).
pub struct Stage {
    /// Name in the log.
    pub name: &'static str,
    /// The step.
    pub run: Run,
}

/// Lets the stages change the Pod of a request (PW-4..6).
pub(super) async fn run(stages: &[Stage], request: &Request, desk: &Desk) -> Verdict {
    let mut draft = match Draft::of(request) {
        Ok(draft) => draft,
        Err(refusal) => return Verdict::Refuse(refusal),
    };
    for stage in stages {
        match (stage.run)(&mut draft, desk).await {
            Ok(()) => {}
            Err(StageError::Unreadable(refusal)) => return Verdict::Refuse(refusal),
            Err(StageError::Failed(text)) => return Verdict::Refuse(Refusal::internal(stage.name, text)),
        }
    }
    draft.verdict()
}

#[cfg(test)]
mod tests;

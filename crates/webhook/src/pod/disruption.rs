//! How checks run that may refuse the change, deletion or eviction of a Pod (PW-30..32).
//!
//! Which requests are such a thing is decided here once, so that no check is ever asked about another.

use futures::future::BoxFuture;
use runtime::gates::Gates;
use serde::Deserialize;

use super::pipeline::StageError;
use crate::admission::form::{Members, or_default};
use crate::admission::{Desk, Operation, Options, Refusal, Request, Verdict};

/// What happens to the Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The Pod itself is changed; changes of a subresource are not judged (PW-37).
    Update,
    /// The Pod itself is deleted.
    Delete,
    /// It is evicted: the request creates an Eviction, not a Pod.
    Evict,
}

impl Act {
    /// What a request does, if it is to be judged. Whatever rules a user writes into the webhook configurations, the
    /// creation of a Pod is not (edge case 5).
    fn of(request: &Request) -> Option<Self> {
        if !super::concerns_pods(request) {
            return None;
        }
        match (request.operation, request.sub_resource.as_str()) {
            (Operation::Update, "") => Some(Self::Update),
            (Operation::Delete, "") if request.old_object.is_absent() => None, // PW-30
            (Operation::Delete, "") => Some(Self::Delete),
            (Operation::Create, "eviction") => Some(Self::Evict),
            (Operation::Create | Operation::Update | Operation::Delete | Operation::Connect, _) => None,
        }
    }
}

/// A Pod is about to be changed, deleted or evicted.
#[derive(Clone, Copy)]
pub struct Disruption<'r> {
    /// In which way.
    pub act: Act,
    /// By which request. Of an eviction the object is the Eviction, and the Pod has to be looked up by the request's
    /// name.
    pub request: &'r Request,
}

impl Disruption<'_> {
    /// Whether nothing may be done but to answer. An eviction says so in its own options (PW-33, edge case 6).
    ///
    /// # Errors
    /// 400 where the options can't be read.
    pub fn is_dry_run(&self) -> Result<bool, StageError> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Eviction<'a> {
            #[serde(borrow, deserialize_with = "or_default")]
            delete_options: Options<'a>,
        }

        if self.request.is_dry_run().map_err(StageError::Unreadable)? {
            return Ok(true);
        }
        match self.act {
            Act::Update | Act::Delete => Ok(false),
            Act::Evict => match self.request.object.view::<Members<Eviction<'_>>>() {
                Ok(Members(eviction)) => Ok(eviction.delete_options.is_dry_run()),
                Err(err) => Err(StageError::Unreadable(err.decoding("Eviction"))),
            },
        }
    }
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It has nothing against it.
    Allowed,
    /// It must not be; the text is the user's answer.
    Denied(String),
}

/// What a check does.
pub type Run = for<'a, 'r> fn(&'a Disruption<'r>, &'a Desk) -> BoxFuture<'a, Result<Ruling, StageError>>;

/// One step of the validation (PW-31).
pub struct Check {
    /// Name in the log.
    pub name: &'static str,
    /// In which of the three cases it is asked, with these gates.
    pub concerns: fn(Act, &Gates) -> bool,
    /// The step.
    pub run: Run,
}

/// Asks the checks; the first that denies or fails decides.
pub(super) async fn judge(checks: &[Check], request: &Request, desk: &Desk) -> Verdict {
    let Some(act) = Act::of(request) else { return Verdict::Allow };
    let disruption = Disruption { act, request };
    for check in checks.iter().filter(|check| (check.concerns)(act, &desk.gates)) {
        let refusal = match (check.run)(&disruption, desk).await {
            Ok(Ruling::Allowed) => continue,
            // `kubectl drain` waits and tries again, as with a native budget (ruling 9).
            Ok(Ruling::Denied(reason)) if act == Act::Evict => Refusal::too_many_requests(check.name, reason),
            Ok(Ruling::Denied(reason)) => Refusal::forbidden(check.name, reason),
            Err(StageError::Unreadable(refusal)) => refusal,
            Err(StageError::Failed(text)) => Refusal::bad_request(check.name, text),
        };
        return Verdict::Refuse(refusal);
    }
    Verdict::Allow
}

#[cfg(test)]
mod tests;

//! A Pod on its way through the stages.
//!
//! Each stage looks at the [`View`], and most Pods are looked at and let go. The first stage that changes something has
//! the Pod parsed; from then on all see the changed one (PW-5).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::pipeline::StageError;
use super::view::View;
use crate::admission::form::Members;
use crate::admission::{Refusal, Request, Verdict, changed};

/// A Pod as the stages so far have left it.
pub struct Draft<'r> {
    request: &'r Request,
    sent: View<'r>,
    edited: Option<Value>,
}

impl<'r> Draft<'r> {
    /// The Pod of a request, as it came.
    ///
    /// # Errors
    /// 400 where it can't be read (PW-4).
    pub fn of(request: &'r Request) -> Result<Self, Refusal> {
        let Members(sent) = request.object.view().map_err(|err| err.decoding("Pod"))?;
        Ok(Self { request, sent, edited: None })
    }

    /// The request that the Pod is in.
    #[must_use]
    pub fn request(&self) -> &'r Request {
        self.request
    }

    /// Where to look for what concerns the Pod: its namespace, or the request's where it names none (PW-4).
    #[must_use]
    pub fn namespace(&self) -> &str {
        match &*self.sent.metadata.namespace {
            "" => &self.request.namespace,
            namespace => namespace,
        }
    }

    /// The Pod as it is now.
    ///
    /// # Errors
    /// Fails where a stage has left something that is no Pod.
    pub fn view(&self) -> Result<Cow<'_, View<'_>>, StageError> {
        match &self.edited {
            None => Ok(Cow::Borrowed(&self.sent)),
            Some(pod) => match Members::deserialize(pod) {
                Ok(Members(view)) => Ok(Cow::Owned(view)),
                Err(err) => Err(StageError::Failed(format!("decode Pod after a change: {err}"))),
            },
        }
    }

    /// The whole Pod, to be changed.
    ///
    /// # Errors
    /// Fails where the Pod is nested too deep for that.
    pub fn edit(&mut self) -> Result<&mut Value, StageError> {
        let pod = match self.edited.take() {
            Some(pod) => pod,
            None => self.sent_whole().map_err(StageError::Unreadable)?.clone(),
        };
        Ok(self.edited.insert(pod))
    }

    /// What is to be answered if no stage objects (PW-6).
    pub(super) fn verdict(self) -> Verdict {
        match (&self.edited, self.sent_whole()) {
            (None, _) => Verdict::Allow,
            (Some(edited), Ok(sent)) => changed(sent, edited),
            (Some(_), Err(refusal)) => Verdict::Refuse(refusal),
        }
    }

    fn sent_whole(&self) -> Result<&'r Value, Refusal> {
        self.request.object.read().map_err(|err| err.decoding("Pod"))
    }
}

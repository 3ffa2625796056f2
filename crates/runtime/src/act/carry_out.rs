//! One write and what is expected of it: registered before it is sent, settled by its answer, doubted without one.

use rules::write::{Patch, Verb, Write};
use serde_json::Value;

use super::doubt::{Found, Question};
use super::patch::{Broken, Target};
use super::{Error, Pass};
use crate::clock;
use crate::expectations::{Action, ObjectId, Sight};
use crate::informer::ObjectKey;

impl Pass<'_> {
    pub(super) async fn carry_out(&self, write: &Write) -> Result<(), Error> {
        // The semaphore is never closed; if it were, the limit would be gone, not the write.
        let _slot = self.engine.slots.acquire().await.ok();
        match &write.verb {
            Verb::Create { body } => self.create(write, body).await,
            Verb::Delete { uid } => self.delete(write, uid).await,
            Verb::Patch { uid, resource_version, patches } => {
                self.patch(write, uid.as_deref(), resource_version.as_deref(), patches).await
            }
        }
    }

    async fn create(&self, write: &Write, body: &Value) -> Result<(), Error> {
        let (scale, object) = (&self.expectations.scale, object_of(write));
        scale.expect_creation(&self.id, &object);
        match self.engine.sender.create(write, body).await {
            Ok(made) => {
                scale.created(&self.id, &object, Sight::of_answer(&made));
                Ok(())
            }
            Err(err) if err.may_have_been_carried_out() => {
                self.resolve(Question::of_creation(object, body, &self.id, &err), err).await
            }
            Err(err) => {
                scale.withdraw(&self.id, Action::Create, &object);
                Err(err)
            }
        }
    }

    async fn delete(&self, write: &Write, uid: &str) -> Result<(), Error> {
        let (scale, object) = (&self.expectations.scale, object_of(write));
        scale.expect_deletion(&self.id, &object, uid);
        match self.engine.sender.delete(write, uid).await {
            Ok(()) => Ok(()),
            // Whoever deleted it: until the cache shows that it is gone, it would be planned with.
            Err(err) if err.code() == Some(404) => Ok(()),
            Err(err) if err.may_have_been_carried_out() => {
                self.resolve(Question::of_deletion(object, &self.id, &err), err).await
            }
            Err(err) => {
                scale.withdraw(&self.id, Action::Delete, &object);
                Err(err)
            }
        }
    }

    async fn patch(
        &self,
        write: &Write,
        uid: Option<&str>,
        resource_version: Option<&str>,
        patches: &[Patch],
    ) -> Result<(), Error> {
        let versions = &self.expectations.versions;
        // Its object may go, and the watch show that, before the answer is here.
        let _writing = uid.map(|uid| versions.begin(uid, clock::instant()));
        let expect = |answer: &Value| {
            if let Some((uid, version)) = shown_by(answer) {
                versions.expect(uid, version, clock::instant());
            }
        };
        let Err(Broken { error, sent_on }) =
            self.engine.sender.patch_all(Target { write, uid, resource_version }, patches, expect).await
        else {
            return Ok(());
        };
        if error.may_have_been_carried_out() {
            // Even if it was, the patches after it were not: the next pass sees to them.
            return self.resolve(Question::of_patch(object_of(write), uid, sent_on, &error), error).await;
        }
        Err(error)
    }

    /// Looks once what became of a write without an answer; if that does not settle it, goes on looking aside.
    async fn resolve(&self, question: Question, err: Error) -> Result<(), Error> {
        let sender = &self.engine.sender;
        match question.ask(sender, self.expectations).await {
            Found::Done => Ok(()),
            Found::NotDone | Found::Moved => Err(err),
            Found::Unknown => {
                question.doubt(self.expectations);
                tokio::spawn(question.settle(sender.clone(), self.expectations.clone()));
                Err(err)
            }
        }
    }
}

pub(super) fn object_of(write: &Write) -> ObjectId {
    let key = ObjectKey::new(write.namespace.clone().unwrap_or_default(), write.name.clone());
    ObjectId { resource: write.resource, key }
}

/// UID and version that the cache has to show after a patch was answered with this; `None` where it never will: a
/// terminating object whose last finalizer the patch took is gone.
fn shown_by(answer: &Value) -> Option<(&str, &str)> {
    let metadata = answer.get("metadata")?;
    let is_empty = |list: Option<&Value>| list.and_then(Value::as_array).is_none_or(Vec::is_empty);
    let is_set = |member: Option<&Value>| member.is_some_and(|value| !value.is_null());
    let grace = metadata.get("deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or_default();
    if is_set(metadata.get("deletionTimestamp")) && is_empty(metadata.get("finalizers")) && grace == 0 {
        return None;
    }
    Some((metadata.get("uid")?.as_str()?, metadata.get("resourceVersion")?.as_str()?))
}

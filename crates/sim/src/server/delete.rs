//! Deletion: what becomes of an object when somebody deletes it.
//!
//! Pods get time to end, finalizers hold an object until they are taken off, and the policy for dependents is a finalizer
//! of its own. What then happens to the dependents is `gc`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::core::{Answer, Core};
use super::draft::{Draft, Operation, Reply};
use super::failure::{Cause, Failure, Result, details};
use super::kind::Resource;
use super::metadata::{self, at, finalizers, is_deleting, meta, meta_text, put_at, seconds, text_at};
use super::subresource;

/// Finalizer: dependents go first.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer: dependents stay.
pub(super) const ORPHAN: &str = "orphan";

/// What becomes of an object.
#[derive(Debug, PartialEq)]
enum Fate {
    /// It is on its way, and this deletion changes nothing.
    Pending,
    /// It stays, marked.
    Stays(Value),
    /// It goes, marked before where kube-apiserver does so.
    Goes(Option<Value>),
}

/// The policy is one that is known, and told once.
fn check_policy(options: &Value) -> Result<()> {
    let policy = text_at(options, &["propagationPolicy"]);
    let (reason, message) = if !policy.is_empty() && !at(options, &["orphanDependents"]).is_null() {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        ("FieldValueInvalid", format!("Invalid value: {policy:?}: {why}"))
    } else if !matches!(policy, "" | "Background" | "Foreground" | "Orphan") {
        let known = r#""Foreground", "Background", "Orphan", "nil""#;
        ("FieldValueNotSupported", format!("Unsupported value: {policy:?}: supported values: {known}"))
    } else {
        return Ok(());
    };
    Err(Failure::options("DeleteOptions", &[Cause { reason, message, field: "propagationPolicy".to_owned() }]))
}

impl Core {
    pub(super) fn begin_delete<'a>(&self, mut draft: Draft<'a>, options: Value) -> Result<Draft<'a>> {
        self.load(&mut draft)?;
        check_policy(&options)?;
        (draft.operation, draft.options) = (Operation::Delete, options);
        Ok(draft)
    }

    /// Deletes a Pod the polite way.
    pub(super) fn begin_eviction<'a>(&self, draft: Draft<'a>) -> Result<Draft<'a>> {
        let body = &draft.call.body;
        let name = meta_text(body, "name");
        if !name.is_empty() && name != draft.key.name {
            return Err(Failure::bad_request("name in URL does not match name in Eviction object"));
        }
        if self.store.objects("poddisruptionbudgets.policy", &draft.key.namespace).next().is_some() {
            return Err(Failure::not_simulated("eviction where there are PodDisruptionBudgets"));
        }
        let options = at(body, &["deleteOptions"]).clone();
        let mut draft = self.begin_delete(draft, options)?;
        draft.reply = Reply::Success;
        Ok(draft)
    }

    pub(super) fn commit_deletion(&mut self, draft: Draft<'_>) -> Result<Answer> {
        let (by, key, now) = (draft.by(), draft.key.clone(), self.now());
        let Some(mut before) = draft.before.clone() else { return Err(super::draft::not_found(&draft)) };
        check_preconditions(&draft, &before)?;
        let evicted = draft.reply == Reply::Success && !is_deleting(&before);
        if evicted && !draft.is_dry() {
            before = self.put(by, &key, with_disruption(&before, now));
        }
        let fate = if draft.resource.id == "namespaces" && subresource::namespace_is_held(&before) {
            namespace_fate(&draft, &before, now)?
        } else {
            fate(&draft.resource, &before, &draft.options, now)?
        };
        let dry_run = draft.is_dry();
        let left = match fate {
            Fate::Pending if dry_run => return self.deleted(&draft, &before, true),
            Fate::Pending => {
                self.note(by, &key, Some(Arc::clone(&before)), Some(Arc::clone(&before)));
                return self.deleted(&draft, &before, draft.resource.traits.deletion_shows_object);
            }
            Fate::Stays(object) if dry_run || *before == object => Arc::new(object),
            Fate::Stays(object) => self.put(by, &key, object),
            Fate::Goes(_) if dry_run => return self.deleted(&draft, &before, false),
            Fate::Goes(marked) => {
                if let Some(object) = marked {
                    before = self.put(by, &key, object);
                }
                let last = self.erase(by, &key, &before);
                return self.deleted(&draft, &last, draft.resource.traits.deletion_shows_object);
            }
        };
        self.deleted(&draft, &left, true)
    }

    fn deleted(&self, draft: &Draft<'_>, object: &Arc<Value>, shows: bool) -> Result<Answer> {
        if draft.reply == Reply::Success {
            return Ok(subresource::success());
        }
        if shows {
            return self.show(&draft.resource, object, &draft.kind, 200);
        }
        let mut about = details(&draft.key.name, draft.resource.group(), draft.resource.plural());
        about.insert("uid".to_owned(), meta(object, "uid").clone());
        let status =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about});
        Ok(Answer { code: 200, body: Arc::new(status) })
    }
}

fn check_preconditions(draft: &Draft<'_>, before: &Value) -> Result<()> {
    let rules = [
        ("uid", "UID", "The object might have been deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "The object might have been modified"),
    ];
    for (member, word, hint) in rules {
        let Some(asked) = at(&draft.options, &["preconditions", member]).as_str() else { continue };
        let found = meta_text(before, member);
        if asked != found {
            let why = format!(
                "the {word} in the precondition ({asked}) does not match the {word} in record ({found}). {hint}"
            );
            let group = draft.resource.group();
            let kind = if group.is_empty() { draft.kind.kind.clone() } else { format!("{}.{group}", draft.kind.kind) };
            return Err(Failure::conflict(&subresource::named(&kind), &draft.key.name, &why));
        }
    }
    Ok(())
}

/// Namespaces go when their content is gone.
fn namespace_fate(draft: &Draft<'_>, before: &Value, now: Timestamp) -> Result<Fate> {
    let name = draft.key.name.as_str();
    if matches!(name, "default" | "kube-system" | "kube-public") {
        return Err(Failure::forbidden(&draft.resource, name, "this namespace may not be deleted"));
    }
    if is_deleting(before) {
        let why = "The system is ensuring all content is removed from this namespace.  Upon completion, this namespace \
                   will automatically be purged by the system.";
        return Err(Failure::conflict(&draft.resource, name, why));
    }
    let mut object = before.clone();
    metadata::metadata(&mut object)?.insert("deletionTimestamp".to_owned(), seconds(now));
    put_at(&mut object, &["status", "phase"], json!("Terminating"));
    Ok(Fate::Stays(object))
}

fn fate(resource: &Resource, before: &Value, options: &Value, now: Timestamp) -> Result<Fate> {
    let mut object = before.clone();
    let asked = at(options, &["gracePeriodSeconds"]).as_i64();
    let mut grace = None;
    if resource.id == "pods" {
        match graceful(&mut object, asked, now)? {
            Grace::Pending => return Ok(Fate::Pending),
            Grace::Over => {}
            Grace::Given(period) => grace = Some(period),
        }
    }
    let changed = set_policy(&mut object, options)?;
    let held = finalizers(&object).next().is_some();
    if grace.is_none() && held {
        mark(&mut object, now)?;
    }
    Ok(match grace {
        _ if held => Fate::Stays(object),
        Some(period) if period > 0 => Fate::Stays(object),
        Some(_) => Fate::Goes(Some(object)),
        None => Fate::Goes(changed.then_some(object)),
    })
}

/// How much time a Pod has.
enum Grace {
    /// As much as it had.
    Pending,
    /// None, and it knows.
    Over,
    /// This many seconds from now on, which it is told.
    Given(i64),
}

fn graceful(pod: &mut Value, asked: Option<i64>, now: Timestamp) -> Result<Grace> {
    let asked = asked.map(|period| if period < 0 { 1 } else { period });
    if is_deleting(pod) {
        let given = meta(pod, "deletionGracePeriodSeconds").as_i64().unwrap_or_default();
        return match asked {
            _ if given == 0 => Ok(Grace::Over),
            Some(period) if period < given => {
                let until = meta_text(pod, "deletionTimestamp").parse::<Timestamp>().unwrap_or(now);
                set_grace(pod, later(until, period - given), period)?;
                Ok(Grace::Given(period))
            }
            _ => Ok(Grace::Pending),
        };
    }
    let own = at(pod, &["spec", "terminationGracePeriodSeconds"]).as_i64();
    let is_over = text_at(pod, &["spec", "nodeName"]).is_empty()
        || matches!(text_at(pod, &["status", "phase"]), "Succeeded" | "Failed");
    let own = own.map(|period| if period < 0 { 1 } else { period });
    // A Pod without a period of its own, and nobody asks for one: the default of Kubernetes.
    let period = if is_over { 0 } else { asked.or(own).unwrap_or(30) };
    set_grace(pod, later(now, period), period)?;
    metadata::next_generation(pod);
    Ok(Grace::Given(period))
}

fn later(time: Timestamp, by: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(by)).unwrap_or(time)
}

fn set_grace(object: &mut Value, until: Timestamp, period: i64) -> Result<()> {
    let metadata = metadata::metadata(object)?;
    metadata.insert("deletionTimestamp".to_owned(), seconds(until));
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(period));
    Ok(())
}

/// Marks an object that finalizers hold.
fn mark(object: &mut Value, now: Timestamp) -> Result<()> {
    if !is_deleting(object) {
        metadata::next_generation(object);
        metadata::metadata(object)?.insert("deletionTimestamp".to_owned(), seconds(now));
    }
    metadata::metadata(object)?.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
    Ok(())
}

/// The policy for dependents becomes finalizers; says whether any changed.
fn set_policy(object: &mut Value, options: &Value) -> Result<bool> {
    let policy = match (text_at(options, &["propagationPolicy"]), at(options, &["orphanDependents"]).as_bool()) {
        ("", Some(true)) => "Orphan",
        ("", Some(false)) => "Background",
        (policy, _) => policy,
    };
    let had = |name: &str| finalizers(object).any(|finalizer| finalizer == name);
    let orphan = policy == "Orphan" || (policy.is_empty() && had(ORPHAN));
    let foreground = policy == "Foreground" || (policy.is_empty() && had(FOREGROUND));
    if orphan == had(ORPHAN) && foreground == had(FOREGROUND) {
        return Ok(false);
    }
    let others = finalizers(object).filter(|name| ![ORPHAN, FOREGROUND].contains(name));
    let wanted = [(orphan, ORPHAN), (foreground, FOREGROUND)].into_iter().filter(|(is, _)| *is).map(|(_, name)| name);
    let list: Vec<String> = others.chain(wanted).map(str::to_owned).collect();
    let metadata = metadata::metadata(object)?;
    if list.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), json!(list));
    }
    Ok(true)
}

/// An evicted Pod says so.
fn with_disruption(pod: &Value, now: Timestamp) -> Value {
    let mut pod = pod.clone();
    let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": seconds(now)});
    let had = at(&pod, &["status", "conditions"]).as_array().into_iter().flatten();
    let mut list: Vec<Value> = had.filter(|had| text_at(had, &["type"]) != "DisruptionTarget").cloned().collect();
    list.push(condition);
    put_at(&mut pod, &["status", "conditions"], Value::Array(list));
    pod
}

//! CloneSets: defaults (CS-100..103), the form of refusals (section 5), deletion protection (CS-110).

use super::asked::Asked;
use super::verdict::{Verdict, patched};
use super::{Judge, Promise, Violation, defaults, require, untouched};
use crate::generate::schema::Schema;
use crate::input::{Input, Settings};
use crate::json::{Json, Numbers, first_difference, same};

pub(super) fn mutate(judge: &Judge, input: &Input, asked: &Asked<'_>, verdict: &Verdict) -> Result<(), Violation> {
    if !concerns_spec(asked) {
        return untouched(verdict);
    }
    let patch = match verdict {
        Verdict::Yes(patch) => patch.as_ref(),
        Verdict::No { code, message, .. } => return refused_form(judge, asked, *code, message),
    };
    let Some(before) = asked.object else {
        return require(patch.is_none(), Promise::Keeps, || "a patch of nothing".to_owned());
    };
    let after = patched(before, patch)?;
    defaults::check(before, &after, asked.version)?;
    templates(input.settings, asked, before, &after)?;
    if form(judge, asked.version).is_some_and(|form| form.fits(before)) {
        must_be_there(asked.version, &after)?;
    }
    let again = judge.again(input, &input.path, asked, &after)?;
    require(again.is_plain_yes(), Promise::Settles, || format!("a second time: {}", again.words()))?;
    agrees(judge, input, asked, before, &after)
}

/// Templates get no defaults by a gate, nor in an update that leaves the Pod template as it is (CS-103).
fn templates(settings: Settings, asked: &Asked<'_>, before: &Json, after: &Json) -> Result<(), Violation> {
    let template = |object: &Json, name: &str| object.at(&["spec", name]).cloned().unwrap_or(Json::Null);
    let stored = asked.old.filter(|_| asked.operation == "UPDATE").map(|old| template(old, "template"));
    let unchanged = stored.is_some_and(|old| same(&old, &template(before, "template"), Numbers::ByValue));
    if settings != Settings::Bare && !unchanged {
        return Ok(());
    }
    for name in ["template", "volumeClaimTemplates"] {
        let difference = first_difference(&template(before, name), &template(after, name), Numbers::ByValue);
        let what = || format!("{name} without defaults{}", difference.clone().unwrap_or_default());
        require(difference.is_none(), Promise::Keeps, what)?;
    }
    Ok(())
}

/// CS-100..102.
fn must_be_there(version: &str, object: &Json) -> Result<(), Violation> {
    let there = |path: &[&str]| {
        let found = object.at(path).is_some_and(|value| *value != Json::Null);
        require(found, Promise::Writes, || format!("{} has no default", path.join(".")))
    };
    there(&["spec", "replicas"])?;
    there(&["spec", "revisionHistoryLimit"])?;
    there(&["spec", "updateStrategy", "type"])?;
    let strategy: &[&str] = match version {
        "v1alpha1" => &["spec", "updateStrategy"],
        _ if object.at(&["spec", "updateStrategy", "type"]) != Some(&Json::text("RollingUpdate")) => return Ok(()),
        _ => &["spec", "updateStrategy", "rollingUpdate"],
    };
    for name in ["partition", "maxUnavailable", "maxSurge"] {
        there(&[strategy, &[name]].concat())?;
    }
    Ok(())
}

/// What admission filled in is not what validation refuses.
fn agrees(judge: &Judge, input: &Input, asked: &Asked<'_>, before: &Json, after: &Json) -> Result<(), Violation> {
    const PATH: &str = "/validate-apps-kruise-io-cloneset";
    let Verdict::No { message, fields: now, .. } = judge.again(input, PATH, asked, after)? else { return Ok(()) };
    let earlier = match judge.again(input, PATH, asked, before)? {
        Verdict::Yes(_) => Vec::new(),
        Verdict::No { fields, .. } => fields,
    };
    // Host ports that are copied can meet: as in Kubernetes, that is the user's mistake.
    // Where replicas are absent, limits are shares of nothing; those are looked at once replicas have their default.
    let counted = before.at(&["spec"]).and_then(|spec| spec.some("replicas")).is_some();
    // A template that was stored without defaults changes by them, which is more than images.
    let grows = asked.operation == "UPDATE" && asked.version == "v1alpha1";
    let expected = |field: &String| {
        earlier.contains(field)
            || field.ends_with(".hostPort")
            || (grows && field == "spec")
            || (!counted && [".maxUnavailable", ".maxSurge"].iter().any(|limit| field.ends_with(limit)))
    };
    match now.iter().find(|field| !expected(field)) {
        Some(field) => Err(Violation::new(Promise::Agrees, format!("after defaults {field} is refused: {message}"))),
        None => Ok(()),
    }
}

pub(super) fn validate(judge: &Judge, input: &Input, asked: &Asked<'_>, verdict: &Verdict) -> Result<(), Violation> {
    require(!matches!(verdict, Verdict::Yes(Some(_))), Promise::Keeps, || "validation with a patch".to_owned())?;
    if asked.operation == "DELETE" {
        return deletion(input, asked, verdict);
    }
    if !concerns_spec(asked) {
        return untouched(verdict);
    }
    match verdict {
        Verdict::Yes(_) => plainly_wrong(asked),
        Verdict::No { code: 422, .. } => Ok(()),
        Verdict::No { code, message, .. } => refused_form(judge, asked, *code, message),
    }
}

/// A few rules of section 5.2 that a glance can tell.
fn plainly_wrong(asked: &Asked<'_>) -> Result<(), Violation> {
    let Some(object) = asked.object else {
        return Err(Violation::new(Promise::Form, "nothing was allowed as a CloneSet"));
    };
    let at = |path: &[&str]| object.at(path).filter(|value| **value != Json::Null);
    let refuse = |wrong: bool, what: &str| require(!wrong, Promise::Form, || format!("allowed: {what}"));
    let negative =
        matches!(at(&["spec", "replicas"]), Some(Json::Number(text)) if text.starts_with('-') && text != "-0");
    refuse(negative, "negative replicas")?;
    refuse(at(&["spec", "selector"]).is_none(), "no selector")?;
    refuse(at(&["spec", "template"]).is_none(), "no template")?;
    refuse(at(&["spec", "template", "spec", "activeDeadlineSeconds"]).is_some(), "activeDeadlineSeconds")?;
    let names = at(&["spec", "scaleStrategy", "podsToDelete"]).map(Json::items).unwrap_or_default();
    let twice = names.iter().enumerate().any(|(index, name)| names.iter().skip(index + 1).any(|other| other == name));
    refuse(twice, "podsToDelete with a name twice")
}

/// The label decides, with the gate that `strict` settings switch on.
fn deletion(input: &Input, asked: &Asked<'_>, verdict: &Verdict) -> Result<(), Violation> {
    let held = asked.old.is_some_and(|old| {
        let going = matches!(old.at(&["metadata", "deletionTimestamp"]), Some(Json::Text(_)));
        let label = old.at(&["metadata", "labels", "policy.kruise.io/delete-protection"]).and_then(Json::as_text);
        let replicas = match old.at(&["spec", "replicas"]) {
            Some(Json::Number(text)) => text.parse::<i64>().unwrap_or(0),
            _ => 0,
        };
        !going && (label == Some("Always") || (label == Some("Cascading") && replicas > 0))
    });
    let held = held && input.settings == Settings::Strict && asked.sub_resource.is_empty();
    match verdict {
        Verdict::Yes(_) => require(!held, Promise::Form, || "a protected CloneSet may go".to_owned()),
        Verdict::No { code: 400, .. } if asked.old.is_some_and(|old| !decides(old)) => Ok(()),
        Verdict::No { code, message, .. } => {
            require(held && *code == 403, Promise::Accepts, || format!("deletion refused with {code}: {message}"))
        }
    }
}

/// Whether what deletion protection decides by can be read; what else is wrong with an object must not keep it.
fn decides(old: &Json) -> bool {
    let is =
        |path: &[&str], fits: &dyn Fn(&Json) -> bool| old.at(path).is_none_or(|part| *part == Json::Null || fits(part));
    let label = old.at(&["metadata", "labels", "policy.kruise.io/delete-protection"]).and_then(Json::as_text);
    let is_sized = is(&["spec"], &Json::is_object)
        && is(&["spec", "replicas"], &|count| matches!(count, Json::Number(text) if text.parse::<i64>().is_ok()));
    old.is_object()
        && is(&["metadata"], &Json::is_object)
        && is(&["metadata", "deletionTimestamp"], &|time| time.as_text().is_some())
        && is(&["metadata", "labels"], &|labels| match labels {
            Json::Object(labels) => labels.iter().all(|(_, text)| text.as_text().is_some() || *text == Json::Null),
            _ => false,
        })
        && (label != Some("Cascading") || is_sized)
}

/// A refusal for the form: 400, and only of what has not the form of its version.
fn refused_form(judge: &Judge, asked: &Asked<'_>, code: u16, message: &str) -> Result<(), Violation> {
    let right = form(judge, asked.version).is_some_and(|form| {
        let old = asked.old.filter(|_| asked.operation == "UPDATE");
        asked.object.is_some_and(|object| form.fits(object)) && old.is_none_or(|old| form.fits(old))
    });
    require(!right, Promise::Accepts, || format!("a CloneSet is refused with {code}: {message}"))?;
    require(code == 400, Promise::Form, || format!("a CloneSet that can't be read is refused with {code}"))
}

fn form<'a>(judge: &'a Judge, version: &str) -> Option<&'a Schema> {
    match version {
        "v1alpha1" => Some(&judge.forms.alpha),
        "v1beta1" => Some(&judge.forms.beta),
        _ => None,
    }
}

fn concerns_spec(asked: &Asked<'_>) -> bool {
    asked.sub_resource.is_empty() && ["CREATE", "UPDATE"].contains(&asked.operation)
}

//! Conversion (PL-55, IN-44; CloneSet section 2.1): the form of the answer, each member where `model` wants it, and
//! the way there and back.

use super::asked::{self, DEPTH};
use super::{Judge, Promise, Violation, model, require, shown};
use crate::input::Input;
use crate::json::{Json, Numbers, first_difference, spans};
use crate::product::Answer;

/// What conversion does not touch keeps its very text.
const TEXT: Numbers = Numbers::ByText;

const VERSIONS: [&str; 2] = ["apps.kruise.io/v1alpha1", "apps.kruise.io/v1beta1"];

/// A question.
struct Asked<'a> {
    desired: &'a str,
    objects: &'a [Json],
}

pub(super) fn check(judge: &Judge, input: &Input, answer: &Answer) -> Result<String, Violation> {
    let question = Json::read(&input.body).ok().filter(Json::is_plain);
    let asked = question.as_ref().and_then(read);
    if answer.code != 200 {
        let right = asked.is_some() && asked::plain(&input.body).is_some();
        require(!right, Promise::Accepts, || shown("a review that can be read", answer))?;
        return Ok(format!("HTTP {}", answer.code));
    }
    let converted = form(question.as_ref(), answer)?;
    let Some(asked) = asked else { return Ok("answered, unclear".to_owned()) };
    let Some(objects) = converted else {
        let deep = asked.objects.iter().any(|object| object.depth() > DEPTH);
        let all = asked.objects.iter().all(|object| is_convertible(object, asked.desired));
        require(deep || !all, Promise::Accepts, || shown("a review of what can be converted", answer))?;
        return Ok("failed".to_owned());
    };
    require(objects.len() == asked.objects.len(), Promise::Keeps, || {
        format!("{} objects became {}", asked.objects.len(), objects.len())
    })?;
    for (before, after) in asked.objects.iter().zip(&objects) {
        one(judge, before, after, asked.desired)?;
    }
    same_bytes(input, answer, &asked)?;
    there_and_back(judge, input, &asked, &objects)?;
    Ok(match objects.len() {
        0 => "converted none".to_owned(),
        1 => "converted one".to_owned(),
        _ => "converted many".to_owned(),
    })
}

/// The objects of an answer of code 200; none where it says that it failed.
fn form(question: Option<&Json>, answer: &Answer) -> Result<Option<Vec<Json>>, Violation> {
    let wrong = |what: &str| Violation::new(Promise::Form, shown(what, answer));
    let Ok(review) = Json::read(&answer.body) else {
        // Half of a surrogate pair is carried as it came, and stays what no strict reader takes.
        let carried =
            question.is_none() && serde_json::from_slice::<serde::de::IgnoredAny>(answer.body.as_ref()).is_ok();
        return if carried { Ok(None) } else { Err(wrong("no JSON")) };
    };
    let is = |path: &[&str], want: Option<&Json>| review.at(path) == want;
    if !is(&["kind"], Some(&Json::text("ConversionReview"))) {
        return Err(wrong("not a ConversionReview"));
    }
    if let Some(question) = question
        && !(is(&["apiVersion"], question.get("apiVersion"))
            && is(&["response", "uid"], question.at(&["request", "uid"])))
    {
        return Err(wrong("another version or UID than asked"));
    }
    let objects = review.at(&["response", "convertedObjects"]).map(Json::items).unwrap_or_default();
    let result = |name| review.at(&["response", "result", name]).and_then(Json::as_text).unwrap_or_default();
    match (result("status"), result("message")) {
        ("Success", _) => Ok(Some(objects.to_vec())),
        ("Failure", message) if !message.is_empty() && objects.is_empty() => Ok(None),
        _ => Err(wrong("neither success nor a failure with its reason")),
    }
}

fn read(review: &Json) -> Option<Asked<'_>> {
    let version = review.get("apiVersion")?.as_text()?;
    let known = ["apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"].contains(&version)
        && review.get("kind")?.as_text()? == "ConversionReview";
    let request = review.get("request").filter(|request| known && request.is_object())?;
    request.get("uid")?.as_text()?;
    let objects = match request.get("objects") {
        None => &[],
        Some(Json::List(objects)) => objects.as_slice(),
        Some(_) => return None,
    };
    Some(Asked { desired: request.get("desiredAPIVersion")?.as_text()?, objects })
}

/// What is stored is always converted (IN-44).
fn is_convertible(object: &Json, desired: &str) -> bool {
    let text = |name| object.get(name).and_then(Json::as_text).unwrap_or_default();
    let version = text("apiVersion");
    let ours = VERSIONS.contains(&version) && VERSIONS.contains(&desired) && text("kind") == "CloneSet";
    object.is_object() && (ours || (version == desired && !version.is_empty()))
}

fn one(judge: &Judge, before: &Json, after: &Json, desired: &str) -> Result<(), Violation> {
    let kept = |difference: Option<String>, what: &str| match difference {
        None => Ok(()),
        Some(difference) => Err(Violation::new(Promise::Keeps, format!("{what}{difference}"))),
    };
    let version = before.get("apiVersion").and_then(Json::as_text).unwrap_or_default();
    if version == desired {
        return kept(first_difference(before, after, TEXT), "an object in the right version");
    }
    require(is_convertible(before, desired), Promise::Form, || format!("{version} was converted to {desired}"))?;
    let to_beta = desired == "apps.kruise.io/v1beta1";
    let form = if to_beta { &judge.forms.alpha } else { &judge.forms.beta };
    if form.fits(before) {
        let want = if to_beta { model::beta(before) } else { model::alpha(before) };
        return kept(first_difference(&model::tidy(&want), &model::tidy(after), TEXT), "the object");
    }
    // Of an odd object only what conversion has no business with is known.
    require(after.get("apiVersion") == Some(&Json::text(desired)), Promise::Writes, || "the version".to_owned())?;
    kept(first_difference(&model::untouched(before), &model::untouched(after), TEXT), "the object")
}

/// An object that is in the right version comes back byte for byte.
fn same_bytes(input: &Input, answer: &Answer, asked: &Asked<'_>) -> Result<(), Violation> {
    let items = |body, path: &[&str]| -> Option<Vec<String>> {
        let text = std::str::from_utf8(body).ok()?;
        spans(text, path)?.into_iter().map(|span| text.get(span).map(str::to_owned)).collect()
    };
    let sent = items(&input.body, &["request", "objects"]).unwrap_or_default();
    let got = items(&answer.body, &["response", "convertedObjects"]).unwrap_or_default();
    for (object, (sent, got)) in asked.objects.iter().zip(sent.iter().zip(&got)) {
        let right = object.get("apiVersion").and_then(Json::as_text) == Some(asked.desired);
        require(!right || sent == got, Promise::Keeps, || format!("bytes of an object in the right version: {got}"))?;
    }
    Ok(())
}

/// Converts back what changed its version, and holds what came against what comes back.
fn there_and_back(judge: &Judge, input: &Input, asked: &Asked<'_>, converted: &[Json]) -> Result<(), Violation> {
    let Some(back) = VERSIONS.into_iter().find(|version| *version != asked.desired) else { return Ok(()) };
    let form = if back == "apps.kruise.io/v1alpha1" { &judge.forms.alpha } else { &judge.forms.beta };
    let sent = asked.objects.iter().zip(converted);
    let sent: Vec<_> =
        sent.filter(|(before, _)| before.get("apiVersion") == Some(&Json::text(back)) && form.fits(before)).collect();
    if sent.is_empty() || asked.objects.iter().any(|object| object.depth() > DEPTH) {
        return Ok(());
    }
    let objects: Vec<Json> = sent.iter().map(|(_, after)| (*after).clone()).collect();
    let review = Json::object([
        ("kind", Json::text("ConversionReview")),
        ("apiVersion", Json::text("apiextensions.k8s.io/v1")),
        (
            "request",
            Json::object([
                ("uid", Json::text("back")),
                ("desiredAPIVersion", Json::text(back)),
                ("objects", Json::List(objects)),
            ]),
        ),
    ]);
    let answer = judge.ask(&Input { body: review.write().into_bytes(), ..input.clone() })?;
    let Some(returned) = form_of(&review, &answer)? else {
        return Err(Violation::new(Promise::Accepts, shown("the way back", &answer)));
    };
    require(returned.len() == sent.len(), Promise::Keeps, || "objects are lost on the way back".to_owned())?;
    for ((before, _), after) in sent.iter().zip(&returned) {
        if let Some(difference) = first_difference(&model::lasting(before), &model::lasting(after), TEXT) {
            return Err(Violation::new(Promise::Keeps, format!("there and back: the object{difference}")));
        }
    }
    Ok(())
}

fn form_of(question: &Json, answer: &Answer) -> Result<Option<Vec<Json>>, Violation> {
    require(answer.code == 200, Promise::Accepts, || shown("what conversion made", answer))?;
    form(Some(question), answer)
}

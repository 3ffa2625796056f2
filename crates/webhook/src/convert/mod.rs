//! `/convert`: objects between the versions of a kind (PL-55).
//!
//! How a kind is converted is `api`; nothing here asks the API server, which calls us in the midst of its own reads
//! (IN-45). A review is answered as a whole: one object that can't be converted fails it. A review may hold all objects
//! of a large list, so they are slices of the body, turned one by one and written into the one answer.

use std::borrow::Cow;
use std::fmt;

use api::conversion::ConversionError;
use api::keys;
use api::raw::Part;
use hyper::body::Bytes;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Versions of the review that are understood.
const VERSIONS: [&str; 2] = ["apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"];

/// The kinds with more than one version, and what converts them.
const CONVERTERS: &[Converter] =
    &[Converter { group: keys::APPS_GROUP, kind: api::cloneset::KIND, write: api::cloneset::conversion::write }];

struct Converter {
    group: &'static str,
    kind: &'static str,
    /// Appends the object in the version, given without the group.
    write: fn(&RawValue, &str, &mut String) -> Result<(), ConversionError>,
}

/// Longest name of an object that a message shows, in characters: none that Kubernetes takes is longer.
const NAME_SHOWN: usize = 253;

/// The body is no review that can be answered: HTTP 400.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is no text.
    #[error("unreadable ConversionReview")]
    Text(#[from] std::str::Utf8Error),
    /// It is no JSON of that form.
    #[error("unreadable ConversionReview")]
    Form(#[from] serde_json::Error),
    /// It is another kind or version.
    #[error("not a ConversionReview of a known version: {api_version} {kind}")]
    Version {
        /// What it says it is.
        api_version: String,
        /// Which kind.
        kind: String,
    },
    /// It asks nothing.
    #[error("ConversionReview without request")]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    request: Option<Asked<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    uid: String,
    #[serde(rename = "desiredAPIVersion")]
    desired_api_version: String,
    #[serde(borrow)]
    objects: Option<&'a RawValue>,
}

/// An answered review.
pub struct Answer {
    /// The body.
    pub body: Bytes,
    /// Why the review failed; the body says so too.
    pub failure: Option<String>,
}

/// Answers the body of a request. Takes about as much memory as the body, and time for each byte of it: up to a second
/// for the largest.
///
/// # Errors
/// Fails where no answer could be matched to it.
pub fn answer(body: &[u8]) -> Result<Answer, ReviewError> {
    let Review { api_version, kind, request } = serde_json::from_str(std::str::from_utf8(body)?)?;
    if !VERSIONS.contains(&&*api_version) || kind != "ConversionReview" {
        return Err(ReviewError::Version { api_version: api_version.into_owned(), kind: kind.into_owned() });
    }
    let Asked { uid, desired_api_version, objects } = request.ok_or(ReviewError::Empty)?;

    let length = objects.map_or(0, |objects| objects.get().len());
    // A conversion adds some 150 bytes to an object, which is more than 1 KiB long but for made-up ones.
    let mut body = String::with_capacity(length + length / 8 + 1024);
    body.push_str(&format!(r#"{{"apiVersion":"{api_version}","kind":"ConversionReview","response":"#));
    let response = body.len();
    body.push_str(r#"{"convertedObjects":["#);

    let mut batch = Batch { desired: &desired_api_version, out: &mut body, empty: true, failure: None };
    let read =
        objects.map_or(Ok(()), |objects| serde_json::Deserializer::from_str(objects.get()).deserialize_seq(&mut batch));
    let failure = batch.failure;
    if let Some(message) = &failure {
        body.truncate(response);
        let result = json!({ "status": "Failure", "message": message });
        body.push_str(&json!({ "uid": uid, "convertedObjects": [], "result": result }).to_string());
    } else {
        read?;
        body.push_str(r#"],"result":{"status":"Success"},"uid":"#);
        body.push_str(&Value::from(uid).to_string());
        body.push('}');
    }
    body.push('}');
    Ok(Answer { body: body.into(), failure })
}

/// The objects of a review on their way into the answer.
struct Batch<'o> {
    desired: &'o str,
    out: &'o mut String,
    empty: bool,
    failure: Option<String>,
}

impl<'de> Visitor<'de> for &mut Batch<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut objects: A) -> Result<(), A::Error> {
        while let Some(object) = objects.next_element::<&RawValue>()? {
            if !std::mem::take(&mut self.empty) {
                self.out.push(',');
            }
            if let Err(failure) = convert(object, self.desired, self.out) {
                self.failure = Some(failure);
                return Err(de::Error::custom("an object can't be converted"));
            }
        }
        Ok(())
    }
}

fn convert(object: &RawValue, desired: &str, out: &mut String) -> Result<(), String> {
    let [present, kind, metadata] = Part::of(object).find(["apiVersion", "kind", "metadata"]);
    let present = present.text().unwrap_or_default();
    if present == desired {
        out.push_str(object.get());
        return Ok(());
    }
    let kind = kind.text().unwrap_or_default();
    let converted = match (present.split_once('/'), desired.split_once('/')) {
        (Some((from, _)), Some((group, version))) if from == group => {
            match CONVERTERS.iter().find(|it| it.group == group && it.kind == kind) {
                Some(converter) => (converter.write)(object, version, out).map_err(|err| err.to_string()),
                None => Err("no such kind is converted here".to_owned()),
            }
        }
        _ => Err("the group differs".to_owned()),
    };
    converted.map_err(|reason| {
        let [namespace, name] = metadata.find(["namespace", "name"]).map(|part| part.text().unwrap_or_default());
        let separator = if namespace.is_empty() { "" } else { "/" };
        let [kind, namespace, name, from] = [&kind, &namespace, &name, &present].map(|text| shown(text));
        format!("convert {kind} {namespace}{separator}{name} from {from} to {}: {reason}", shown(desired))
    })
}

/// The text, cut where it is longer than any name.
fn shown(text: &str) -> &str {
    text.char_indices().nth(NAME_SHOWN).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests;

//! CloneSet between `v1alpha1` and `v1beta1` (page section 2.1), on the text of the object: what the page does not name
//! is carried along as it was written.
//!
//! Never fails for a stored object (IN-44): a part that has not the form of its version is carried through unchanged.
//! Metadata and status stay as they are, but for the three image pre-download annotations, which are the `v1alpha1`
//! form of fields.

use serde_json::{Value, value::RawValue};

use super::{IN_PLACE_IF_POSSIBLE, IN_PLACE_ONLY, KIND, ON_DELETE, RE_CREATE, ROLLING_UPDATE, Version};
use crate::raw::{self, Edit, Part};
use crate::{conversion::ConversionError, keys};

const ENABLE_REUSE: &str = "enablePVCReuse";
const DISABLE_REUSE: &str = "disablePVCReuse";
const IN_PLACE: &str = "inPlaceUpdateStrategy";
const GRACE_PERIOD: &str = "gracePeriodSeconds";
const PARALLELISM: &str = "imagePreDownloadParallelism";
const TIMEOUT: &str = "imagePreDownloadTimeoutSeconds";
const MIN_READY: &str = "imagePreDownloadMinUpdatedReadyPods";

/// The fields that `v1alpha1` writes as annotations.
const FIELDS: [&str; 3] = [PARALLELISM, TIMEOUT, MIN_READY];
/// Their annotations, in the same order.
const ANNOTATIONS: [&str; 3] = [
    keys::IMAGE_PREDOWNLOAD_PARALLELISM_ANNOTATION,
    keys::IMAGE_PREDOWNLOAD_TIMEOUT_ANNOTATION,
    keys::IMAGE_PREDOWNLOAD_MIN_READY_ANNOTATION,
];

/// Converts a CloneSet to another version, given as `v1beta1` or `apps.kruise.io/v1beta1`, and appends it to `out`. An
/// object that has it already is appended unchanged (PL-55).
///
/// # Errors
/// Fails where either version is unknown, or where this is no object; never for what the API server has stored. `out`
/// is untouched then.
pub fn write(object: &RawValue, to_version: &str, out: &mut String) -> Result<(), ConversionError> {
    let whole = Part::of(object);
    let Part::Object(_) = whole else { return Err(ConversionError::NotAnObject) };
    let [present, metadata, spec] = whole.find(["apiVersion", "metadata", "spec"]);
    let from = known(&present.text().unwrap_or_default())?;
    let to = known(to_version)?;
    let converted = match (from, to) {
        (Version::V1alpha1, Version::V1beta1) => to_v1beta1(metadata, spec),
        (Version::V1beta1, Version::V1alpha1) => to_v1alpha1(metadata, spec),
        (Version::V1alpha1, Version::V1alpha1) | (Version::V1beta1, Version::V1beta1) => {
            out.push_str(object.get());
            return Ok(());
        }
    };
    converted.over(object).set("apiVersion", to.api_version()).write(out);
    Ok(())
}

/// Converts a tree, see [`write`].
///
/// # Errors
/// As [`write`], and where the object is nested deeper than a tree is read again.
pub fn convert(object: &Value, to_version: &str) -> Result<Value, ConversionError> {
    let text = serde_json::value::to_raw_value(object).map_err(|_| ConversionError::TooDeep)?;
    let mut converted = String::new();
    write(&text, to_version, &mut converted)?;
    serde_json::from_str(&converted).map_err(|_| ConversionError::TooDeep)
}

fn known(version: &str) -> Result<Version, ConversionError> {
    Version::parse(version).ok_or_else(|| ConversionError::UnknownVersion { kind: KIND, version: version.to_owned() })
}

fn to_v1beta1<'a>(metadata: Part<'a>, spec: Part<'a>) -> Edit<'a> {
    let Part::Object(members) = spec else { return Edit::default() };
    let [labels, annotations] = metadata.find(["labels", "annotations"]);
    let [excludes] = labels.find([keys::EXCLUDE_PREPARING_DELETE_LABEL]);
    let [scale, update] = spec.find(["scaleStrategy", "updateStrategy"]);

    let mut spec = Edit::default().over(members);
    if let Some(mut scale) = inverted_reuse(scale, DISABLE_REUSE, ENABLE_REUSE) {
        if excludes.text().as_deref() == Some("true") {
            scale = scale.set("excludePreparingDelete", true);
        }
        spec = spec.set("scaleStrategy", scale);
    }
    if let Some(update) = nested_strategy(update, annotations) {
        spec = spec.set("updateStrategy", update);
    }
    Edit::default().set("spec", spec)
}

fn to_v1alpha1<'a>(metadata: Part<'a>, spec: Part<'a>) -> Edit<'a> {
    let Part::Object(members) = spec else { return Edit::default() };
    let [scale, update] = spec.find(["scaleStrategy", "updateStrategy"]);

    let mut object = Edit::default();
    let mut spec = Edit::default().over(members);
    if let Some(scale) = inverted_reuse(scale, ENABLE_REUSE, DISABLE_REUSE) {
        // Not written back as a label: page section 2.1.
        spec = spec.set("scaleStrategy", scale.drop("excludePreparingDelete"));
    }
    if let Some((update, annotations)) = flat_strategy(update, metadata) {
        spec = spec.set("updateStrategy", update);
        if let Some(metadata) = with_annotations(metadata, &annotations) {
            object = object.set("metadata", metadata);
        }
    }
    object.set("spec", spec)
}

/// The scale strategy with the switch for claims under its other name, which says the opposite. What is no switch stays,
/// and is found again on the way back.
fn inverted_reuse<'a>(scale: Part<'a>, from: &'static str, to: &'static str) -> Option<Edit<'a>> {
    let edit = scale.edit()?;
    let [switch, beside] = scale.find([from, to]);
    Some(match (switch.flag(), beside.flag()) {
        (Some(reuse), Some(_)) => edit.drop(from).set(to, !reuse),
        _ => edit,
    })
}

/// `v1alpha1`'s flat strategy in the form of `v1beta1`. `OnDelete` keeps nothing else, as in 1.9.
fn nested_strategy<'a>(flat: Part<'a>, annotations: Part<'a>) -> Option<Edit<'a>> {
    let edit = flat.edit()?;
    let [type_, in_place, odd] = flat.find(["type", IN_PLACE, "rollingUpdate"]);
    let policy = match type_.text().as_deref() {
        Some(ON_DELETE) => return Some(Edit::default().set("type", ON_DELETE)),
        _ if matches!(odd, Part::Other(_)) => return None,
        Some(IN_PLACE_IF_POSSIBLE) => IN_PLACE_IF_POSSIBLE,
        Some(IN_PLACE_ONLY) => IN_PLACE_ONLY,
        _ => RE_CREATE,
    };
    let mut rolling = edit.drop("type").set("podUpdatePolicy", policy);
    if let Some(in_place) = annotated_strategy(in_place, annotations) {
        rolling = rolling.set(IN_PLACE, in_place);
    }
    Some(Edit::default().set("type", ROLLING_UPDATE).set("rollingUpdate", rolling))
}

/// The in-place strategy with what the three annotations say; `None` where it stays as it is, which may be absent. A text
/// that is no number counts for the parallelism only, where it is kept; CS-71 reads a percentage from the annotation.
fn annotated_strategy<'a>(in_place: Part<'a>, annotations: Part<'a>) -> Option<Edit<'a>> {
    let mut edit = in_place.edit()?;
    // The schema of v1alpha1 lists the fields too, but only the annotations count there.
    for (field, part) in FIELDS.into_iter().zip(in_place.find(FIELDS)) {
        if !matches!(Setting::read(field, part), Setting::Odd) {
            edit = edit.drop(field);
        }
    }
    let mut annotated = false;
    for (field, annotation) in FIELDS.into_iter().zip(annotations.find(ANNOTATIONS)) {
        let text = annotation.text().unwrap_or_default();
        annotated |= !text.is_empty();
        match text.parse::<i32>() {
            Ok(number) => edit = edit.set(field, number),
            Err(_) if field == PARALLELISM && !text.is_empty() => edit = edit.set(field, &*text),
            Err(_) => {}
        }
    }
    (annotated || !in_place.is_absent()).then_some(edit)
}

/// Texts for some of [`ANNOTATIONS`].
type Annotations = Vec<(&'static str, String)>;

/// `v1beta1`'s strategy in the flat form, and the annotations that go with it.
fn flat_strategy<'a>(nested: Part<'a>, metadata: Part<'a>) -> Option<(Edit<'a>, Annotations)> {
    // What we don't know beside `rollingUpdate` is kept; where it has a name that is known, what stands within counts.
    let mut flat = nested.edit()?.drop("rollingUpdate").drop("podUpdatePolicy");
    let [type_, rolling] = nested.find(["type", "rollingUpdate"]);
    match rolling {
        Part::Absent => {}
        Part::Object(rolling) => flat = flat.over(rolling),
        Part::Other(_) => return None,
    }
    let [policy, in_place] = rolling.find(["podUpdatePolicy", IN_PLACE]);
    let type_ = match (type_.text().as_deref(), policy.text().as_deref()) {
        (Some(ON_DELETE), _) => ON_DELETE,
        (_, Some(IN_PLACE_IF_POSSIBLE)) => IN_PLACE_IF_POSSIBLE,
        (_, Some(IN_PLACE_ONLY)) => IN_PLACE_ONLY,
        _ => RE_CREATE,
    };
    flat = flat.set("type", type_);

    if is_empty_strategy(in_place) {
        return Some((flat.drop(IN_PLACE), Vec::new()));
    }
    let Some(mut edit) = in_place.edit().filter(|_| annotations_of(metadata).is_some()) else {
        return Some((flat, Vec::new()));
    };
    let mut annotations = Vec::new();
    for ((field, annotation), part) in FIELDS.into_iter().zip(ANNOTATIONS).zip(in_place.find(FIELDS)) {
        match Setting::read(field, part) {
            Setting::Absent => edit = edit.drop(field),
            Setting::Text(text) => {
                annotations.push((annotation, text));
                edit = edit.drop(field);
            }
            Setting::Odd => {}
        }
    }
    Some((flat.set(IN_PLACE, edit), annotations))
}

/// Whether none of the four members says anything, and there is no other.
fn is_empty_strategy(in_place: Part<'_>) -> bool {
    const KNOWN: [&str; 4] = [GRACE_PERIOD, PARALLELISM, TIMEOUT, MIN_READY];
    let mut empty = in_place.find(KNOWN).into_iter().all(|part| part.is_absent() || part.integer() == Some(0));
    match in_place {
        Part::Absent => {}
        Part::Object(object) => raw::members(object, |key, _| empty &= KNOWN.iter().any(|name| key.is(name))),
        Part::Other(_) => empty = false,
    }
    empty
}

/// A field that `v1alpha1` writes as an annotation.
enum Setting {
    Absent,
    /// Its text as an annotation.
    Text(String),
    /// No value that the field takes.
    Odd,
}

impl Setting {
    fn read(field: &str, part: Part<'_>) -> Self {
        match (part.integer(), part.text()) {
            _ if part.is_absent() => Self::Absent,
            (Some(number), _) => Self::Text(number.to_string()),
            (None, Some(text)) if field == PARALLELISM => Self::Text(text.into_owned()),
            _ => Self::Odd,
        }
    }
}

/// The annotations to be changed and the metadata that they are in; `None` where something else is in their place.
fn annotations_of(metadata: Part<'_>) -> Option<(Edit<'_>, Edit<'_>)> {
    let [annotations] = metadata.find(["annotations"]);
    Some((metadata.edit()?, annotations.edit()?))
}

/// The metadata with these annotations; `None` where they say what is there already, in these digits or others.
fn with_annotations<'a>(metadata: Part<'a>, wanted: &Annotations) -> Option<Edit<'a>> {
    let (metadata_edit, mut edit) = annotations_of(metadata)?;
    let [annotations] = metadata.find(["annotations"]);
    let mut changed = false;
    for (name, text) in wanted {
        let [present] = annotations.find([*name]);
        let present = present.text();
        let same = |present: &str| present == text || present.parse::<i32>().is_ok_and(|it| Ok(it) == text.parse());
        if !present.as_deref().is_some_and(same) {
            edit = edit.set(name, text.as_str());
            changed = true;
        }
    }
    changed.then(|| metadata_edit.set("annotations", edit))
}

#[cfg(test)]
#[path = "tests/conversion/mod.rs"]
mod tests;

//! Where each member of a CloneSet goes (section 2.1): the page's two tables, row by row.

use crate::json::Json;

/// The three annotations, and the fields that they stand for.
const ANNOTATED: [(&str, &str); 3] = [
    ("apps.kruise.io/image-predownload-parallelism", "imagePreDownloadParallelism"),
    ("apps.kruise.io/image-predownload-timeout-seconds", "imagePreDownloadTimeoutSeconds"),
    ("apps.kruise.io/image-predownload-min-updated-ready-pods", "imagePreDownloadMinUpdatedReadyPods"),
];
const EXCLUDE: &str = "apps.kruise.io/cloneset-scaling-exclude-preparing-delete";
const IN_PLACE: &str = "inPlaceUpdateStrategy";

/// A `v1alpha1` object of the right form, in `v1beta1`.
pub(super) fn beta(object: &Json) -> Json {
    let mut out = object.clone();
    out.set("apiVersion", Json::text("apps.kruise.io/v1beta1"));
    let spec = object.get("spec").cloned().unwrap_or(Json::Null);

    let mut scale = part(&spec, "scaleStrategy");
    let disabled = scale.get("disablePVCReuse") == Some(&Json::Bool(true));
    scale.remove("disablePVCReuse");
    scale.set("enablePVCReuse", Json::Bool(!disabled));
    if text(object, "labels", EXCLUDE) == "true" {
        scale.set("excludePreparingDelete", Json::Bool(true));
    }

    let mut flat = part(&spec, "updateStrategy");
    let type_ = flat.get("type").and_then(Json::as_text).unwrap_or_default().to_owned();
    flat.remove("type");
    let update = if type_ == "OnDelete" {
        Json::object([("type", Json::text("OnDelete"))])
    } else {
        flat.set("podUpdatePolicy", Json::text(policy(&type_)));
        pre_download_fields(object, &mut flat);
        Json::object([("type", Json::text("RollingUpdate")), ("rollingUpdate", flat)])
    };
    let spec = out.entry("spec");
    spec.set("scaleStrategy", scale);
    spec.set("updateStrategy", update);
    out
}

/// In `v1alpha1` the annotations count, and not the fields of the same meaning.
fn pre_download_fields(object: &Json, flat: &mut Json) {
    let texts = ANNOTATED.map(|(annotation, field)| (field, text(object, "annotations", annotation)));
    let annotated = texts.iter().any(|(_, text)| !text.is_empty());
    if flat.some(IN_PLACE).is_none() && !annotated {
        return;
    }
    let mut in_place = part(flat, IN_PLACE);
    for (field, text) in texts {
        in_place.remove(field);
        match whole(text) {
            Some(number) => in_place.set(field, Json::number(number.into())),
            None if field == "imagePreDownloadParallelism" && !text.is_empty() => in_place.set(field, Json::text(text)),
            None => {}
        }
    }
    flat.set(IN_PLACE, in_place);
}

/// A `v1beta1` object of the right form, in `v1alpha1`.
pub(super) fn alpha(object: &Json) -> Json {
    let mut out = object.clone();
    out.set("apiVersion", Json::text("apps.kruise.io/v1alpha1"));
    let spec = object.get("spec").cloned().unwrap_or(Json::Null);

    let mut scale = part(&spec, "scaleStrategy");
    let enabled = scale.get("enablePVCReuse") == Some(&Json::Bool(true));
    scale.remove("enablePVCReuse");
    scale.remove("excludePreparingDelete");
    scale.set("disablePVCReuse", Json::Bool(!enabled));

    let nested = part(&spec, "updateStrategy");
    let mut flat = part(&nested, "rollingUpdate");
    // No version has members beside these two; if one comes, it is kept.
    for (name, value) in nested.members() {
        if name != "type" && name != "rollingUpdate" && flat.get(name).is_none() {
            flat.set(name, value.clone());
        }
    }
    let on_delete = nested.get("type") == Some(&Json::text("OnDelete"));
    let policy = policy(flat.get("podUpdatePolicy").and_then(Json::as_text).unwrap_or_default());
    let type_ = Json::text(if on_delete { "OnDelete" } else { policy });
    flat.remove("podUpdatePolicy");
    flat.set("type", type_);
    let mut in_place = part(&flat, IN_PLACE);
    flat.remove(IN_PLACE);
    if !is_nothing(&in_place) {
        for (annotation, field) in ANNOTATED {
            if let Some(Json::Number(said) | Json::Text(said)) = in_place.get(field) {
                let annotations = out.entry("metadata");
                let mut changed = part(annotations, "annotations");
                changed.set(annotation, Json::text(said.clone()));
                annotations.set("annotations", changed);
            }
            in_place.remove(field);
        }
        flat.set(IN_PLACE, in_place);
    }
    let spec = out.entry("spec");
    spec.set("scaleStrategy", scale);
    spec.set("updateStrategy", flat);
    out
}

/// The object without nulls where conversion moves members: there they are absence. An in-place strategy of which nothing
/// is left says as much as none.
pub(super) fn tidy(object: &Json) -> Json {
    let mut out = object.clone();
    for name in ["scaleStrategy", "updateStrategy"] {
        if let Some(part) = object.at(&["spec", name]) {
            let mut part = without_nulls(part);
            without_nothing(&mut part);
            if part.get("rollingUpdate").is_some_and(Json::is_object) {
                without_nothing(part.entry("rollingUpdate"));
            }
            out.entry("spec").set(name, part);
        }
    }
    out
}

/// What conversion has no business with.
pub(super) fn untouched(object: &Json) -> Json {
    let mut out = object.clone();
    out.remove("apiVersion");
    for name in ["scaleStrategy", "updateStrategy"] {
        if out.get("spec").is_some_and(Json::is_object) {
            out.entry("spec").remove(name);
        }
    }
    if out.get("metadata").is_none_or(|metadata| *metadata == Json::Null) {
        out.set("metadata", Json::object([]));
    }
    let metadata = out.entry("metadata");
    if metadata.is_object() && metadata.some("annotations").is_none_or(Json::is_object) {
        let mut annotations = part(metadata, "annotations");
        ANNOTATED.iter().for_each(|(annotation, _)| annotations.remove(annotation));
        metadata.set("annotations", annotations);
    }
    out
}

/// What must come back from the other version: all but what section 2.1 lists as lost or made plain.
pub(super) fn lasting(object: &Json) -> Json {
    let mut out = untouched(object);
    out.set("apiVersion", object.get("apiVersion").cloned().unwrap_or(Json::Null));
    let spec = object.get("spec").cloned().unwrap_or(Json::Null);

    let mut scale = without_nulls(&part(&spec, "scaleStrategy"));
    let said = |name: &str| Json::Bool(scale.get(name) == Some(&Json::Bool(true)));
    let reuse = (said("enablePVCReuse"), said("disablePVCReuse"));
    scale.set("enablePVCReuse", reuse.0);
    scale.set("disablePVCReuse", reuse.1);
    scale.remove("excludePreparingDelete");

    let mut update = without_nulls(&part(&spec, "updateStrategy"));
    let type_ = update.get("type").and_then(Json::as_text).unwrap_or_default().to_owned();
    if type_ == "OnDelete" {
        update = Json::object([("type", Json::text("OnDelete"))]);
    } else if object.get("apiVersion") == Some(&Json::text("apps.kruise.io/v1alpha1")) {
        update.set("type", Json::text(policy(&type_)));
        in_place_that_lasts(&mut update);
    } else {
        let mut rolling = part(&update, "rollingUpdate");
        let mut beside = update.clone();
        beside.remove("type");
        beside.remove("rollingUpdate");
        // Members beside `rollingUpdate` come back in it.
        for (name, value) in beside.members() {
            if rolling.get(name).is_none() {
                rolling.set(name, value.clone());
            }
        }
        let policy = policy(rolling.get("podUpdatePolicy").and_then(Json::as_text).unwrap_or_default());
        rolling.set("podUpdatePolicy", Json::text(policy));
        in_place_that_lasts(&mut rolling);
        update = Json::object([("type", Json::text("RollingUpdate")), ("rollingUpdate", rolling)]);
    }
    let spec = out.entry("spec");
    spec.set("scaleStrategy", scale);
    spec.set("updateStrategy", update);
    out
}

/// The image pre-download fields have rules of their own; an object of nothing is none.
fn in_place_that_lasts(strategy: &mut Json) {
    let mut in_place = part(strategy, IN_PLACE);
    ANNOTATED.iter().for_each(|(_, field)| in_place.remove(field));
    if is_nothing(&in_place) {
        strategy.remove(IN_PLACE);
    } else {
        strategy.set(IN_PLACE, in_place);
    }
}

fn is_nothing(object: &Json) -> bool {
    let nothing = |value: &Json| match value {
        Json::Null => true,
        Json::Number(text) => text == "0",
        _ => false,
    };
    object.members().iter().all(|(_, value)| nothing(value))
}

fn without_nulls(value: &Json) -> Json {
    match value {
        Json::Object(members) => {
            let there = members.iter().filter(|(_, value)| *value != Json::Null);
            Json::Object(there.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}

fn without_nothing(strategy: &mut Json) {
    if strategy.get(IN_PLACE) == Some(&Json::object([])) {
        strategy.remove(IN_PLACE);
    }
}

/// A part that is an object, or an empty one.
fn part(parent: &Json, name: &str) -> Json {
    parent.get(name).filter(|part| part.is_object()).cloned().unwrap_or_else(|| Json::object([]))
}

fn policy(name: &str) -> &str {
    if name == "InPlaceIfPossible" || name == "InPlaceOnly" { name } else { "ReCreate" }
}

fn text<'a>(object: &'a Json, map: &str, key: &str) -> &'a str {
    object.at(&["metadata", map, key]).and_then(Json::as_text).unwrap_or_default()
}

/// A whole number of 32 bits: a sign, digits, nothing else.
fn whole(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

//! Healthy objects, and members added to them by their form.

use super::schema::Schema;
use super::words;
use crate::json::Json;
use crate::source::Source;

/// A version of CloneSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Alpha,
    Beta,
}

impl Version {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alpha => "v1alpha1",
            Self::Beta => "v1beta1",
        }
    }
}

fn container(source: &mut Source) -> Json {
    let name = *source.pick(&["main", "side", "proxy"]);
    Json::object([("name", Json::text(name)), ("image", Json::text(*source.pick(&["web:1", "web", "web@sha256:0"])))])
}

fn containers(source: &mut Source) -> Json {
    let first = Json::object([("name", Json::text("main")), ("image", Json::text("web:1"))]);
    Json::List(std::iter::once(first).chain((0..source.times(20, 2)).map(|_| container(source))).collect())
}

/// A Pod as a controller creates it, with what the form knows added in a few places.
pub(super) fn pod(schema: &Schema, source: &mut Source) -> Json {
    let mut metadata = Json::object([("generateName", Json::text("web-")), ("namespace", Json::text("shop"))]);
    if source.percent(70) {
        let group = *source.pick(&[
            "apps.kruise.io/v1beta1",
            "apps.kruise.io/v1alpha1",
            "apps/v1",
            "apps.kruise.io",
            "apps.kruise.io/v9/x",
            "Apps.kruise.io/v1",
            "",
        ]);
        let mut owner = Json::object([
            ("apiVersion", Json::text(group)),
            ("kind", Json::text("CloneSet")),
            ("name", Json::text("web")),
            ("uid", Json::text("1")),
        ]);
        if source.percent(85) {
            owner.set("controller", Json::Bool(source.percent(90)));
        }
        metadata.set("ownerReferences", Json::List(vec![owner]));
    }
    let mut spec = Json::object([("containers", containers(source))]);
    if source.percent(25) {
        let gates = (0..source.times(70, 3)).map(|_| {
            let name = *source.pick(&["KruisePodReady", "InPlaceUpdateReady", "example.com/lb"]);
            Json::object([("conditionType", Json::text(name))])
        });
        let gates = gates.collect();
        spec.set("readinessGates", Json::List(gates));
    }
    let mut pod = Json::object([
        ("apiVersion", Json::text("v1")),
        ("kind", Json::text("Pod")),
        ("metadata", metadata),
        ("spec", spec),
    ]);
    enrich(&mut pod, schema, source);
    pod
}

/// A CloneSet that admission accepts, with what the form knows added in a few places.
pub(super) fn cloneset(version: Version, schema: &Schema, source: &mut Source) -> Json {
    let metadata = Json::object([
        ("name", Json::text("web")),
        ("namespace", Json::text("shop")),
        ("uid", Json::text("1")),
        ("resourceVersion", Json::text("7")),
    ]);
    let labels = Json::object([("app", Json::text("web"))]);
    let template = Json::object([
        ("metadata", Json::object([("labels", labels.clone())])),
        ("spec", Json::object([("containers", containers(source))])),
    ]);
    let mut spec = Json::object([("selector", Json::object([("matchLabels", labels)])), ("template", template)]);
    let member = |name: &str| schema.member("spec").and_then(|spec| spec.member(name));
    if let Some(schema) = member("updateStrategy")
        && source.percent(60)
    {
        spec.set("updateStrategy", strategy(version, schema, source));
    }
    if let Some(schema) = member("scaleStrategy")
        && source.percent(40)
    {
        spec.set("scaleStrategy", words::value(schema, "scaleStrategy", 3, source));
    }
    let mut object = Json::object([
        ("apiVersion", Json::text(format!("apps.kruise.io/{}", version.name()))),
        ("kind", Json::text("CloneSet")),
        ("metadata", metadata),
        ("spec", spec),
    ]);
    for name in ["labels", "annotations"] {
        if let Some(schema) = schema.member("metadata").and_then(|metadata| metadata.member(name))
            && source.percent(30)
        {
            object.entry("metadata").set(name, words::value(schema, name, 2, source));
        }
    }
    enrich(&mut object, schema, source);
    object
}

fn strategy(version: Version, schema: &Schema, source: &mut Source) -> Json {
    const POLICIES: [&str; 3] = ["ReCreate", "InPlaceIfPossible", "InPlaceOnly"];
    let mut strategy = words::value(schema, "updateStrategy", 4, source);
    match version {
        Version::Alpha => {
            if source.percent(80) {
                strategy.set("type", Json::text(*source.pick(&POLICIES)));
            }
        }
        Version::Beta => {
            if source.percent(80) {
                strategy.set("type", Json::text(*source.pick(&["RollingUpdate", "OnDelete"])));
            }
            if let Some(rolling) = schema.member("rollingUpdate")
                && source.percent(60)
            {
                let mut rolling = words::value(rolling, "rollingUpdate", 4, source);
                if source.percent(80) {
                    rolling.set("podUpdatePolicy", Json::text(*source.pick(&POLICIES)));
                }
                strategy.set("rollingUpdate", rolling);
            }
        }
    }
    strategy
}

/// Adds or replaces members by their form, in a few places.
pub(super) fn enrich(object: &mut Json, schema: &Schema, source: &mut Source) {
    for _ in 0..source.times(60, 8) {
        let top = *source.pick(&["spec", "spec", "metadata", "status"]);
        if let Some(schema) = schema.member(top) {
            if object.some(top).is_none() {
                object.set(top, words::value(schema, top, 1, source));
            }
            add(object.entry(top), schema, top, source);
        }
        if source.percent(15) {
            strange(object, source);
        }
    }
}

/// A member that no version has, somewhere.
fn strange(value: &mut Json, source: &mut Source) {
    match value {
        Json::Object(members) if !members.is_empty() && source.percent(80) => {
            let index = source.index(members.len());
            if let Some((_, inner)) = members.get_mut(index) {
                strange(inner, source);
            }
        }
        Json::List(items) if !items.is_empty() => {
            let index = source.index(items.len());
            if let Some(inner) = items.get_mut(index) {
                strange(inner, source);
            }
        }
        Json::Object(_) => {
            let name = words::unknown_name(source);
            value.set(&name, words::unknown(3, source));
        }
        _ => {}
    }
}

fn add(value: &mut Json, schema: &Schema, name: &str, source: &mut Source) {
    /// How deep a member is that is new.
    const DEPTH: u8 = 3;
    match (schema, &mut *value) {
        (Schema::Object(members), Json::Object(_)) if !members.is_empty() => {
            let member = source.pick(members);
            let descend = value.some(&member.name).is_some() && source.percent(80);
            if descend {
                add(value.entry(&member.name), &member.schema, &member.name, source);
            } else {
                value.set(&member.name, words::value(&member.schema, &member.name, DEPTH, source));
            }
        }
        (Schema::List(items), Json::List(found)) => {
            let index = source.index(found.len() + 1);
            match found.get_mut(index) {
                Some(item) => add(item, items, name, source),
                None => found.push(words::value(items, name, DEPTH, source)),
            }
        }
        (Schema::Map(_), Json::Object(_)) => {
            for (key, new) in words::value(schema, name, DEPTH, source).members() {
                value.set(key, new.clone());
            }
        }
        _ => *value = words::value(schema, name, DEPTH, source),
    }
}

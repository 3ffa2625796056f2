//! What tests of this crate share: JSON of any shape that still looks like the objects that we read.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Member names that the code looks at, so that arbitrary values land where they can do harm.
const MEMBERS: [&str; 56] = [
    "metadata",
    "spec",
    "status",
    "template",
    "containers",
    "initContainers",
    "name",
    "image",
    "ports",
    "containerPort",
    "hostPort",
    "env",
    "valueFrom",
    "fieldRef",
    "fieldPath",
    "volumeMounts",
    "mountPath",
    "volumes",
    "projected",
    "sources",
    "downwardAPI",
    "items",
    "path",
    "resources",
    "limits",
    "requests",
    "cpu",
    "livenessProbe",
    "lifecycle",
    "preStop",
    "httpGet",
    "port",
    "securityContext",
    "seccompProfile",
    "affinity",
    "nodeAffinity",
    "requiredDuringSchedulingIgnoredDuringExecution",
    "nodeSelectorTerms",
    "matchExpressions",
    "operator",
    "values",
    "tolerations",
    "topologySpreadConstraints",
    "selector",
    "matchLabels",
    "labels",
    "annotations",
    "updateStrategy",
    "rollingUpdate",
    "inPlaceUpdateStrategy",
    "scaleStrategy",
    "podsToDelete",
    "partition",
    "maxUnavailable",
    "volumeClaimTemplates",
    "priorityStrategy",
];

/// Any JSON, with member names of ours more often than not.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        prop_oneof![
            Just("Always"),
            Just("5%"),
            Just("-1%"),
            Just("1Gi"),
            Just("InPlaceOnly"),
            Just("OnDelete"),
            Just("")
        ]
        .prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let name = prop_oneof![4 => prop::sample::select(MEMBERS.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6).prop_map(|entries| Value::Object(Map::from_iter(entries))),
        ]
    })
}

/// A healthy Pod template, in which a test changes one thing.
pub(crate) fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "nginx:1.25"}]},
    })
}

/// Sets the value at a JSON pointer, making what is missing on the way.
#[track_caller]
pub(crate) fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for step in pointer.trim_start_matches('/').split('/') {
        place = match place {
            Value::Array(items) => &mut items[step.parse::<usize>().expect("an index")],
            other => &mut other[step],
        };
    }
    *place = value;
}

/// The lines of refusals.
pub(crate) fn lines(denials: &[crate::field::Denial]) -> Vec<String> {
    denials.iter().map(ToString::to_string).collect()
}

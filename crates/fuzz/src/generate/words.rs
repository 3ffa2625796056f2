//! What stands in the members of objects: likely texts and numbers by the member's name, and odd ones for anywhere.

use super::schema::{DATES, Schema};
use crate::json::Json;
use crate::source::Source;

/// Names of members and what is likely in them.
const TEXTS: [(&str, &[&str]); 30] = [
    ("apiVersion", &["v1", "apps.kruise.io/v1beta1", "apps.kruise.io/v1alpha1", "apps/v1", "apps.kruise.io/v2"]),
    ("appArmorProfile", &["RuntimeDefault", "Unconfined"]),
    ("conditionType", &["KruisePodReady", "InPlaceUpdateReady", "example.com/lb"]),
    ("dnsPolicy", &["ClusterFirst", "Default", "None", "ClusterFirstWithHostNet"]),
    ("effect", &["NoSchedule", "NoExecute", "PreferNoSchedule"]),
    ("fieldPath", &["metadata.name", "status.podIP", "metadata.labels['app']", "spec.nodeName"]),
    ("image", &["web:1", "web", "web:latest", "registry:5000/shop/web@sha256:00", "Registry.example.com/web", "a b"]),
    ("imagePullPolicy", &["Always", "IfNotPresent", "Never"]),
    ("key", &["app", "example.com/tier", "a", ""]),
    ("kind", &["CloneSet", "ReplicaSet", "Pod"]),
    ("labelsHandler", &["true"]),
    ("mountPath", &["/data", "/etc/conf", "/"]),
    ("mountPropagation", &["None", "HostToContainer", "Bidirectional"]),
    ("name", &["web", "main", "data", "conf", "a-1", "b-1", "c-1"]),
    ("namespace", &["shop", "other"]),
    ("operator", &["In", "NotIn", "Exists", "DoesNotExist", "Equal", "Gt"]),
    ("orderedKey", &["app", "example.com/order", ""]),
    ("path", &["/", "/ready", "a/b", ""]),
    ("phase", &["Pending", "Running", "Bound", ""]),
    ("podUpdatePolicy", &["ReCreate", "InPlaceIfPossible", "InPlaceOnly", "", "Sideways"]),
    ("podsToDelete", &["a-1", "a-2", "b-1", "c-1", "gone"]),
    ("protocol", &["TCP", "UDP", "SCTP", ""]),
    ("restartPolicy", &["Always", "Never", "OnFailure"]),
    ("scheme", &["HTTP", "HTTPS", ""]),
    ("status", &["True", "False", "Unknown"]),
    ("topologyKey", &["kubernetes.io/hostname", "topology.kubernetes.io/zone"]),
    (
        "type",
        &["RollingUpdate", "OnDelete", "ReCreate", "InPlaceIfPossible", "InPlaceOnly", "", "Directory", "Progressing"],
    ),
    ("uid", &["1", "2"]),
    ("value", &["web", "1", "", "1000m"]),
    ("whenUnsatisfiable", &["DoNotSchedule", "ScheduleAnyway"]),
];
const OTHER_TEXTS: [&str; 6] = ["x", "web", "", "1", "ä-ü", "example.com/x"];
/// Quantities, most of them not canonical.
const QUANTITIES: [&str; 16] = [
    "1",
    "500m",
    "1000m",
    "1024Mi",
    "0.5Gi",
    "1e3",
    "1500u",
    "0",
    "-1",
    "0.1",
    "100000000000000000000",
    "9.5E2",
    "1Ei",
    "99999999999999999999999999999",
    "many",
    "",
];
const PERCENTS: [&str; 9] = ["20%", "0%", "100%", "12.5%", "1", "-5%", "x%", "101%", "99999999999%"];
const INTEGERS: [&str; 12] = ["1", "0", "2", "3", "10", "30", "80", "-1", "2147483647", "2147483646", "65535", "600"];
const LABELS: [&str; 5] = [
    "app",
    "apps.kruise.io/cloneset-scaling-exclude-preparing-delete",
    "policy.kruise.io/delete-protection",
    "a/B",
    "x_y",
];
const LABEL_VALUES: [&str; 7] = ["web", "true", "Always", "Cascading", "", "false", "!"];
const ANNOTATIONS: [&str; 4] = [
    "apps.kruise.io/image-predownload-parallelism",
    "apps.kruise.io/image-predownload-timeout-seconds",
    "apps.kruise.io/image-predownload-min-updated-ready-pods",
    "example.com/note",
];
const ANNOTATION_VALUES: [&str; 10] = ["4", "0", "", "50%", "soon", "+7", "007", "-3", "99999999999", " 5"];
/// Numbers as nobody writes them by hand.
const ODD_NUMBERS: [&str; 18] = [
    "-1",
    "1.0",
    "1.5",
    "1e2",
    "1E+2",
    "-0",
    "-0.0",
    "0.10",
    "2147483648",
    "-2147483649",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1e308",
    "5e-324",
    "1e400",
];
const ODD_TEXTS: [&str; 15] =
    ["", " ", "\u{0}", "\n", "ÄÖÜ", "日本語", "😀", "\u{202e}x", "a/b/c", "~1/~0", "..", "-", "null", "%", "{{.}}"];

/// A value of a form that looks right. `name` is the member that it is for, `depth` what may still be below it.
pub(super) fn value(schema: &Schema, name: &str, depth: u8, source: &mut Source) -> Json {
    match schema {
        Schema::Object(members) => {
            let mut object = Json::object([]);
            for member in members.iter().filter(|member| member.required) {
                object.set(&member.name, value(&member.schema, &member.name, depth.saturating_sub(1), source));
            }
            if depth > 0 && !members.is_empty() {
                for _ in 0..source.times(60, 4) {
                    let member = source.pick(members);
                    object.set(&member.name, value(&member.schema, &member.name, depth - 1, source));
                }
            }
            object
        }
        Schema::Map(values) => {
            let mut map = Json::object([]);
            for _ in 0..source.times(60, 3) {
                let (key, value) = entry(values, name, depth, source);
                map.set(&key, value);
            }
            map
        }
        Schema::List(items) => {
            Json::List((0..source.times(60, 3)).map(|_| value(items, name, depth.saturating_sub(1), source)).collect())
        }
        Schema::Text => Json::text(text(name, source)),
        Schema::Date => Json::text(*source.pick(&DATES)),
        Schema::Integer(_) | Schema::Number => Json::Number((*source.pick(&INTEGERS)).to_owned()),
        Schema::Flag => Json::Bool(source.percent(50)),
        Schema::IntOrText if name == "port" || source.percent(50) => Json::Number((*source.pick(&INTEGERS)).to_owned()),
        Schema::IntOrText if is_quantity(name) => Json::text(*source.pick(&QUANTITIES)),
        Schema::IntOrText => Json::text(*source.pick(&PERCENTS)),
        Schema::Any => unknown(3, source),
    }
}

fn entry(values: &Schema, name: &str, depth: u8, source: &mut Source) -> (String, Json) {
    let (keys, texts): (&[&str], &[&str]) = match name {
        "labels" | "matchLabels" | "labelsHandler" | "nodeSelector" => (&LABELS, &LABEL_VALUES),
        "annotations" => (&ANNOTATIONS, &ANNOTATION_VALUES),
        "limits" | "requests" | "capacity" | "overhead" => (&["cpu", "memory", "example.com/gpu"], &QUANTITIES),
        _ => (&["a", "b/c", "~"], &OTHER_TEXTS),
    };
    let key = (*source.pick(keys)).to_owned();
    let value = match values {
        Schema::Text => Json::text(*source.pick(texts)),
        Schema::IntOrText if source.percent(80) => Json::text(*source.pick(texts)),
        _ => value(values, name, depth.saturating_sub(1), source),
    };
    (key, value)
}

fn is_quantity(name: &str) -> bool {
    matches!(name, "limits" | "requests" | "capacity" | "overhead" | "divisor" | "sizeLimit" | "allocatedResources")
}

fn text(name: &str, source: &mut Source) -> &'static str {
    let texts = TEXTS.iter().find(|(known, _)| *known == name).map_or(&OTHER_TEXTS[..], |(_, texts)| *texts);
    source.pick::<&'static str>(texts)
}

/// The name of a member that no version has.
pub(super) fn unknown_name(source: &mut Source) -> String {
    (*source.pick(&["someday", "x", "", "a/b", "~0", "ÄÖ", "apps.kruise.io/new", "\u{0}"])).to_owned()
}

/// Any value: what no version has may look like anything.
pub(super) fn unknown(depth: u8, source: &mut Source) -> Json {
    match source.below(if depth == 0 { 5 } else { 7 }) {
        0 => Json::number(1),
        1 => Json::Null,
        2 => Json::Bool(source.percent(50)),
        3 => Json::Number((*source.pick(&ODD_NUMBERS)).to_owned()),
        4 => Json::text(*source.pick(&ODD_TEXTS)),
        5 => Json::List((0..source.times(60, 4)).map(|_| unknown(depth - 1, source)).collect()),
        _ => {
            let mut object = Json::object([]);
            for _ in 0..source.times(60, 4) {
                object.set(&unknown_name(source), unknown(depth - 1, source));
            }
            object
        }
    }
}

/// A value that few expect.
pub(super) fn odd(source: &mut Source) -> Json {
    match source.below(9) {
        0 => Json::Null,
        1 => Json::text(*source.pick(&ODD_TEXTS)),
        2 | 3 => Json::Number((*source.pick(&ODD_NUMBERS)).to_owned()),
        4 => Json::Bool(source.percent(50)),
        5 => Json::List(Vec::new()),
        6 => Json::object([]),
        7 => Json::text("x".repeat(*source.pick(&[63, 64, 253, 254, 5_000]))),
        _ => unknown(2, source),
    }
}

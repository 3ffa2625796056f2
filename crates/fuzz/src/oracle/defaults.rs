//! Where defaults may be written, and which (CS-100..103); everything else must be there afterwards as it came.

use super::{Promise, Violation};
use crate::json::{Json, Numbers, same};

/// The places in a spec of `v1alpha1` alone, and in one of `v1beta1` alone. A list item is `[]`, any member `*`.
const ALPHA: &[(&str, &str)] = &[
    ("updateStrategy.type", r#""ReCreate""#),
    ("updateStrategy.inPlaceUpdateStrategy", "{}"),
    ("updateStrategy.partition", "0"),
    ("updateStrategy.maxUnavailable", r#""20%""#),
    ("updateStrategy.maxSurge", "0"),
];
const BETA: &[(&str, &str)] = &[
    ("updateStrategy.type", r#""RollingUpdate""#),
    ("updateStrategy.rollingUpdate", "{}"),
    ("updateStrategy.rollingUpdate.podUpdatePolicy", r#""ReCreate""#),
    ("updateStrategy.rollingUpdate.inPlaceUpdateStrategy", "{}"),
    ("updateStrategy.rollingUpdate.partition", "0"),
    ("updateStrategy.rollingUpdate.maxUnavailable", r#""20%""#),
    ("updateStrategy.rollingUpdate.maxSurge", "0"),
];
const BOTH: &[(&str, &str)] = &[
    ("replicas", "1"),
    ("revisionHistoryLimit", "10"),
    ("updateStrategy", "{}"),
    ("volumeClaimTemplates.[].status", "{}"),
    ("volumeClaimTemplates.[].status.phase", r#""Pending""#),
    ("volumeClaimTemplates.[].status.capacity.*", QUANTITY),
    ("volumeClaimTemplates.[].spec.resources.limits.*", QUANTITY),
    ("volumeClaimTemplates.[].spec.resources.requests.*", QUANTITY),
];
/// Below `template.spec`.
const POD: &[(&str, &str)] = &[
    ("restartPolicy", r#""Always""#),
    ("dnsPolicy", r#""ClusterFirst""#),
    ("schedulerName", r#""default-scheduler""#),
    ("terminationGracePeriodSeconds", "30"),
    ("securityContext", "{}"),
    ("overhead.*", QUANTITY),
    ("resources.limits.*", QUANTITY),
    ("resources.requests.*", QUANTITY),
    ("volumes.[].emptyDir", "{}"),
    ("volumes.[].emptyDir.sizeLimit", QUANTITY),
    ("volumes.[].secret.defaultMode", "420"),
    ("volumes.[].configMap.defaultMode", "420"),
    ("volumes.[].downwardAPI.defaultMode", "420"),
    ("volumes.[].projected.defaultMode", "420"),
    ("volumes.[].downwardAPI.items.[].fieldRef.apiVersion", r#""v1""#),
    ("volumes.[].downwardAPI.items.[].resourceFieldRef.divisor", QUANTITY),
    ("volumes.[].projected.sources.[].serviceAccountToken.expirationSeconds", "3600"),
    ("volumes.[].projected.sources.[].downwardAPI.items.[].fieldRef.apiVersion", r#""v1""#),
    ("volumes.[].projected.sources.[].downwardAPI.items.[].resourceFieldRef.divisor", QUANTITY),
    ("volumes.[].hostPath.type", r#""""#),
];
/// Below a container of `containers` or `initContainers`.
const CONTAINER: &[(&str, &str)] = &[
    ("imagePullPolicy", r#""Always""#),
    ("imagePullPolicy", r#""IfNotPresent""#),
    ("terminationMessagePath", r#""/dev/termination-log""#),
    ("terminationMessagePolicy", r#""File""#),
    ("ports.[].protocol", r#""TCP""#),
    ("ports.[].hostPort", COPIED),
    ("env.[].valueFrom.fieldRef.apiVersion", r#""v1""#),
    ("env.[].valueFrom.resourceFieldRef.divisor", QUANTITY),
    ("resources.limits.*", QUANTITY),
    ("resources.requests.*", QUANTITY),
    ("lifecycle.postStart.httpGet.path", r#""/""#),
    ("lifecycle.postStart.httpGet.scheme", r#""HTTP""#),
    ("lifecycle.preStop.httpGet.path", r#""/""#),
    ("lifecycle.preStop.httpGet.scheme", r#""HTTP""#),
];
/// Below a probe of a container.
const PROBE: &[(&str, &str)] = &[
    ("timeoutSeconds", "1"),
    ("periodSeconds", "10"),
    ("successThreshold", "1"),
    ("failureThreshold", "3"),
    ("httpGet.path", r#""/""#),
    ("httpGet.scheme", r#""HTTP""#),
];
/// Numbers of which 0 counts as absent.
const ZEROS: [&str; 5] = ["timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold", "hostPort"];
/// Not a default but a rewriting: the same amount, in canonical form.
const QUANTITY: &str = "quantity";
/// The port of the container.
const COPIED: &str = "containerPort";

/// Holds that `after` is `before` with defaults of the version.
pub(super) fn check(before: &Json, after: &Json, version: &str) -> Result<(), Violation> {
    compare(before, after, &mut Place { path: Vec::new(), version })
}

struct Place<'a> {
    path: Vec<&'a str>,
    version: &'a str,
}

fn compare<'a>(before: &'a Json, after: &'a Json, place: &mut Place<'a>) -> Result<(), Violation> {
    match (before, after) {
        (Json::Object(old), Json::Object(new)) => {
            for (name, value) in old {
                let Some(now) = after.get(name) else { return Err(place.broken("is gone", after)) };
                place.path.push(name);
                compare(value, now, place)?;
                place.path.pop();
            }
            for (name, value) in new.iter().filter(|(name, _)| before.get(name).is_none()) {
                place.path.push(name);
                filled(&Json::Null, value, place)?;
                place.path.pop();
            }
            Ok(())
        }
        (Json::List(old), Json::List(new)) if old.len() == new.len() => {
            for (old, new) in old.iter().zip(new) {
                place.path.push("[]");
                compare(old, new, place)?;
                place.path.pop();
            }
            Ok(())
        }
        _ if same(before, after, Numbers::ByValue) => Ok(()),
        _ => filled(before, after, place),
    }
}

/// A value that stands where there was nothing, or as good as nothing, or another form of the same amount.
fn filled<'a>(before: &Json, after: &'a Json, place: &mut Place<'a>) -> Result<(), Violation> {
    static NOTHING: Json = Json::Object(Vec::new());
    let rules = place.rules();
    if rules.contains(&QUANTITY) && same_amount(before, after) {
        return Ok(());
    }
    let empty = match before {
        Json::Null => true,
        Json::Text(text) => text.is_empty() && place.path.last() != Some(&"maxUnavailable"),
        Json::Number(text) => text.parse() == Ok(0.0_f64) && place.path.last().is_some_and(|last| ZEROS.contains(last)),
        _ => false,
    };
    let fits = |rule: &&str| match *rule {
        "{}" => after.is_object(),
        COPIED => matches!(after, Json::Number(_)),
        default => Json::read(default.as_bytes()).as_ref() == Ok(after),
    };
    if !empty || !rules.iter().any(fits) {
        return Err(place.broken(&format!("was {}", before.write()), after));
    }
    if after.is_object() { compare(&NOTHING, after, place) } else { Ok(()) }
}

impl<'a> Place<'a> {
    fn broken(&self, what: &str, after: &Json) -> Violation {
        Violation::new(Promise::Keeps, format!("{} {what}; there is now {}", self.path.join("."), after.write()))
    }

    /// What may be written here.
    fn rules(&self) -> Vec<&'static str> {
        let ["spec", spec @ ..] = self.path.as_slice() else { return Vec::new() };
        let version = if self.version == "v1alpha1" { ALPHA } else { BETA };
        let mut rules = matching(&[version, BOTH], spec);
        if let ["template", "spec", pod @ ..] = spec {
            rules.extend(matching(&[POD], pod));
            if let ["containers" | "initContainers", "[]", container @ ..] = pod {
                rules.extend(matching(&[CONTAINER], container));
                if let ["livenessProbe" | "readinessProbe" | "startupProbe", probe @ ..] = container {
                    rules.extend(matching(&[PROBE], probe));
                }
            }
        }
        rules
    }
}

fn matching(tables: &[&'static [(&'static str, &'static str)]], path: &[&str]) -> Vec<&'static str> {
    let fits = |pattern: &str| {
        pattern.split('.').count() == path.len()
            && pattern.split('.').zip(path).all(|(pattern, name)| pattern == "*" || pattern == *name)
    };
    tables.iter().flat_map(|table| table.iter()).filter(|(pattern, _)| fits(pattern)).map(|(_, rule)| *rule).collect()
}

/// Whether two quantities are equal up to rounding up to thousandths.
fn same_amount(before: &Json, after: &Json) -> bool {
    let (Some(before), Json::Text(after)) = (amount(before), after) else { return false };
    let Some(after) = amount_of(after) else { return false };
    let slack = (before.abs() * 1e-9).max(1e-9);
    // Up is away from nothing for what is above it, and towards it below.
    after >= before - 0.001 - slack && after <= before + 0.001 + slack && (before == 0.0) == (after == 0.0)
}

fn amount(value: &Json) -> Option<f64> {
    match value {
        Json::Text(text) => amount_of(text.trim()),
        Json::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn amount_of(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return Some(number);
    }
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, suffix) = text.split_at(at);
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().position(|known| *known == suffix);
    let unit = match (binary, suffix) {
        (Some(power), _) => 1024_f64.powi(i32::try_from(power).ok()? + 1),
        (None, "n") => 1e-9,
        (None, "u") => 1e-6,
        (None, "m") => 1e-3,
        (None, "k") => 1e3,
        (None, "M") => 1e6,
        (None, "G") => 1e9,
        (None, "T") => 1e12,
        (None, "P") => 1e15,
        (None, "E") => 1e18,
        (None, _) => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(before: &str, after: &str) -> Result<(), String> {
        let (before, after) = (Json::read(before.as_bytes()).unwrap(), Json::read(after.as_bytes()).unwrap());
        check(&before, &after, "v1beta1").map_err(|violation| violation.what)
    }

    #[test] // CS-100, CS-101, CS-103
    fn defaults_may_be_filled_in_and_nothing_else() {
        for (before, after, good) in [
            (r#"{"spec":{}}"#, r#"{"spec":{"replicas":1}}"#, true),
            (r#"{"spec":{"replicas":null}}"#, r#"{"spec":{"replicas":1}}"#, true),
            (r#"{"spec":{"replicas":2}}"#, r#"{"spec":{"replicas":1}}"#, false),
            (r#"{"spec":{"replicas":0}}"#, r#"{"spec":{"replicas":1}}"#, false),
            (r#"{"spec":{}}"#, r#"{"spec":{"replicas":2}}"#, false),
            (r#"{"spec":{"x":1}}"#, r#"{"spec":{}}"#, false),
            (r#"{"spec":{}}"#, r#"{"spec":{"x":1}}"#, false),
            (r#"{"spec":{}}"#, r#"{"spec":{"updateStrategy":{"type":"RollingUpdate"}}}"#, true),
            (r#"{"spec":{}}"#, r#"{"spec":{"updateStrategy":{"type":"OnDelete"}}}"#, false),
            (r#"{"spec":{"template":[1]}}"#, r#"{"spec":{"template":[1,2]}}"#, false),
        ] {
            assert_eq!(verdict(before, after).is_ok(), good, "{before} {after}: {:?}", verdict(before, after));
        }
    }

    #[test] // CS-103
    fn quantities_may_change_their_form_but_not_their_amount() {
        let limits = |text: &str| {
            format!(
                r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"resources":{{"limits":{{"cpu":{text}}}}}}}]}}}}}}}}"#
            )
        };
        for (before, after, good) in [
            (r#""1000m""#, r#""1""#, true),
            ("0.5", r#""500m""#, true),
            (r#""1500u""#, r#""2m""#, true),
            (r#""1Gi""#, r#""1G""#, false),
            (r#""1""#, r#""0""#, false),
            (r#""many""#, r#""0""#, false),
        ] {
            assert_eq!(verdict(&limits(before), &limits(after)).is_ok(), good, "{before} {after}");
        }
    }
}

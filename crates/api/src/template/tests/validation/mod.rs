//! What Kubernetes refuses in a Pod template: one deviation from a healthy template a row.

mod containers;
mod pod;
mod volumes;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ClaimVolume, validate};
use crate::{
    field::FieldPath,
    tests::{lines, set, template},
};

/// The refusals, without the path that they all start with.
fn refusals(template: &Value, claims: &[ClaimVolume]) -> Vec<String> {
    let denials = validate(template, &FieldPath::new("t"), claims);
    lines(&denials)
        .into_iter()
        .map(|line| line.trim_start_matches("t.").trim_start_matches("spec.").to_owned())
        .collect()
}

/// Each row: where, what is put there, and the beginnings of the refusals.
#[track_caller]
fn check(rows: &[(&str, Value, &[&str])]) {
    for (pointer, value, want) in rows {
        let mut template = template();
        set(&mut template, pointer, value.clone());
        let found = refusals(&template, &[]);
        assert_eq!(found.len(), want.len(), "{pointer} = {value}: {found:?}");
        for (line, want) in found.iter().zip(*want) {
            assert!(line.starts_with(want), "{pointer} = {value}: {line}");
        }
    }
}

const C: &str = "/spec/containers/0";

#[test]
fn a_healthy_template_passes() {
    assert_eq!(refusals(&template(), &[]), Vec::<String>::new());
}

#[test] // a valid template is never refused
fn a_template_with_every_common_member_passes() {
    let template: Value = serde_json::from_str(include_str!("../rich.json")).unwrap();
    assert_eq!(refusals(&template, &[]), Vec::<String>::new());
    let mut filled = template;
    crate::template::defaults::apply(&mut filled, crate::template::defaults::HostPorts::CopyContainerPorts);
    assert_eq!(refusals(&filled, &[]), Vec::<String>::new());
}

#[test] // as the API server, which cannot read such a template at all
fn members_of_the_wrong_type_are_found_wherever_they_are() {
    check(&[
        (
            "/spec/enableServiceLinks",
            json!("yes"),
            &[r#"enableServiceLinks: Invalid value: "yes": invalid type: string "yes", expected a boolean"#],
        ),
        ("/spec/containers/0/tty", json!(1), &["containers[0].tty: Invalid value: 1: invalid type"]),
        ("/spec/containers/0/args", json!(["a", 1]), &["containers[0].args[1]: Invalid value: 1: invalid type"]),
        ("/spec/containers/0/resources", json!({"limits": {"cpu": 1}}), &[]),
        ("/spec/imagePullSecrets", json!([null, {"name": "a"}]), &[]),
        ("/spec/containers/0/unknown", json!({"tty": 1}), &[]),
    ]);
}

proptest! {
    #[test]
    fn any_json_is_judged_without_a_panic(template in crate::tests::json()) {
        for denial in validate(&template, &FieldPath::new("template"), &[]) {
            prop_assert!(denial.to_string().starts_with("template"));
        }
    }
}

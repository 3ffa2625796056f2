//! A small campaign: that it reaches what is interesting, and that equal seeds make equal inputs.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail where it stands")]

use fuzz::campaign::{Campaign, Report};
use fuzz::generate::Target;

fn campaign(target: Target, inputs: u64) -> Report {
    Campaign { targets: vec![target], inputs, seed: 7, threads: 1 }.run().unwrap()
}

fn check(target: Target, wanted: &[&str]) {
    let report = campaign(target, 500);
    if let Some(failed) = &report.failure {
        panic!("{}\n{:?}", failed.violation, failed.input);
    }
    let outcomes = &report.outcomes[&target];
    for wanted in wanted {
        assert!(outcomes.contains_key(*wanted), "never {wanted}: {outcomes:#?}");
    }
}

#[test] // PW-4, PL-54, CS-100
fn admission_is_reached_on_all_its_ways() {
    check(
        Target::Admission,
        &[
            "mutate Pod: allowed",
            "mutate Pod: changed",
            "mutate CloneSet: allowed",
            "mutate CloneSet: changed",
            "mutate CloneSet: refused 400",
            "validate CloneSet: allowed",
            "validate CloneSet: refused 422",
        ],
    );
}

#[test] // PL-55, IN-44
fn conversion_is_reached_on_all_its_ways() {
    check(
        Target::Conversion,
        &["convert: converted one", "convert: converted many", "convert: failed", "convert: HTTP 400"],
    );
}

#[test] // PL-54, PL-55
fn broken_bytes_are_answered() {
    check(Target::Bytes, &["mutate CloneSet: HTTP 400", "convert: HTTP 400"]);
}

#[test]
fn equal_seeds_make_equal_inputs() {
    let outcomes = || campaign(Target::Admission, 100).outcomes;
    assert_eq!(outcomes(), outcomes());
}

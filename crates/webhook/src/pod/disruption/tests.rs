//! The validation with checks of tests.

use futures::FutureExt;
use futures::future::ready;
use runtime::gates::Gate;
use serde_json::{Value, json};

use super::*;
use crate::pod::tests::create;
use crate::testing::desk;

type Outcome<'a> = BoxFuture<'a, Result<Ruling, StageError>>;

fn deny<'a>(_: &'a Disruption<'_>, _: &'a Desk) -> Outcome<'a> {
    ready(Ok(Ruling::Denied("budget is used up".to_owned()))).boxed()
}

fn fail<'a>(_: &'a Disruption<'_>, _: &'a Desk) -> Outcome<'a> {
    ready(Err(StageError::Failed("no status written".to_owned()))).boxed()
}

fn allow<'a>(_: &'a Disruption<'_>, _: &'a Desk) -> Outcome<'a> {
    ready(Ok(Ruling::Allowed)).boxed()
}

fn panic<'a>(_: &'a Disruption<'_>, _: &'a Desk) -> Outcome<'a> {
    panic!("a check that must not be asked")
}

fn check(name: &'static str, run: Run) -> Check {
    Check { name, concerns: |_, _| true, run }
}

fn request(operation: Operation, sub_resource: &str) -> Request {
    let pod = || json!({ "metadata": { "name": "web-a" }, "spec": {} });
    let eviction = json!({ "kind": "Eviction", "metadata": { "name": "web-a" } });
    Request {
        operation,
        sub_resource: sub_resource.into(),
        name: "web-a".into(),
        object: match operation {
            Operation::Delete => Value::Null.into(),
            Operation::Create if sub_resource == "eviction" => eviction.into(),
            _ => pod().into(),
        },
        old_object: if operation == Operation::Create { Value::Null } else { pod() }.into(),
        ..create(Value::Null)
    }
}

fn refused(verdict: Verdict) -> Option<(u16, &'static str, String)> {
    match verdict {
        Verdict::Allow => None,
        Verdict::Refuse(refusal) => Some((refusal.code, refusal.rule, refusal.message)),
        Verdict::Change(_) => panic!("validation changes nothing"),
    }
}

async fn asked(check: Check, request: &Request) -> Option<u16> {
    refused(judge(&[check], request, &desk("")).await).map(|(code, ..)| code)
}

#[tokio::test] // PW-31, PW-32, ruling 9
async fn the_pod_itself_and_its_eviction_are_judged_and_nothing_else() {
    for (operation, sub_resource, denied) in [
        (Operation::Update, "", Some(403)),
        (Operation::Delete, "", Some(403)),
        (Operation::Create, "eviction", Some(429)),
        (Operation::Create, "", None),
        (Operation::Create, "binding", None),
        (Operation::Update, "status", None),
        (Operation::Update, "resize", None),
        (Operation::Update, "ephemeralcontainers", None),
        (Operation::Update, "eviction", None),
        (Operation::Delete, "status", None),
        (Operation::Connect, "", None),
        (Operation::Connect, "exec", None),
    ] {
        let request = request(operation, sub_resource);
        assert_eq!(asked(check("deny", deny), &request).await, denied, "{operation:?} {sub_resource}");
        let failed = denied.map(|_| 400);
        assert_eq!(asked(check("fail", fail), &request).await, failed, "{operation:?} {sub_resource}");
    }
}

#[tokio::test] // PW-30
async fn a_deletion_without_old_object_is_allowed() {
    let request = Request { old_object: Value::Null.into(), ..request(Operation::Delete, "") };
    assert_eq!(asked(check("deny", deny), &request).await, None);
}

#[tokio::test]
async fn other_kinds_of_one_plural_are_not_judged() {
    let mut request = request(Operation::Delete, "");
    request.resource.group = "example.com".into();
    assert_eq!(asked(check("deny", deny), &request).await, None);
}

#[tokio::test] // PW-31
async fn a_check_is_asked_about_what_concerns_it_with_these_gates() {
    let concerns = |act, gates: &Gates| match act {
        Act::Update => gates.is_on(Gate::PodUnavailableBudgetUpdateGate),
        Act::Delete | Act::Evict => gates.is_on(Gate::PodUnavailableBudgetDeleteGate),
    };
    let (update, delete) = (request(Operation::Update, ""), request(Operation::Delete, ""));
    for (gates, request, want) in [
        ("", &update, None),
        ("PodUnavailableBudgetUpdateGate=true", &update, Some(403)),
        ("", &delete, Some(403)),
        ("PodUnavailableBudgetDeleteGate=false", &delete, None),
    ] {
        let check = Check { name: "deny", concerns, run: deny };
        let code = refused(judge(&[check], request, &desk(gates)).await).map(|(code, ..)| code);
        assert_eq!(code, want, "{gates} {:?}", request.operation);
    }
}

#[tokio::test] // PW-31, PW-32
async fn the_first_check_that_denies_or_fails_decides() {
    let eviction = request(Operation::Create, "eviction");
    for (first, want) in [
        (check("denier", deny), (429, "denier", "budget is used up".to_owned())),
        (check("failer", fail), (400, "failer", "no status written".to_owned())),
    ] {
        let checks = [check("allow", allow), first, check("panic", panic)];
        assert_eq!(refused(judge(&checks, &eviction, &desk("")).await), Some(want));
    }
}

#[test] // PW-33, PW-34, edge case 6
fn a_dry_run_is_read_from_the_options_of_the_request_or_of_the_eviction() {
    let options = json!({ "dryRun": ["All"] });
    let dry = |request: &Request| {
        Disruption { act: Act::of(request).unwrap(), request }.is_dry_run().map_err(|err| err.to_string())
    };
    for (operation, sub_resource) in [(Operation::Update, ""), (Operation::Delete, ""), (Operation::Create, "eviction")]
    {
        let wet = request(operation, sub_resource);
        assert_eq!(dry(&wet), Ok(false), "{operation:?}");
        assert_eq!(dry(&Request { options: options.clone().into(), ..wet }), Ok(true), "{operation:?}");
    }
    for version in ["policy/v1", "policy/v1beta1"] {
        let mut eviction = request(Operation::Create, "eviction");
        let sent = json!({ "apiVersion": version, "kind": "Eviction", "deleteOptions": options });
        eviction.object = sent.into();
        assert_eq!(dry(&eviction), Ok(true), "{version}");
        eviction.object = json!({ "kind": "Eviction", "deleteOptions": null }).into();
        assert_eq!(dry(&eviction), Ok(false));
        eviction.object = json!({ "kind": "Eviction", "deleteOptions": 1 }).into();
        assert_eq!(dry(&eviction), Err("decode Eviction: invalid type: integer `1`, expected an object".to_owned()));
    }
}

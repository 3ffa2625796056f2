//! CS-51 and CS-55..57: who may move, in which order, and how far the budget lets them.

use std::{num::NonZeroU32, sync::Arc};

use api::{
    cloneset::v1beta1::{PriorityStrategy, ScatterTerm},
    k8s::Pod,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixtures::{NEW, OLD, PodFixture, names, now, pod, pods};
use crate::cloneset::order::*;

fn carries(pod: &Pod) -> Carries {
    match rules::pod::label(pod, "controller-revision-hash") {
        Some(NEW) => Carries::Update,
        Some(OLD) => Carries::Current,
        _ => Carries::Other,
    }
}

fn update(pods: &[Arc<Pod>], heading: Heading) -> Update<'_> {
    Update { pods, carries: &carries, heading, min_ready_seconds: 0, now: now() }
}

fn build<const N: usize>(pods: [PodFixture; N]) -> Vec<Arc<Pod>> {
    pods.into_iter().map(PodFixture::build).collect()
}

fn old(name: &str) -> PodFixture {
    pod(name).old()
}

fn priority(strategy: Value) -> PriorityStrategy {
    serde_json::from_value(strategy).unwrap()
}

fn ordered(pods: &[Arc<Pod>], strategy: Option<Value>) -> Vec<String> {
    let strategy = strategy.map(priority);
    let candidates = candidates(&update(pods, Heading::Forward), strategy.as_ref(), &[]);
    names(&candidates).into_iter().map(str::to_owned).collect()
}

#[test] // CS-55
fn only_pods_off_the_target_side_move() {
    let pods = build([pod("new"), old("old"), pod("older").revision("web-0")]);
    for (heading, want) in [(Heading::Forward, ["old", "older"].as_slice()), (Heading::Back, &["new"])] {
        assert_eq!(names(&candidates(&update(&pods, heading), None, &[])), want, "{heading:?}");
    }
}

#[test] // CS-55
fn pods_that_prepare_for_deletion_or_wait_for_their_grace_do_not_move() {
    let grace = "apps.kruise.io/inplace-update-grace";
    for (pod, moves) in [
        (old("p"), true),
        (old("p").state(""), true),
        (old("p").state("PreparingNormal"), true),
        (old("p").state("PreparingUpdate"), true),
        (old("p").state("Updating"), true),
        (old("p").state("Updated"), true),
        (old("p").state("PreparingDelete"), false),
        (old("p").specified_delete(), true),
        (old("p").state("Updating").annotation(grace, "{}"), false),
        (old("p").state("Updating").annotation("inplace-update-grace", "{}"), false),
        (old("p").state("Updating").annotation(grace, ""), true),
        (old("p").state("Updated").annotation(grace, "{}"), true),
        (old("p").state("PreparingDelete").annotation(grace, "{}"), false),
    ] {
        let pods = build([pod]);
        let candidates = candidates(&update(&pods, Heading::Forward), None, &[]);
        assert_eq!(!candidates.is_empty(), moves, "{:?}", pods[0].metadata);
    }
}

#[test] // CS-56, step 1
fn pods_that_serve_least_move_first() {
    let pods = build([
        old("a").ready_for(600),
        old("b").ready_for(30),
        old("c").not_ready(),
        old("d").pending(),
        old("e").unassigned(),
    ]);
    assert_eq!(ordered(&pods, None), ["e", "d", "c", "b", "a"]);
}

#[test] // CS-51
fn the_larger_sum_of_weights_moves_first() {
    let pods = build([
        old("none"),
        old("zone").label("zone", "a"),
        old("both").label("zone", "a").label("tier", "test"),
        old("tier").label("tier", "test"),
        old("none-2"),
    ]);
    let weights = json!({"weightPriority": [
        {"weight": 20, "matchSelector": {"matchLabels": {"tier": "test"}}},
        {"weight": 10, "matchSelector": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}},
        {"weight": 99, "matchSelector": {"matchExpressions": [{"key": "zone", "operator": "Near"}]}},
    ]});
    assert_eq!(ordered(&pods, Some(weights)), ["both", "tier", "zone", "none", "none-2"]);
}

#[test] // CS-51, CS-132
fn ordered_keys_put_pods_without_one_first_and_higher_numbers_before_lower() {
    let pods = build([
        old("b-1").label("b", "sts-1"),
        old("a-2").label("a", "sts-2"),
        old("a-10").label("a", "sts-10"),
        old("none"),
        old("a-and-b").label("a", "sts-3").label("b", "sts-99"),
        old("a-word").label("a", "canary"),
        old("a-huge").label("a", "n99999999999999999999"),
        old("none-2"),
    ]);
    let order = json!({"orderPriority": [{"orderedKey": "a"}, {"orderedKey": "b"}]});
    let want = ["none", "none-2", "a-10", "a-and-b", "a-2", "a-word", "a-huge", "b-1"];
    assert_eq!(ordered(&pods, Some(order)), want);
}

#[test] // CS-51
fn priority_comes_before_readiness_and_ties_keep_the_base_order() {
    let pods = build([
        old("first").label("tier", "test").ready_for(600),
        old("broken").not_ready(),
        old("first-young").label("tier", "test").ready_for(30),
    ]);
    let weights = json!({"weightPriority": [{"weight": 1, "matchSelector": {"matchLabels": {"tier": "test"}}}]});
    assert_eq!(ordered(&pods, Some(weights)), ["first-young", "first", "broken"]);
}

#[test] // CS-51
fn an_empty_strategy_changes_nothing() {
    let pods = build([old("a"), old("b")]);
    assert_eq!(ordered(&pods, Some(json!({}))), ["a", "b"]);
}

#[test] // CS-56, steps 2 to 4
fn scatter_follows_priority_and_a_begun_update_goes_before_both() {
    let pods = build([
        old("m-1").label("kind", "m"),
        old("m-2").label("kind", "m"),
        old("m-3").label("kind", "m").state("PreparingUpdate"),
        old("u-1"),
        old("u-2"),
        old("vip").label("tier", "vip"),
    ]);
    let strategy = priority(json!({"weightPriority": [
        {"weight": 9, "matchSelector": {"matchLabels": {"tier": "vip"}}},
    ]}));
    let scatter = [ScatterTerm { key: "kind".into(), value: "m".into() }];
    let ordered = candidates(&update(&pods, Heading::Forward), Some(&strategy), &scatter);
    // scattered: m-1 vip u-1 m-2 u-2 m-3, then the one in PreparingUpdate to the front
    assert_eq!(names(&ordered), ["m-3", "m-1", "vip", "u-1", "m-2", "u-2"]);
}

/// How many of the old Pods may move now, and what holds the rest.
fn allow(pods: &[Arc<Pod>], count: u32, limit: i64) -> (usize, Option<Held>) {
    let update = update(pods, Heading::Forward);
    let candidates = candidates(&update, None, &[]);
    let allowed = allowed(&update, candidates, NonZeroU32::new(count).unwrap(), limit);
    (allowed.pods.len(), allowed.held)
}

fn held(pods: usize, by: Limit) -> Option<Held> {
    Some(Held { pods, by })
}

#[test] // CS-57
fn no_more_pods_move_than_should() {
    let pods = pods(6).each(PodFixture::old).build();
    assert_eq!(allow(&pods, 2, 6), (2, None));
    assert_eq!(allow(&pods, 9, 6), (6, None));
}

#[test] // CS-57
fn available_pods_move_until_the_budget_is_used() {
    let pods = pods(6).each(PodFixture::old).build();
    // After two, two of the target revision will be unavailable: that limit is met first.
    assert_eq!(allow(&pods, 6, 2), (2, held(4, Limit::MaxUnavailableAtTarget { limit: 2, unavailable: 2 })));
    assert_eq!(allow(&pods, 6, 0), (0, held(6, Limit::MaxUnavailableAtTarget { limit: 0, unavailable: 0 })));
    assert_eq!(allow(&pods, 6, -1), (0, held(6, Limit::MaxUnavailableAtTarget { limit: -1, unavailable: 0 })));
}

#[test] // CS-57
fn unavailable_old_pods_move_without_using_the_budget() {
    let pods = pods(6).each(PodFixture::old).first(2, PodFixture::not_ready).build();
    // two are unavailable as it is: they may move, but no available one may
    assert_eq!(allow(&pods, 6, 2), (2, held(4, Limit::MaxUnavailableAtTarget { limit: 2, unavailable: 2 })));
    assert_eq!(allow(&pods, 6, 3), (3, held(3, Limit::MaxUnavailableAtTarget { limit: 3, unavailable: 3 })));
}

#[test] // CS-57
fn pods_unavailable_for_other_reasons_hold_available_ones() {
    // a Pod that prepares for deletion is unavailable and no candidate
    let pods = pods(5).each(PodFixture::old).first(1, |pod| pod.state("PreparingDelete")).build();
    assert_eq!(allow(&pods, 5, 1), (0, held(4, Limit::MaxUnavailable { limit: 1, unavailable: 1 })));
    assert_eq!(allow(&pods, 5, 2), (1, held(3, Limit::MaxUnavailable { limit: 2, unavailable: 2 })));
}

#[test] // CS-57, CS-123
fn with_all_old_pods_broken_no_more_than_the_limit_move_at_once() {
    let broken = pods(6).each(PodFixture::old).each(PodFixture::not_ready);
    assert_eq!(allow(&broken.clone().build(), 6, 2).0, 2);
    let two_at_target = broken.clone().and(pods(2).each(PodFixture::pending)).build();
    assert_eq!(allow(&two_at_target, 6, 2), (0, held(6, Limit::MaxUnavailableAtTarget { limit: 2, unavailable: 2 })));
    let one_came_up = broken.and(pods(2).first(1, PodFixture::pending)).build();
    assert_eq!(allow(&one_came_up, 6, 2).0, 1);
}

#[test] // CS-57
fn min_ready_seconds_count_for_the_budget() {
    let pods = pods(1).each(|pod| pod.ready_for(10)).and(pods(3).each(PodFixture::old)).build();
    for (min_ready_seconds, want) in [(0, 1), (9, 1), (10, 0)] {
        let update = Update { min_ready_seconds, ..update(&pods, Heading::Forward) };
        let candidates = candidates(&update, None, &[]);
        let allowed = allowed(&update, candidates, NonZeroU32::MIN, 1);
        assert_eq!(allowed.pods.len(), want, "{min_ready_seconds} s");
    }
}

#[test] // CS-57, CS-55: back means to the current revision
fn on_the_way_back_the_current_revision_is_the_target() {
    let broken_old = pods(2).each(PodFixture::old).each(PodFixture::not_ready);
    let broken_older = pods(2).each(|pod| pod.revision("web-0").not_ready());
    for (broken, want) in [(broken_old, 0), (broken_older, 1)] {
        let pods = broken.and(pods(1).each(PodFixture::not_ready)).build();
        let update = update(&pods, Heading::Back);
        let candidates = candidates(&update, None, &[]);
        assert_eq!(allowed(&update, candidates, NonZeroU32::MIN, 2).pods.len(), want, "{:?}", names(&pods));
    }
}

#[test]
fn what_is_held_names_the_field_to_raise() {
    assert_eq!(Limit::MaxUnavailable { limit: 1, unavailable: 1 }.field(), "maxUnavailable");
}

fn any_pod() -> impl Strategy<Value = PodFixture> {
    let revision = prop::sample::select(&["web-0", OLD, NEW][..]);
    let state = prop::sample::select(&["Normal", "Updating", "PreparingUpdate", "PreparingDelete"][..]);
    (revision, state, any::<bool>()).prop_map(|(revision, state, ready)| {
        let pod = pod("p").revision(revision).state(state);
        if ready { pod } else { pod.not_ready() }
    })
}

proptest! {
    #[test] // CS-57, CS-123
    fn what_moves_keeps_both_limits(pods in prop::collection::vec(any_pod(), 0..12), count in 1..12_u32, limit in -3..12_i64) {
        let pods: Vec<_> = pods.into_iter().map(PodFixture::build).collect();
        let update = update(&pods, Heading::Forward);
        let candidates = candidates(&update, None, &[]);
        let before = candidates.clone();
        let allowed = allowed(&update, candidates, NonZeroU32::new(count).unwrap(), limit);

        let broken = |pod: &&Arc<Pod>| !rules::pod::is_available(pod, 0, now());
        let unavailable = pods.iter().filter(broken).count();
        let at_target = pods.iter().filter(broken).filter(|pod| carries(pod) == Carries::Update).count();
        let newly_unavailable = allowed.pods.iter().filter(|pod| !broken(pod)).count();
        if newly_unavailable > 0 {
            prop_assert!(i64::try_from(unavailable + newly_unavailable).unwrap() <= limit);
        }
        if !allowed.pods.is_empty() {
            prop_assert!(i64::try_from(at_target + allowed.pods.len()).unwrap() <= limit);
        }
        // from the front, without a gap, and nothing is held that nothing holds
        prop_assert!(before.starts_with(&allowed.pods));
        let should = before.len().min(usize::try_from(count).unwrap());
        prop_assert_eq!(allowed.held.map_or(0, |held| held.pods), should - allowed.pods.len());
    }
}

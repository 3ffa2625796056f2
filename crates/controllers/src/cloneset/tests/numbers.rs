//! CS-30..38 in the order of the page: limits, census, targets, and the page's worked values.

use serde_json::{Value, json};

use super::fixtures::{CloneSetFixture, NEW, PodFixture, PodsFixture, cloneset, now, pods};
use crate::cloneset::numbers::*;

/// What a CloneSet without gates aims at with these Pods.
fn aim(cloneset: CloneSetFixture, pods: PodsFixture) -> Targets {
    aim_with(cloneset, pods, Rollback::Off, PreparingDelete::Counts)
}

fn aim_with(cloneset: CloneSetFixture, pods: PodsFixture, rollback: Rollback, preparing: PreparingDelete) -> Targets {
    let spec = cloneset.spec();
    targets(&limits(&spec), &census_of(&pods, spec.min_ready_seconds.unwrap_or_default()), rollback, preparing)
}

fn census_of(pods: &PodsFixture, min_ready_seconds: i32) -> Census {
    let is_new = |pod: &api::k8s::Pod| rules::pod::label(pod, "controller-revision-hash") == Some(NEW);
    census(&pods.clone().build(), is_new, rules::pod::has_specified_delete_label, min_ready_seconds, now())
}

fn old(count: usize) -> PodsFixture {
    pods(count).each(PodFixture::old)
}

fn forward(pods: u32) -> Rollout {
    Rollout::Forward(pods.try_into().unwrap())
}

fn back(pods: u32) -> Rollout {
    Rollout::Back(pods.try_into().unwrap())
}

fn up(pods: i64, old: i64, limit: i64) -> Scale {
    Scale::Up { pods, old, limit }
}

fn down(pods: i64, old: i64) -> Scale {
    Scale::Down { pods, old }
}

#[test] // CS-30, CS-32, CS-120
fn partition_is_a_number_or_a_decimal_percentage_rounded_up() {
    for (value, replicas, want) in [
        (Value::Null, 10, 0),
        (json!(0), 10, 0),
        (json!(3), 10, 3),
        (json!(10), 10, 10),
        (json!(11), 10, 10),
        (json!(-1), 10, 0),
        (json!("0%"), 10, 0),
        (json!("25%"), 10, 3),
        (json!("12.5%"), 8, 1),
        (json!("0.1%"), 1000, 1),
        (json!("1%"), 10, 1),
        (json!("99%"), 10, 9),
        (json!("99.99%"), 2, 1),
        (json!("99%"), 1, 1),
        (json!("100%"), 10, 10),
        (json!("100.0%"), 10, 9),
        (json!("120%"), 10, 10),
        (json!("5"), 10, 0),
        (json!("half"), 10, 0),
        (json!("50%"), 0, 0),
        (json!(2147483647), 2147483647, 2147483647),
    ] {
        let spec = cloneset(replicas).partition(value.clone()).spec();
        assert_eq!(limits(&spec).partition, want, "{value} of {replicas}");
    }
}

#[test] // CS-31, CS-32
fn surge_is_a_number_or_a_whole_percentage_rounded_up() {
    for (value, replicas, want) in [
        (Value::Null, 10, 0),
        (json!(2), 10, 2),
        (json!(-2), 10, 0),
        (json!("25%"), 10, 3),
        (json!("5"), 100, 5),
        (json!("0.5%"), 1000, 0),
        (json!("many"), 10, 0),
    ] {
        let spec = cloneset(replicas).max_surge(value.clone()).spec();
        assert_eq!(limits(&spec).max_surge, want, "{value} of {replicas}");
    }
}

#[test] // CS-31
fn a_paused_update_has_no_surge() {
    let limits = limits(&cloneset(10).max_surge(3).max_unavailable("25%").paused().spec());
    assert_eq!((limits.max_surge, limits.max_unavailable), (0, 3));
}

#[test] // CS-31, CS-122
fn max_unavailable_rounds_up_unless_there_is_surge() {
    for (value, replicas, surge, want) in [
        (json!("20%"), 4, 0, 1),
        (json!("20%"), 4, 1, 0),
        (json!("50%"), 5, 0, 3),
        (json!("50%"), 5, 1, 2),
        (json!("5"), 100, 0, 5),
        (json!("0.5%"), 1000, 0, 0),
        (json!(2), 5, 1, 2),
        (json!(-1), 5, 1, 0),
        (Value::Null, 4, 0, 1),
        (Value::Null, 4, 1, 0),
    ] {
        let spec = cloneset(replicas).max_unavailable(value.clone()).max_surge(surge).spec();
        assert_eq!(limits(&spec).max_unavailable, want, "{value} of {replicas}, surge {surge}");
    }
}

#[test] // CS-31
fn the_scale_up_limit_is_none_unless_it_is_given() {
    for (value, want) in
        [(Value::Null, 2147483647), (json!(3), 3), (json!("25%"), 3), (json!("0.5%"), 0), (json!(-1), 0)]
    {
        let spec = cloneset(10).scale_max_unavailable(value.clone()).spec();
        assert_eq!(limits(&spec).scale_up_max_unavailable, want, "{value}");
    }
}

#[test] // CS-30, CS-31, section 4.12
fn on_delete_without_details_has_no_partition_no_surge_and_a_fifth_rounded_down() {
    let limits = limits(&cloneset(9).on_delete().spec());
    let want =
        Limits { replicas: 9, partition: 0, max_unavailable: 1, max_surge: 0, scale_up_max_unavailable: 2147483647 };
    assert_eq!(limits, want);
}

#[test] // section 4.12
fn on_delete_with_details_counts_them() {
    let spec = cloneset(10).partition(4).max_unavailable(3).max_surge(2);
    let spec = spec.merge(json!({"spec": {"updateStrategy": {"type": "OnDelete"}}})).spec();
    let limits = limits(&spec);
    assert_eq!((limits.partition, limits.max_unavailable, limits.max_surge), (4, 3, 2));
}

#[test] // section 2
fn absent_replicas_are_one_and_negative_ones_none() {
    let absent = cloneset(0).merge(json!({"spec": {"replicas": null}})).spec();
    assert_eq!(limits(&absent).replicas, 1);
    assert_eq!(limits(&cloneset(-3).spec()).replicas, 0);
}

#[test] // section 3.1
fn expected_updated_replicas_leave_the_partition_out() {
    for (spec, want) in [
        (cloneset(10).partition(3), 7),
        (cloneset(10).partition("99%"), 1),
        (cloneset(10).partition("half"), 0),
        (cloneset(10).partition(Value::Null), 10),
        (cloneset(10).on_delete(), 10),
    ] {
        assert_eq!(expected_updated_replicas(&spec.clone().spec()), want, "{:?}", spec.spec().update_strategy);
    }
}

#[test] // CS-33
fn each_pod_is_counted_once_on_its_side() {
    let pods = pods(7)
        .first(1, |pod| pod.state("PreparingDelete").specified_delete().not_ready())
        .and(pods(2).each(PodFixture::specified_delete).first(1, PodFixture::not_ready))
        .and(pods(1).each(PodFixture::pending))
        .and(pods(1).each(|pod| pod.state("Updating")))
        .and(pods(1).each(|pod| pod.ready_for(10)))
        .and(old(2).first(1, PodFixture::not_ready));
    let census = census_of(&pods, 10);
    assert_eq!(census.new, Side { active: 11, unavailable: 3, to_delete: 2, pre_deleting: 1 });
    assert_eq!(census.old, Side { active: 2, unavailable: 1, to_delete: 0, pre_deleting: 0 });
    assert_eq!((census.pods(), census.unavailable(), census.to_delete()), (14, 5, 2));
}

#[test] // 4.3, worked values
fn worked_partition_of_99_percent_lets_one_pod_move() {
    let targets = aim(cloneset(10).partition("99%").max_unavailable(1), old(10));
    assert_eq!((targets.rollout, targets.scale), (forward(1), Scale::Settled));
}

#[test] // 4.3, worked values
fn worked_surge_comes_first_where_nothing_may_be_unavailable() {
    let targets = aim(cloneset(6).max_unavailable(0).max_surge(2), old(6));
    assert_eq!((targets.surge, targets.scale, targets.update_max_unavailable), (2, up(2, 0, 2), 0));
}

#[test] // 4.3, worked values
fn worked_surge_that_is_ready_lets_as_many_old_pods_go() {
    let targets = aim(cloneset(6).max_unavailable(0).max_surge(2), old(6).and(pods(2)));
    assert_eq!((targets.surge, targets.scale), (2, Scale::Settled));
    assert_eq!((targets.rollout, targets.update_max_unavailable), (forward(4), 2));
}

#[test] // 4.3, worked values
fn worked_specified_pod_goes_within_the_budget() {
    let targets = aim(cloneset(4).max_unavailable(1), pods(4).first(1, PodFixture::specified_delete));
    assert_eq!((targets.scale, targets.delete_ready_limit), (Scale::Settled, 1));
}

#[test] // 4.3, worked values
fn worked_specified_pod_waits_for_its_stand_in() {
    let cloneset = cloneset(4).max_unavailable("20%").max_surge(1);
    let marked = pods(4).first(1, PodFixture::specified_delete);
    let before = aim(cloneset.clone(), marked.clone());
    assert_eq!((before.surge, before.scale, before.delete_ready_limit), (1, up(1, 0, 1), 0));
    let starting = aim(cloneset.clone(), marked.clone().and(pods(1).each(PodFixture::pending)));
    assert_eq!((starting.scale, starting.delete_ready_limit), (Scale::Settled, 0));
    let ready = aim(cloneset, marked.and(pods(1)));
    assert_eq!((ready.scale, ready.delete_ready_limit), (Scale::Settled, 1));
}

#[test] // 4.3, worked values
fn worked_scale_down_waits_while_pods_are_younger_than_min_ready_seconds() {
    let cloneset = cloneset(4).max_unavailable(1).merge(json!({"spec": {"minReadySeconds": 30}}));
    let targets = aim(cloneset, pods(6).each(|pod| pod.ready_for(20)));
    assert_eq!((targets.unavailable, targets.scale, targets.delete_ready_limit), (6, down(2, 0), 0));
}

#[test] // CS-34, CS-36
fn missing_pods_are_old_ones_until_the_partition_is_full() {
    for (there, want) in [
        (old(0), up(10, 4, 10)),
        (old(3), up(7, 1, 7)),
        (old(4), up(6, 0, 6)),
        (old(5), up(5, 0, 5)),
        (pods(6), up(4, 4, 4)),
        (pods(6).and(old(3)), up(1, 1, 1)),
    ] {
        let targets = aim(cloneset(10).partition(4), there.clone());
        assert_eq!(targets.scale, want, "{:?}", census_of(&there, 0));
    }
}

#[test] // CS-36, CS-121
fn pods_that_died_are_replaced_on_their_own_side() {
    let targets = aim(cloneset(10).partition(4), old(4).and(pods(4)));
    assert_eq!(targets.scale, up(2, 0, 2));
    let targets = aim(cloneset(10).partition(4), old(2).and(pods(6)));
    assert_eq!(targets.scale, up(2, 2, 2));
}

#[test] // CS-36
fn scale_up_is_throttled_by_what_is_unavailable() {
    let cloneset = |limit: i32| cloneset(10).scale_max_unavailable(limit);
    let there = pods(4).first(2, PodFixture::pending);
    for (limit, now) in [(0, 0), (2, 0), (3, 1), (5, 3), (8, 6), (100, 6)] {
        assert_eq!(aim(cloneset(limit), there.clone()).scale, up(6, 0, now), "limit {limit}");
    }
}

#[test] // CS-36
fn excess_pods_are_old_ones_first() {
    for (partition, there, want) in [
        (0, old(2).and(pods(5)), down(2, 2)),
        (0, old(1).and(pods(6)), down(2, 1)),
        (1, old(1).and(pods(6)), down(2, 0)),
        (5, old(7), down(2, 2)),
        (5, old(6).and(pods(1)), down(2, 1)),
    ] {
        let targets = aim(cloneset(5).partition(partition), there.clone());
        assert_eq!(targets.scale, want, "partition {partition}, {:?}", census_of(&there, 0));
    }
}

#[test] // CS-36
fn specified_pods_are_no_excess_for_others() {
    let targets = aim(cloneset(3), pods(5).first(2, PodFixture::specified_delete));
    assert_eq!(targets.scale, Scale::Settled);
    let targets = aim(cloneset(3), pods(5).first(1, PodFixture::specified_delete));
    assert_eq!(targets.scale, down(1, 0));
    let targets = aim(cloneset(3), old(2).first(1, PodFixture::specified_delete).and(pods(4)));
    assert_eq!(targets.scale, down(2, 1));
}

#[test] // CS-36
fn pods_that_prepare_for_deletion_are_replaced_at_once_only_where_they_are_excluded() {
    let there =
        pods(4).first(1, |pod| pod.state("PreparingDelete")).and(old(1).each(|pod| pod.state("PreparingDelete")));
    for (preparing, want) in [(PreparingDelete::Counts, Scale::Settled), (PreparingDelete::Excluded, up(2, 0, 2))] {
        assert_eq!(aim_with(cloneset(5), there.clone(), Rollback::Off, preparing).scale, want, "{preparing:?}");
    }
    let kept = cloneset(5).partition(1);
    assert_eq!(aim_with(kept, there, Rollback::Off, PreparingDelete::Excluded).scale, up(2, 1, 2));
}

#[test] // CS-37
fn ready_pods_go_only_as_long_as_enough_are_available() {
    for (there, want) in [
        (pods(6), 3), // U 1, 2 too many
        (pods(6).first(1, PodFixture::not_ready), 2),
        (pods(6).first(4, PodFixture::not_ready), 0),
        (pods(6).first(1, |pod| pod.state("PreparingDelete")), 2),
        (pods(4), 0), // nothing to delete
        (pods(4).first(2, PodFixture::specified_delete), 1),
    ] {
        let targets = aim(cloneset(4).max_unavailable(1), there.clone());
        assert_eq!(targets.delete_ready_limit, want, "{:?}", census_of(&there, 0));
    }
}

#[test] // CS-35
fn surge_is_no_more_than_the_update_still_needs() {
    let cloneset = cloneset(6).partition(4).max_surge(3);
    for (there, want) in [(old(6), 2), (old(5).and(pods(1)), 1), (old(4).and(pods(2)), 0), (old(6).and(pods(2)), 0)] {
        assert_eq!(aim(cloneset.clone(), there.clone()).surge, want, "{:?}", census_of(&there, 0));
    }
}

#[test] // CS-35
fn a_specified_old_pod_is_stood_in_for_by_an_old_one() {
    let cloneset = cloneset(4).partition(2).max_unavailable(0).max_surge(2);
    let old_marked = old(2).first(1, PodFixture::specified_delete).and(pods(2));
    let targets = aim(cloneset.clone(), old_marked);
    assert_eq!((targets.surge, targets.surge_old, targets.scale), (1, 1, up(1, 1, 1)));
    let new_marked = pods(2).first(1, PodFixture::specified_delete).and(old(2));
    let targets = aim(cloneset.clone(), new_marked);
    assert_eq!((targets.surge, targets.surge_old, targets.scale), (1, 0, up(1, 0, 1)));
    let both = old(2).first(1, PodFixture::specified_delete).and(pods(2).first(1, PodFixture::specified_delete));
    let targets = aim(cloneset.clone(), both.clone());
    assert_eq!((targets.surge, targets.surge_old), (2, 1));
    let one_may_go = aim(cloneset.max_unavailable(1), both);
    assert_eq!((one_may_go.surge, one_may_go.surge_old), (1, 0));
}

#[test] // CS-34, CS-38, section 4.12
fn a_raised_partition_moves_pods_back_only_with_the_gate() {
    let cloneset = cloneset(6).partition(4);
    let there = old(1).and(pods(5));
    let off = aim_with(cloneset.clone(), there.clone(), Rollback::Off, PreparingDelete::Counts);
    assert_eq!(off.rollout, Rollout::Settled);
    let on = aim_with(cloneset.clone(), there.clone(), Rollback::On, PreparingDelete::Counts);
    assert_eq!(on.rollout, back(3));
    let surge = aim_with(cloneset.max_surge(2).max_unavailable(0), there, Rollback::On, PreparingDelete::Counts);
    assert_eq!((surge.surge, surge.surge_old, surge.scale), (2, 2, up(2, 2, 2)));
}

#[test] // CS-38
fn as_many_pods_move_as_are_missing_on_the_other_side() {
    for (cloneset, there, want) in [
        (cloneset(6), old(6), forward(6)),
        (cloneset(6).partition(2), old(6), forward(4)),
        (cloneset(6), old(6).and(pods(2)), forward(4)), // two of them are surplus, not to be moved
        (cloneset(6), old(4), forward(4)),
        (cloneset(6), old(1).and(pods(7)), Rollout::Settled), // both sides have too many
        (cloneset(6).partition(3), old(2).and(pods(2)), Rollout::Settled), // both have too few
        (cloneset(6), pods(6), Rollout::Settled),
        (cloneset(6).partition(6), old(6), Rollout::Settled),
    ] {
        assert_eq!(aim(cloneset.clone(), there.clone()).rollout, want, "{:?}", census_of(&there, 0));
    }
}

#[test] // CS-38
fn missing_pods_take_from_the_budget_of_the_update() {
    assert_eq!(aim(cloneset(6).max_unavailable(2), old(3)).update_max_unavailable, -1);
    assert_eq!(aim(cloneset(6).max_unavailable(2), old(8)).update_max_unavailable, 4);
}

#[test] // CS-31, section 4.12
fn a_paused_update_still_scales_by_partition_and_without_surge() {
    let targets = aim(cloneset(6).partition(2).max_surge(2).max_unavailable(0).paused(), old(3));
    assert_eq!((targets.surge, targets.scale), (0, up(3, 0, 3)));
}

#[test] // section 4.12
fn on_delete_creates_at_the_update_revision_and_deletes_old_pods_first() {
    assert_eq!(aim(cloneset(6).on_delete(), old(4)).scale, up(2, 0, 2));
    assert_eq!(aim(cloneset(6).on_delete(), old(4).and(pods(4))).scale, down(2, 2));
}

#[test] // section 4.12
fn in_place_surplus_comes_at_the_update_revision_and_then_goes() {
    let cloneset = cloneset(4).max_surge(1).max_unavailable(0);
    assert_eq!(aim(cloneset.clone(), old(4)).scale, up(1, 0, 1));
    let updated_in_place = aim(cloneset, pods(5));
    assert_eq!((updated_in_place.scale, updated_in_place.delete_ready_limit), (down(1, 0), 1));
}

#[test] // section 4.12: revisions equal
fn with_one_revision_the_partition_has_no_effect() {
    let targets = aim(cloneset(6).partition(4), pods(6));
    let settled = (Scale::Settled, Rollout::Settled, 0);
    assert_eq!((targets.scale, targets.rollout, targets.surge), settled);
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let most = i64::from(i32::MAX);
    let limits = limits(
        &cloneset(i32::MAX).max_unavailable(i32::MAX).max_surge("2147483647%").scale_max_unavailable(i32::MAX).spec(),
    );
    assert_eq!((limits.max_unavailable, limits.max_surge), (most, most));
    let side = Side { active: most, unavailable: most, to_delete: 0, pre_deleting: most };
    for rollback in [Rollback::Off, Rollback::On] {
        let targets = targets(&limits, &Census { new: side, old: side }, rollback, PreparingDelete::Counts);
        assert_eq!(targets.unavailable, 4 * most);
    }
}

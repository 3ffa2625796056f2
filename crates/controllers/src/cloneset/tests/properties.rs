//! What holds for any numbers (CS-33..38), and for whole rollouts played with counted Pods.
//!
//! The model below does with Pods what scaling and recreating do by the targets alone (CS-43, CS-45, CS-46, CS-57,
//! CS-59), while Pods become available or break at random. It knows no rule of `numbers`.

use std::num::NonZeroU32;

use proptest::prelude::*;

use crate::cloneset::numbers::*;

/// One counted Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    revision: Revision,
    is_available: bool,
    is_to_delete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Revision {
    Old,
    New,
}

fn census_of(pods: &[Counted]) -> Census {
    let side = |revision: Revision| {
        let mut side = Side::default();
        for pod in pods.iter().filter(|pod| pod.revision == revision) {
            side.active += 1;
            side.to_delete += i64::from(pod.is_to_delete);
            side.unavailable += i64::from(!pod.is_to_delete && !pod.is_available);
        }
        side
    };
    Census { new: side(Revision::New), old: side(Revision::Old) }
}

fn aim(limits: &Limits, pods: &[Counted]) -> Targets {
    targets(limits, &census_of(pods), Rollback::Off, PreparingDelete::Counts)
}

/// What one pass did.
#[derive(Debug, PartialEq, Eq)]
enum Pass {
    Created(usize),
    Deleted(usize),
    Marked(usize),
    Nothing,
}

/// One pass over the Pods: creation, else deletion of marked Pods, else scale-down, else marking of old Pods.
fn pass(limits: &Limits, pods: &mut Vec<Counted>) -> Pass {
    let targets = aim(limits, pods);
    if let Scale::Up { old, limit, .. } = targets.scale {
        for index in 0..limit {
            let revision = if index < old { Revision::Old } else { Revision::New };
            pods.push(Counted { revision, is_available: false, is_to_delete: false });
        }
        if limit > 0 {
            return Pass::Created(limit.try_into().unwrap());
        }
        return mark(&targets, pods);
    }
    let mut ready = targets.delete_ready_limit;
    let deleted = delete(pods, &mut ready, |pod| pod.is_to_delete);
    if deleted > 0 {
        return Pass::Deleted(deleted);
    }
    if let Scale::Down { pods: count, old } = targets.scale
        && !pods.iter().any(|pod| pod.is_to_delete)
    {
        let mut from_old = old.min(count);
        let mut from_new = count - from_old;
        let picked = |pod: &Counted| {
            let share = if pod.revision == Revision::Old { &mut from_old } else { &mut from_new };
            *share -= 1;
            *share >= 0
        };
        let deleted = delete(pods, &mut ready, picked);
        if deleted > 0 {
            return Pass::Deleted(deleted);
        }
        return Pass::Nothing;
    }
    mark(&targets, pods)
}

/// Deletes chosen Pods: unavailable ones at will, available ones while the limit lasts.
fn delete(pods: &mut Vec<Counted>, ready: &mut i64, mut is_chosen: impl FnMut(&Counted) -> bool) -> usize {
    let before = pods.len();
    pods.sort_by_key(|pod| pod.is_available);
    pods.retain(|pod| {
        let goes = is_chosen(pod) && (!pod.is_available || *ready > 0);
        *ready -= i64::from(goes && pod.is_available);
        !goes
    });
    before - pods.len()
}

/// Marks the first old Pods for deletion, as many as should move and may.
fn mark(targets: &Targets, pods: &mut [Counted]) -> Pass {
    let Rollout::Forward(count) = targets.rollout else { return Pass::Nothing };
    let limit = targets.update_max_unavailable;
    let of = |is: fn(&&Counted) -> bool| i64::try_from(pods.iter().filter(is).count()).unwrap();
    let mut unavailable = of(|pod| !pod.is_available);
    let at_target = of(|pod| !pod.is_available && pod.revision == Revision::New);
    pods.sort_by_key(|pod| pod.is_available);
    let old = pods.iter_mut().filter(|pod| pod.revision == Revision::Old);
    let mut marked = 0;
    for (pod, at_target) in old.take(count.get().try_into().unwrap()).zip(at_target..) {
        if at_target >= limit || (pod.is_available && unavailable >= limit) {
            break;
        }
        unavailable += i64::from(pod.is_available);
        marked += usize::from(!pod.is_to_delete);
        pod.is_to_delete = true;
    }
    if marked == 0 { Pass::Nothing } else { Pass::Marked(marked) }
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (0..12_i64, 0..5_i64, 0..5_i64, prop_oneof![Just(i64::from(i32::MAX)), 1..6_i64]).prop_flat_map(
        |(replicas, max_unavailable, max_surge, scale_up_max_unavailable)| {
            (0..=replicas).prop_map(move |partition| Limits {
                replicas,
                partition,
                // admission refuses both at 0, and then nothing could ever move
                max_unavailable: if max_surge == 0 { max_unavailable.max(1) } else { max_unavailable },
                max_surge,
                scale_up_max_unavailable,
            })
        },
    )
}

fn any_side() -> impl Strategy<Value = Side> {
    (0..8_i64, 0..8_i64, 0..8_i64, 0..4_i64).prop_map(|(rest, unavailable, to_delete, pre_deleting)| Side {
        active: rest + unavailable + to_delete,
        unavailable,
        to_delete,
        pre_deleting,
    })
}

fn any_census() -> impl Strategy<Value = Census> {
    (any_side(), any_side()).prop_map(|(new, old)| Census { new, old })
}

fn any_rollback() -> impl Strategy<Value = Rollback> {
    prop_oneof![Just(Rollback::Off), Just(Rollback::On)]
}

fn any_preparing_delete() -> impl Strategy<Value = PreparingDelete> {
    prop_oneof![Just(PreparingDelete::Counts), Just(PreparingDelete::Excluded)]
}

proptest! {
    #[test] // CS-34..37
    fn counts_stay_within_what_they_are_counts_of(
        limits in any_limits(), census in any_census(), rollback in any_rollback(), preparing in any_preparing_delete(),
    ) {
        let targets = targets(&limits, &census, rollback, preparing);
        prop_assert!((0..=limits.max_surge).contains(&targets.surge), "{targets:?}");
        prop_assert!((0..=targets.surge).contains(&targets.surge_old), "{targets:?}");
        prop_assert!(targets.delete_ready_limit >= 0, "{targets:?}");
        match targets.scale {
            Scale::Settled => {}
            Scale::Up { pods, old, limit } => {
                prop_assert!(pods > 0 && (0..=pods).contains(&old) && (0..=pods).contains(&limit), "{targets:?}");
                let limit_of_all = limits.replicas + limits.max_surge;
                let have = match preparing {
                    PreparingDelete::Counts => census.pods(),
                    PreparingDelete::Excluded => census.new.active + census.old.active,
                };
                prop_assert!(have + pods <= limit_of_all, "{targets:?}");
            }
            Scale::Down { pods, old } => {
                prop_assert!(pods > 0 && (0..=pods).contains(&old) && old <= census.old.pods(), "{targets:?}");
            }
        }
    }

    #[test] // CS-34, CS-38, CS-121
    fn without_the_gate_pods_move_forward_only_and_never_across_the_partition(limits in any_limits(), census in any_census()) {
        match targets(&limits, &census, Rollback::Off, PreparingDelete::Counts).rollout {
            Rollout::Settled => {}
            Rollout::Forward(pods) => {
                let pods = i64::from(pods.get());
                prop_assert!(census.old.active - pods >= limits.partition);
                prop_assert!(census.new.active + pods <= limits.replicas - limits.partition);
            }
            Rollout::Back(pods) => prop_assert!(false, "{pods} back"),
        }
    }

    #[test] // CS-38: with Pods to move and none missing on either side, some move
    fn old_pods_beyond_the_partition_move(partition in 0..6_i64, old in 0..6_i64, new in 0..6_i64, rollback in any_rollback()) {
        let limits = Limits {
            replicas: partition + old + new,
            partition,
            max_unavailable: 1,
            max_surge: 0,
            scale_up_max_unavailable: i64::from(i32::MAX),
        };
        let side = |active| Side { active, ..Side::default() };
        let census = Census { new: side(new), old: side(partition + old) };
        let targets = targets(&limits, &census, rollback, PreparingDelete::Counts);
        let want = NonZeroU32::new(old.try_into().unwrap()).map_or(Rollout::Settled, Rollout::Forward);
        prop_assert_eq!((targets.rollout, targets.update_max_unavailable), (want, 1));
    }

    #[test] // CS-34..38
    fn what_is_as_wanted_stays_as_it_is(limits in any_limits(), rollback in any_rollback(), preparing in any_preparing_delete()) {
        let side = |active| Side { active, ..Side::default() };
        let census = Census { new: side(limits.replicas - limits.partition), old: side(limits.partition) };
        let want = Targets {
            surge: 0,
            surge_old: 0,
            unavailable: 0,
            scale: Scale::Settled,
            delete_ready_limit: 0,
            rollout: Rollout::Settled,
            update_max_unavailable: limits.max_unavailable,
        };
        prop_assert_eq!(targets(&limits, &census, rollback, preparing), want);
    }

    #[test] // CS-34..38, CS-121, CS-122: a rollout by recreation ends where it should and never goes below its floor
    fn a_rollout_keeps_its_budget_and_arrives(limits in any_limits(), dice in prop::collection::vec(any::<u8>(), 1..40)) {
        let available = |pods: &[Counted]| i64::try_from(pods.iter().filter(|pod| pod.is_available).count()).unwrap();
        let start = Counted { revision: Revision::Old, is_available: true, is_to_delete: false };
        let mut pods = vec![start; limits.replicas.try_into().unwrap()];
        let mut dice = dice.into_iter().cycle();
        let mut idle = 0;
        for _ in 0..400 {
            let before = available(&pods);
            let did = pass(&limits, &mut pods);
            // nothing that was done made Pods missing beyond maxUnavailable
            let floor = (limits.replicas - limits.max_unavailable).min(before);
            prop_assert!(available(&pods) >= floor, "{did:?} left {pods:?}");
            prop_assert!(i64::try_from(pods.len()).unwrap() <= limits.replicas + limits.max_surge, "{did:?} left {pods:?}");
            let new = pods.iter().filter(|pod| pod.revision == Revision::New).count();
            let most_new = limits.replicas - limits.partition + limits.max_surge;
            prop_assert!(i64::try_from(new).unwrap() <= most_new, "{did:?} left {pods:?}");

            // some Pods come up between two passes; when nothing else happens, all do
            let all = did == Pass::Nothing;
            for pod in pods.iter_mut().filter(|pod| !pod.is_available) {
                pod.is_available = all || dice.next().unwrap_or_default() % 2 == 0;
            }
            idle = if all { idle + 1 } else { 0 };
            if idle == 2 {
                break;
            }
        }
        let of = |revision| i64::try_from(pods.iter().filter(|pod| pod.revision == revision).count()).unwrap();
        prop_assert_eq!((of(Revision::Old), of(Revision::New)), (limits.partition, limits.replicas - limits.partition));
        prop_assert!(pods.iter().all(|pod| pod.is_available && !pod.is_to_delete));
    }

    #[test] // CS-36..38: whatever there is at first, and whatever is marked, all ends as wanted
    fn any_beginning_ends_as_wanted(
        limits in any_limits(),
        pods in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..14),
    ) {
        // without the gate, new Pods beyond their share stay where there is no excess of Pods: begin without such
        let mut room_for_new = limits.replicas - limits.partition;
        let counted = |(is_old, is_available, is_to_delete): (bool, bool, bool)| {
            let is_new = !is_old && room_for_new > 0;
            room_for_new -= i64::from(is_new);
            Counted { revision: if is_new { Revision::New } else { Revision::Old }, is_available, is_to_delete }
        };
        let mut pods: Vec<Counted> = pods.into_iter().map(counted).collect();
        let mut idle = 0;
        for _ in 0..400 {
            let did = pass(&limits, &mut pods);
            idle = if did == Pass::Nothing { idle + 1 } else { 0 };
            if idle == 2 {
                break;
            }
            for pod in &mut pods {
                pod.is_available = true;
            }
        }
        prop_assert_eq!(idle, 2, "still moving: {:?}", pods);
        let of = |revision| i64::try_from(pods.iter().filter(|pod| pod.revision == revision).count()).unwrap();
        prop_assert_eq!((of(Revision::Old), of(Revision::New)), (limits.partition, limits.replicas - limits.partition));
        prop_assert!(pods.iter().all(|pod| pod.is_available && !pod.is_to_delete));
    }
}

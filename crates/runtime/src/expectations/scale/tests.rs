//! Tests of expected creations and deletions. The cache is what a closure says.

use rules::write::{PERSISTENT_VOLUME_CLAIM, POD};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(300);

fn owner() -> OwnerId {
    OwnerId { key: ObjectKey::new("shop", "web"), uid: "owner-1".into() }
}

fn pod(name: &str) -> ObjectId {
    ObjectId { resource: POD, key: ObjectKey::new("shop", name) }
}

fn sight(uid: &str, version: u64, state: State) -> Sight {
    Sight { uid: uid.into(), version: Some(version), state }
}

fn live(uid: &str, version: u64) -> Sight {
    sight(uid, version, State::Live)
}

/// An empty cache.
fn nothing(_: &ObjectId) -> Option<Sight> {
    None
}

fn expected(action: Action, name: &str) -> Expected {
    Expected { action, object: pod(name) }
}

/// These Pods were created, as UID `u-<name>` at version 10, and the cache has yet to show them.
fn created(names: &[&str]) -> ScaleExpectations {
    let scale = ScaleExpectations::new(TIMEOUT);
    for name in names {
        scale.expect_creation(&owner(), &pod(name));
        scale.created(&owner(), &pod(name), live(&format!("u-{name}"), 10));
    }
    scale
}

/// Pod `a` of UID `u-a` was deleted.
fn deleted() -> ScaleExpectations {
    let scale = ScaleExpectations::new(TIMEOUT);
    scale.expect_deletion(&owner(), &pod("a"), "u-a");
    scale
}

impl ScaleExpectations {
    fn waits(&self) -> bool {
        self.waiting(&owner(), Instant::now(), |_| Some(live("u-a", 9))).is_some()
    }

    fn is_empty(&self) -> bool {
        let held = self.held.lock();
        held.owners.is_empty() && held.expecting.is_empty()
    }
}

// PL-70
#[test]
fn an_owner_waits_until_every_event_was_seen() {
    let (scale, now) = (created(&["a", "b"]), Instant::now());
    assert_eq!(scale.observe(&pod("a"), &live("u-a", 10)), None);
    let wait = scale.waiting(&owner(), now, nothing);
    let names = vec!["b".into()];
    assert_eq!(wait, Some(Wait::Unmet { since: now, remaining: TIMEOUT, action: Action::Create, names }));
    scale.observe(&pod("b"), &live("u-b", 10));
    assert_eq!(scale.waiting(&owner(), now, nothing), None);
    assert!(scale.is_empty(), "an owner without expectations takes no memory");
}

// PL-70
#[test]
fn a_creation_is_met_whatever_the_watch_shows_of_it_and_only_by_that() {
    for (seen, met) in [
        (live("u-a", 10), true),
        (sight("u-a", 12, State::Terminating), true),
        (sight("u-a", 13, State::Gone), true),
        (live("successor", 20), true),
        (sight("successor", 21, State::Gone), true),
        (live("predecessor", 7), false),
        (sight("predecessor", 8, State::Terminating), false),
        (sight("predecessor", 9, State::Gone), false),
        (Sight { version: None, ..live("odd", 0) }, true),
    ] {
        let scale = created(&["a"]);
        scale.observe(&pod("a"), &seen);
        assert_eq!(scale.waiting(&owner(), Instant::now(), nothing).is_none(), met, "watch: {seen:?}");
        let scale = created(&["a"]);
        let looked = scale.waiting(&owner(), Instant::now(), |_| Some(seen.clone()));
        assert_eq!(looked.is_none(), met, "cache: {seen:?}");
    }
}

#[test]
fn an_event_before_the_answer_counts_once_the_answer_tells_what_was_made() {
    for (seen, met) in [(live("u-a", 10), true), (sight("u-a", 11, State::Gone), true), (live("before", 9), false)] {
        let scale = ScaleExpectations::new(TIMEOUT);
        scale.expect_creation(&owner(), &pod("a"));
        scale.observe(&pod("a"), &seen);
        assert!(scale.waiting(&owner(), Instant::now(), nothing).is_some(), "not known yet what it was: {seen:?}");
        scale.created(&owner(), &pod("a"), live("u-a", 10));
        assert_eq!(scale.waiting(&owner(), Instant::now(), nothing).is_none(), met, "{seen:?}");
    }
}

// PL-70
#[test]
fn a_deletion_is_met_by_terminating_gone_or_a_successor() {
    for (seen, met) in [
        (live("u-a", 11), false),
        (sight("u-a", 11, State::Terminating), true),
        (sight("u-a", 11, State::Gone), true),
        (live("successor", 20), true),
    ] {
        let scale = deleted();
        scale.observe(&pod("a"), &seen);
        assert_eq!(!scale.waits(), met, "watch: {seen:?}");
        let scale = deleted();
        let looked = scale.waiting(&owner(), Instant::now(), |_| Some(seen.clone()));
        assert_eq!(looked.is_none(), met, "cache: {seen:?}");
    }
    let scale = deleted();
    assert_eq!(scale.waiting(&owner(), Instant::now(), nothing), None, "it was seen to go before it was expected to");
}

// PL-70
#[test]
fn objects_are_told_apart_by_resource_and_namespace() {
    let (scale, now) = (created(&["a"]), Instant::now());
    let claim = ObjectId { resource: PERSISTENT_VOLUME_CLAIM, ..pod("a") };
    let elsewhere = ObjectId { key: ObjectKey::new("other", "a"), ..pod("a") };
    for other in [claim, elsewhere] {
        scale.observe(&other, &live("u-a", 10));
        assert!(scale.waiting(&owner(), now, nothing).is_some());
    }
}

// PL-70
#[test]
fn a_failed_write_is_expected_no_longer() {
    let scale = created(&["a"]);
    scale.withdraw(&owner(), Action::Create, &pod("a"));
    assert_eq!(scale.waiting(&owner(), Instant::now(), nothing), None);
}

#[test]
fn whoever_was_found_waiting_is_told_when_nothing_is_left_to_wait_for() {
    let (scale, now) = (created(&["a", "b", "c"]), Instant::now());
    assert_eq!(scale.observe(&pod("a"), &live("u-a", 10)), None, "nobody has looked yet");
    assert!(scale.waiting(&owner(), now, nothing).is_some());
    assert_eq!(scale.observe(&pod("b"), &live("u-b", 10)), None, "c is left");
    assert_eq!(scale.observe(&pod("c"), &live("u-c", 9)), Some(owner().key));
    assert_eq!(scale.observe(&pod("c"), &live("u-c", 11)), None);
}

#[test]
fn an_owner_made_anew_has_none_of_the_old_ones_expectations() {
    let (scale, now) = (created(&["a"]), Instant::now());
    let anew = OwnerId { uid: "owner-2".into(), ..owner() };
    assert_eq!(scale.waiting(&anew, now, nothing), None);
    assert!(scale.is_empty());
    // The old one's write is still under way, the new one has begun.
    scale.expect_creation(&owner(), &pod("a"));
    scale.expect_creation(&anew, &pod("b"));
    scale.created(&owner(), &pod("a"), live("u-a", 10));
    scale.doubt(&owner(), Action::Create, &pod("b"));
    scale.withdraw(&owner(), Action::Create, &pod("b"));
    let Some(Wait::Unmet { names, remaining, .. }) = scale.waiting(&anew, now, nothing) else { panic!() };
    assert_eq!((names, remaining), (vec!["b".into()], TIMEOUT));
}

// Platform section 11.1: the timer starts at the first check that finds an unmet expectation.
#[test]
fn the_time_starts_with_the_first_check_and_ends_in_a_list_to_check_live() {
    let (scale, now) = (created(&["a"]), Instant::now());
    scale.expect_deletion(&owner(), &pod("b"), "u-b");
    let look = |object: &ObjectId| (object.key.name == "b").then(|| live("u-b", 5));
    let first = now + TIMEOUT * 2;
    assert!(matches!(scale.waiting(&owner(), first, look), Some(Wait::Unmet { .. })));
    let Some(Wait::Unmet { remaining, .. }) = scale.waiting(&owner(), first + TIMEOUT / 4, look) else { panic!() };
    assert_eq!(remaining, TIMEOUT * 3 / 4);
    let objects = vec![expected(Action::Create, "a"), expected(Action::Delete, "b")];
    let overdue = Some(Wait::Overdue { since: first, objects });
    assert_eq!(scale.waiting(&owner(), first + TIMEOUT, look), overdue);
    assert_eq!(scale.waiting(&owner(), first + TIMEOUT, look), overdue, "until it was checked");
}

#[test]
fn met_in_between_the_time_starts_anew() {
    let (scale, now) = (created(&["a"]), Instant::now());
    assert!(scale.waiting(&owner(), now, nothing).is_some());
    scale.observe(&pod("a"), &live("u-a", 10));
    scale.expect_creation(&owner(), &pod("b"));
    assert!(matches!(scale.waiting(&owner(), now + TIMEOUT, nothing), Some(Wait::Unmet { .. })));
}

#[test]
fn a_write_without_an_answer_makes_the_owner_look_again_soon() {
    let (scale, now) = (created(&["a"]), Instant::now());
    scale.expect_creation(&owner(), &pod("b"));
    scale.doubt(&owner(), Action::Create, &pod("b"));
    scale.doubt(&owner(), Action::Create, &pod("never-expected"));
    let Some(Wait::Unmet { remaining, names, .. }) = scale.waiting(&owner(), now, nothing) else { panic!() };
    assert_eq!((remaining, names.len()), (DOUBT_PAUSE, 2));
    scale.observe(&pod("b"), &live("u-b", 10));
    assert!(scale.is_expected(&owner(), Action::Create, &pod("b")), "it may have been a predecessor");
    let before = |object: &ObjectId| (object.key.name == "b").then(|| live("predecessor", 5));
    assert!(scale.waiting(&owner(), now, before).is_some());
    assert!(scale.is_expected(&owner(), Action::Create, &pod("b")), "the cache may show a predecessor, too");
    scale.check(&owner(), &expected(Action::Create, "b"), Some(live("u-b", 12)));
    assert!(!scale.is_expected(&owner(), Action::Create, &pod("b")), "it was not");
    let Some(Wait::Unmet { remaining, .. }) = scale.waiting(&owner(), now, nothing) else { panic!() };
    assert_eq!(remaining, TIMEOUT);
}

// Ruling 19
#[test]
fn a_live_read_drops_what_was_not_carried_out_and_keeps_what_the_cache_has_yet_to_show() {
    for (action, found, kept) in [
        (Action::Create, None, false),
        (Action::Create, Some(live("u-a", 30)), true),
        (Action::Create, Some(live("successor", 30)), true),
        (Action::Delete, None, true),
        (Action::Delete, Some(live("u-a", 30)), false),
        (Action::Delete, Some(sight("u-a", 30, State::Terminating)), true),
        (Action::Delete, Some(live("successor", 30)), true),
    ] {
        let scale = match action {
            Action::Create => created(&["a"]),
            Action::Delete => deleted(),
        };
        let expected = expected(action, "a");
        let fate = if kept { Fate::Due } else { Fate::Void };
        assert_eq!(scale.fate(&owner(), &expected, found.as_ref()), Some(fate), "{action:?} {found:?}");
        scale.check(&owner(), &expected, found.clone());
        assert_eq!(scale.is_expected(&owner(), action, &pod("a")), kept, "{action:?} {found:?}");
    }
}

// Ruling 19
#[test]
fn what_is_kept_after_a_live_check_has_its_time_again() {
    let (scale, now) = (created(&["a"]), Instant::now());
    scale.waiting(&owner(), now, nothing);
    assert!(matches!(scale.waiting(&owner(), now + TIMEOUT, nothing), Some(Wait::Overdue { .. })));
    scale.check(&owner(), &expected(Action::Create, "a"), Some(live("u-a", 30)));
    scale.wait_on(&owner(), now + TIMEOUT);
    let Some(Wait::Unmet { remaining, .. }) = scale.waiting(&owner(), now + TIMEOUT, nothing) else { panic!() };
    assert_eq!(remaining, TIMEOUT);
    scale.observe(&pod("a"), &live("u-a", 10));
    assert_eq!(scale.waiting(&owner(), now + TIMEOUT, nothing), None, "as it was made, not as it was read");
}

#[test]
fn a_deleted_owner_waits_for_nothing() {
    let scale = created(&["a"]);
    scale.forget(&owner().key);
    assert_eq!(scale.waiting(&owner(), Instant::now(), nothing), None);
    assert!(scale.is_empty());
}

//! Tests of expected versions.

use super::super::State;
use super::*;

const TIMEOUT: Duration = Duration::from_secs(300);

fn expecting(version: &str) -> (VersionExpectations, Instant) {
    let (versions, now) = (VersionExpectations::new(TIMEOUT), Instant::now());
    versions.expect("u", version, now);
    (versions, now)
}

fn live(version: u64) -> Sight {
    Sight { uid: "u".into(), version: Some(version), state: State::Live }
}

// PL-72
#[test]
fn an_object_waits_until_it_is_seen_at_our_version_or_later() {
    let (versions, now) = expecting("100");
    assert!(versions.waiting("u", "99", now).is_some());
    assert_eq!(versions.waiting("u", "100", now), None);
    versions.expect("u", "200", now);
    versions.observe("u", "199");
    assert!(versions.waiting("u", "199", now).is_some());
    versions.observe("u", "201");
    assert_eq!(versions.waiting("u", "199", now), None);
    assert_eq!(versions.len(), 0);
}

// PL-72
#[test]
fn versions_compare_as_numbers_and_the_highest_counts() {
    let (versions, now) = expecting("1000");
    versions.expect("u", "999", now);
    assert!(versions.waiting("u", "999", now).is_some());
}

// PL-72
#[test]
fn a_version_that_is_not_a_number_is_met() {
    let (versions, now) = expecting("not-a-number");
    assert_eq!(versions.waiting("u", "1", now), None);
    versions.expect("u", "10", now);
    assert_eq!(versions.waiting("u", "not-a-number", now), None);
}

#[test]
fn whoever_was_found_waiting_is_told_that_the_object_can_be_judged() {
    let (versions, now) = expecting("10");
    assert_eq!(versions.observe("u", "10"), Observed::Met, "nobody has asked yet");
    versions.expect("u", "20", now);
    assert!(versions.waiting("u", "10", now).is_some());
    assert_eq!(versions.observe("u", "19"), Observed::Nothing);
    assert_eq!(versions.observe("u", "20"), Observed::Awaited);
    versions.expect("u", "30", now);
    assert!(versions.waiting("u", "20", now).is_some());
    assert_eq!(versions.forget("u"), Observed::Awaited, "gone, so its owner need not wait for it");
}

// Ruling 19
#[test]
fn an_overdue_version_is_told_until_it_was_checked() {
    let (versions, now) = expecting("10");
    let wait = versions.waiting("u", "9", now);
    assert_eq!(wait, Some(VersionWait::Unmet { since: now, remaining: TIMEOUT, expected: 10 }));
    for _ in 0..2 {
        let wait = versions.waiting("u", "9", now + TIMEOUT);
        assert_eq!(wait, Some(VersionWait::Overdue { since: now, expected: 10 }));
    }
    versions.check("u", Some(&live(12)));
    versions.wait_on("u", now + TIMEOUT);
    let wait = versions.waiting("u", "9", now + TIMEOUT);
    assert_eq!(wait, Some(VersionWait::Unmet { since: now + TIMEOUT, remaining: TIMEOUT, expected: 10 }));
}

// Ruling 19
#[test]
fn a_live_read_drops_what_the_server_does_not_have() {
    for (found, kept) in [(Some(live(10)), true), (Some(live(9)), false), (None, true)] {
        let (versions, now) = expecting("10");
        let fate = if kept { Fate::Due } else { Fate::Void };
        assert_eq!(versions.fate("u", found.as_ref()), Some(fate));
        versions.check("u", found.as_ref());
        assert_eq!(versions.waiting("u", "8", now).is_some(), kept, "{found:?}");
    }
}

#[test]
fn a_patch_without_an_answer_holds_until_the_cache_is_as_new_as_the_server() {
    let (versions, now) = (VersionExpectations::new(TIMEOUT), Instant::now());
    versions.doubt("u", "10", now);
    let wait = versions.waiting("u", "10", now);
    assert_eq!(wait, Some(VersionWait::Unmet { since: now, remaining: DOUBT_PAUSE, expected: 11 }));
    versions.see(Some("u"), Some(&live(14)), now);
    let wait = versions.waiting("u", "11", now);
    assert_eq!(wait, Some(VersionWait::Unmet { since: now, remaining: TIMEOUT, expected: 14 }));
    assert_eq!(versions.waiting("u", "14", now), None);
    // It was not carried out, but an earlier one was.
    versions.expect("u", "20", now);
    versions.doubt("u", "20", now);
    versions.see(Some("u"), Some(&live(20)), now);
    assert!(versions.waiting("u", "19", now).is_some());
    assert_eq!(versions.waiting("u", "20", now), None);
}

#[test]
fn an_answer_after_the_object_went_is_not_kept() {
    let (versions, now) = (VersionExpectations::new(TIMEOUT), Instant::now());
    let writing = versions.begin("u", now);
    versions.forget("u");
    versions.expect("u", "10", now);
    versions.doubt("u", "10", now);
    assert_eq!(versions.waiting("u", "9", now), None);
    drop(writing);
    assert_eq!(versions.len(), 0);
}

#[test]
fn a_write_under_way_is_no_expectation() {
    let (versions, now) = (VersionExpectations::new(TIMEOUT), Instant::now());
    let (first, second) = (versions.begin("u", now), versions.begin("u", now));
    assert_eq!(versions.waiting("u", "9", now), None);
    versions.expect("u", "10", now);
    drop((first, second));
    assert!(versions.waiting("u", "9", now).is_some());
    versions.observe("u", "10");
    assert_eq!(versions.len(), 0);
}

#[test]
fn what_nobody_asks_for_is_swept_out_after_an_hour() {
    let (versions, now) = (VersionExpectations::new(TIMEOUT), Instant::now());
    let writing = versions.begin("under-way", now);
    for at in 0..10_000 {
        versions.expect(&format!("lost-{at}"), "10", now);
    }
    versions.expect("young", "10", now + OLDEST / 2);
    // A sweep comes at the latest after as many expectations as it has to look at.
    for at in 0..versions.len() {
        versions.expect(&format!("met-{at}"), "10", now + OLDEST);
        versions.observe(&format!("met-{at}"), "10");
    }
    assert_eq!(versions.len(), 2, "the young one, and the one whose write is under way");
    assert!(versions.waiting("young", "9", now + OLDEST).is_some());
    drop(writing);
}

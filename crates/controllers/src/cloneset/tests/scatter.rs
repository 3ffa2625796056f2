//! CS-52: the example of the page, each step by hand, and what must hold for any mix.

use std::sync::Arc;

use api::{cloneset::v1beta1::ScatterTerm, k8s::Pod};
use proptest::prelude::*;

use super::fixtures::{names, pod};
use crate::cloneset::scatter::scatter;

fn term(value: &str) -> ScatterTerm {
    ScatterTerm { key: "kind".into(), value: value.into() }
}

/// One Pod a letter; the letter is its label value, the place its number.
fn line(letters: &str) -> Vec<Arc<Pod>> {
    let one = |(place, letter): (usize, char)| {
        pod(&format!("{letter}{}", place + 1)).label("kind", &letter.to_string()).build()
    };
    letters.chars().enumerate().map(one).collect()
}

/// The letters of the Pods in their new order.
fn letters(pods: &[Arc<Pod>]) -> String {
    names(pods).into_iter().filter_map(|name| name.chars().next()).collect()
}

#[track_caller]
fn check(candidates: &str, others: &str, terms: &[&str], want: &str) {
    let candidates = line(candidates);
    let mut all = candidates.clone();
    all.extend(line(others));
    let terms: Vec<_> = terms.iter().map(|value| term(value)).collect();
    assert_eq!(letters(&scatter(candidates, &all, &terms)), want);
}

#[test] // CS-52, example of the page
fn three_of_ten_move_first_sixth_and_tenth() {
    check("mmmuuuuuuu", "", &["m"], "muuuumuuum");
    check("uuuuuuummm", "", &["m"], "muuuumuuum");
}

#[test] // CS-52, step 1
fn one_pod_of_a_kind_is_not_scattered() {
    check("muuuu", "", &["m"], "muuuu");
    check("mmmmu", "", &["m"], "mmmmu");
    check("uuuu", "", &["m"], "uuuu");
    check("m", "", &["m"], "m");
    check("", "", &["m"], "");
}

#[test] // CS-52, step 3
fn groups_have_one_of_the_rarer_kind_and_what_is_left_comes_last() {
    check("mmuuuu", "", &["m"], "muuuum"); // m 1, u 4: one group of 1 and 4
    check("mmmmuu", "", &["m"], "mmumum"); // m 3, u 2: two groups of round(1.5) = 2 and 1, one matched fewer
    check("mmmmmmuu", "", &["m"], "mmmummum"); // m 5, u 2: two groups of round(2.5) = 3 and 1
    check("mmmuuu", "", &["m"], "muumum"); // m 2, u 3: two groups of 1 and round(1.5) = 2
}

#[test] // CS-52, step 4
fn surplus_of_the_other_kind_moves_first_until_the_mix_is_that_of_all_pods() {
    // All 12: m 6 - 1, u 6: groups of 1 and round(6/5) = 1. Left: m 2, u 6, so 2 groups and 4 unmatched before them.
    check("mmmuuuuuu", "mmm", &["m"], "uuuumumum");
    // All 12: m 3 - 1, u 9. Left: m 2, u 5, no surplus: its own shape, 2 groups of 1 and round(2.5) = 3.
    check("mmmuuuuu", "uuuu", &["m"], "muuumuum");
}

#[test] // CS-52
fn several_terms_apply_from_the_commonest_to_the_rarest() {
    // Four b first: b 3, others 7, three groups of 1 and 2: baa bau buu u b.
    // Then three a over that: a 2, others 8, two groups of 1 and 4: abbub auuub a.
    check("aaabbbbuuuu", "", &["a", "b"], "abbubauuuba");
    check("aaabbbbuuuu", "", &["b", "a"], "abbubauuuba");
}

#[test] // CS-52
fn terms_that_no_candidate_carries_are_dropped() {
    check("mmmuuuuuuu", "zzz", &["z", "m"], "muuuumuuum");
    check("mmmuuuuuuu", "", &["z", "y"], "mmmuuuuuuu");
    check("mmmuuuuuuu", "", &[], "mmmuuuuuuu");
}

proptest! {
    #[test] // CS-52
    fn every_candidate_stays_once_and_each_kind_keeps_its_order(candidates in "[mnu]{0,24}", others in "[mnu]{0,24}") {
        let candidates = line(&candidates);
        let mut all = candidates.clone();
        all.extend(line(&others));
        for terms in [vec![term("m")], vec![term("m"), term("n")]] {
            let scattered = scatter(candidates.clone(), &all, &terms);
            prop_assert_eq!(scattered.len(), candidates.len());
            for kind in ["m", "n", "u"] {
                let of = |pods: &[Arc<Pod>]| -> Vec<String> {
                    names(pods).into_iter().filter(|name| name.starts_with(kind)).map(str::to_owned).collect()
                };
                prop_assert_eq!(of(&scattered), of(&candidates));
            }
        }
    }

    #[test] // CS-52
    fn the_last_scattered_pod_moves_last_of_all(matched in 2..10_usize, unmatched in 2..10_usize) {
        let candidates = line(&("m".repeat(matched) + &"u".repeat(unmatched)));
        let scattered = letters(&scatter(candidates.clone(), &candidates, &[term("m")]));
        prop_assert!(scattered.starts_with('m') && scattered.ends_with('m'), "{scattered}");
    }
}

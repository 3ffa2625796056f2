//! Histories written by hand: each fault at least once, where it tells most. They lie in `histories/`.

use super::{History, Malformed};

const TEXTS: &[(&str, &str)] = &[
    ("killed-while-creating", include_str!("../../histories/killed-while-creating.txt")),
    ("rollout-with-late-watches", include_str!("../../histories/rollout-with-late-watches.txt")),
    ("in-place-answers-lost", include_str!("../../histories/in-place-answers-lost.txt")),
    ("surge-with-refusals", include_str!("../../histories/surge-with-refusals.txt")),
    ("takeover-and-rollback", include_str!("../../histories/takeover-and-rollback.txt")),
    ("claims-used-again", include_str!("../../histories/claims-used-again.txt")),
    ("watches-break", include_str!("../../histories/watches-break.txt")),
    ("unwell-during-rollout", include_str!("../../histories/unwell-during-rollout.txt")),
    ("created-again", include_str!("../../histories/created-again.txt")),
    ("revision-used-again", include_str!("../../histories/revision-used-again.txt")),
    ("orphaned-revisions", include_str!("../../histories/orphaned-revisions.txt")),
    ("claim-handed-over", include_str!("../../histories/claim-handed-over.txt")),
    ("creations-late-by-minutes", include_str!("../../histories/creations-late-by-minutes.txt")),
    ("api-server-out-of-reach", include_str!("../../histories/api-server-out-of-reach.txt")),
    ("pods-fail", include_str!("../../histories/pods-fail.txt")),
    ("revision-given-up-late", include_str!("../../histories/revision-given-up-late.txt")),
    ("upkeep-refused", include_str!("../../histories/upkeep-refused.txt")),
];

/// All of them, by name.
///
/// # Errors
/// One of the files is not a history.
pub fn known() -> Result<Vec<(&'static str, History)>, Malformed> {
    TEXTS.iter().map(|(name, text)| Ok((*name, text.parse()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tally;
    use super::*;

    #[test]
    fn all_of_them_are_histories_and_survive_printing() {
        for (name, history) in known().unwrap() {
            assert_eq!(history.to_string().parse(), Ok(history), "{name}");
        }
    }

    #[test]
    fn each_file_of_the_folder_is_listed() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/histories")).unwrap();
        let files: BTreeSet<String> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let listed = TEXTS.iter().map(|(name, _)| format!("{name}.txt")).collect();
        assert_eq!(files, listed);
    }

    #[test]
    fn they_have_steps_of_each_sort() {
        let sorts: BTreeSet<&str> =
            known().unwrap().iter().flat_map(|(_, history)| tally(history).into_keys()).collect();
        assert_eq!(sorts.len(), 28, "{sorts:?}");
    }
}

//! Promises that people forget: each source file says what it is for, each statement that is cited exists.

#![allow(clippy::unwrap_used, reason = "a checkout that cannot be read is a failure of the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The families of statement ids that sources cite.
const FAMILIES: [&str; 14] = ["CS", "IU", "LC", "PR", "RV", "PD", "PA", "PL", "PW", "IN", "KD", "KM", "KKL", "KS"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates"), root().join("e2e")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 100, "only {} sources found", found.len());
    found
}

/// Ids such as `CS-12` or `PL-E4` in a text.
fn ids(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split(|c: char| !is_word(c))
        .filter_map(|word| {
            let (family, rest) = word.split_once('-')?;
            let number = rest.strip_prefix('E').filter(|_| family == "PL").unwrap_or(rest);
            let digits = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
            (FAMILIES.contains(&family) && digits).then(|| word.to_owned())
        })
        .collect()
}

/// Ids that the contract defines or covers by a range such as `RV-4..7`.
fn known() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for page in fs::read_dir(root().join("docs/spec")).unwrap() {
        let path = page.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            all.extend(ids(&fs::read_to_string(path).unwrap().replace("..", " ..")));
        }
    }
    all
}

#[test]
fn every_source_begins_by_saying_what_it_is_for() {
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "without a module doc: {silent:?}");
}

#[test]
fn every_statement_that_is_cited_exists() {
    let known = known();
    for (path, text) in sources() {
        let unknown: Vec<_> = ids(&text).into_iter().filter(|id| !known.contains(id)).collect();
        assert!(unknown.is_empty(), "{} cites {unknown:?}", path.display());
    }
}

#[test]
fn no_source_is_too_long_to_have_one_subject() {
    let long: Vec<_> =
        sources().into_iter().filter(|(_, text)| text.lines().count() > 500).map(|(path, _)| path).collect();
    assert!(long.is_empty(), "above 500 lines: {long:?}");
}

#[test]
fn sources_are_finished() {
    let words = ["TODO", "FIXME", "todo!(", "unimplemented!("].map(|word| word.to_owned());
    for (path, text) in sources().into_iter().filter(|(path, _)| !path.ends_with("tidy.rs")) {
        assert!(!words.iter().any(|word| text.contains(word.as_str())), "{} is not finished", path.display());
    }
}

#[test]
fn only_the_webhook_reads_json_inside_of_text() {
    // With serde_json's feature raw_value a member of a reserved name is read again as JSON, and what is in that too: what
    // anybody may write would overflow the stack of whoever makes a tree of it. The webhook refuses that name.
    for (package, wanted) in [("kruise-manager", false), ("kruise-daemon", false), ("kruise-webhook", true)] {
        let words = ["tree", "--offline", "--locked", "--edges", "normal,features", "--package", package];
        let tree = std::process::Command::new(env!("CARGO")).args(words).current_dir(root()).output().unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        assert_eq!(String::from_utf8_lossy(&tree.stdout).contains("raw_value"), wanted, "{package}");
    }
}

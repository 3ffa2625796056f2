//! The checker stands apart from what it checks: a mistake that both share would be found by neither.

use std::fs;
use std::path::Path;

#[test]
fn the_checker_uses_nothing_of_the_planners() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for word in ["controllers::", "rules::", "runtime::", "kruise_manager::"] {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
        files += 1;
    }
    assert!(files > 10, "only {files} files");
}

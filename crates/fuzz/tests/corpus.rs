//! Inputs that were kept: those that once broke a promise, and a few of each sort that show what an answer may be.

use std::path::Path;

use fuzz::input::Input;
use fuzz::oracle::Judge;

#[test]
fn inputs_that_were_kept_break_no_promise() {
    let judge = Judge::new().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut judged = 0;
    let mut broken = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let input = Input::of_file(&std::fs::read(&file).unwrap()).unwrap_or_else(|err| panic!("{file:?}: {err}"));
        if let Err(violation) = judge.check(&input) {
            broken.push(format!("{}: {violation}", file.display()));
        }
        judged += 1;
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(judged > 0, "nothing was kept");
}

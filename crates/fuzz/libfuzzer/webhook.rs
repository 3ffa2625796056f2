//! The generators and the judge of `kruise-fuzz`, led by libFuzzer's view of which code an input reaches.
//!
//! The first byte says what the others are: choices of a generator, or a body as it is.

#![no_main]

use fuzz::generate::{Generator, Target};
use fuzz::input::{Input, Settings};
use fuzz::oracle::Judge;
use fuzz::source::Source;
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 5] = [
    "/convert",
    "/mutate-pod",
    "/validate-pod",
    "/mutate-apps-kruise-io-cloneset",
    "/validate-apps-kruise-io-cloneset",
];

thread_local! {
    static MEANS: (Generator, Judge) = (Generator::new().unwrap(), Judge::new().unwrap());
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&what, rest)) = bytes.split_first() else { return };
    let what = usize::from(what);
    MEANS.with(|(generator, judge)| {
        let input = match Target::ALL.get(what % 8) {
            Some(target) => generator.input(*target, &mut Source::bytes(rest)),
            None => Input {
                settings: Settings::ALL[what / 8 % Settings::ALL.len()],
                path: PATHS[what % 8 - Target::ALL.len()].to_owned(),
                body: rest.to_vec(),
            },
        };
        if let Err(violation) = judge.check(&input) {
            panic!("{violation}\n{input:?}");
        }
    });
});

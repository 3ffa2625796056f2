//! Many inputs, over all processors: proptest makes and shortens them, a [`Judge`] per thread judges. The first that
//! breaks a promise ends the campaign.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use parking_lot::Mutex;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::generate::{Generator, Target};
use crate::input::Input;
use crate::oracle::{Judge, Promise, Violation};
use crate::strategy::Inputs;

/// Inputs of one seed. A seed and this decide what is made, whatever the number of threads.
const BATCH: u64 = 250;
/// How many inputs may be tried to make a failing one shorter.
const SHRINKING: u32 = 4_000;

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// What inputs are for, in turn.
    pub targets: Vec<Target>,
    /// How many.
    pub inputs: u64,
    /// The first seed; each batch takes the next.
    pub seed: u64,
    /// How many threads.
    pub threads: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Inputs that were judged.
    pub inputs: u64,
    /// What the answers were, by target.
    pub outcomes: BTreeMap<Target, BTreeMap<String, u64>>,
    /// The first failure.
    pub failure: Option<Failed>,
}

/// An input that breaks a promise, as short as could be made.
#[derive(Debug)]
pub struct Failed {
    /// The seed of its batch.
    pub seed: u64,
    /// The input.
    pub input: Input,
    /// Which promise, and how.
    pub violation: Violation,
}

impl Campaign {
    /// Runs them all, or up to the first that fails.
    ///
    /// # Errors
    /// The webhook can't be set up.
    pub fn run(&self) -> anyhow::Result<Report> {
        let generator = Generator::new()?;
        let (next, stop, report) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(Report::default()));
        let work = || -> anyhow::Result<()> {
            let judge = Judge::new()?;
            loop {
                let batch = next.fetch_add(1, Ordering::Relaxed);
                let begun = batch * BATCH;
                if begun >= self.inputs || stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let turn = usize::try_from(batch).unwrap_or_default() % self.targets.len().max(1);
                let Some(target) = self.targets.get(turn).copied() else { return Ok(()) };
                let inputs = Inputs { generator: &generator, target };
                let one = run(&inputs, self.seed + batch, BATCH.min(self.inputs - begun), &judge);
                let mut report = report.lock();
                report.inputs += one.outcomes.values().sum::<u64>();
                let outcomes = report.outcomes.entry(target).or_default();
                for (what, count) in one.outcomes {
                    *outcomes.entry(what).or_default() += count;
                }
                if let Some(failed) = one.failure
                    && !stop.swap(true, Ordering::Relaxed)
                {
                    report.failure = Some(failed);
                }
            }
        };
        thread::scope(|scope| -> anyhow::Result<()> {
            let threads: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                thread.join().map_err(|_| anyhow::anyhow!("the fuzzer itself panicked"))??;
            }
            Ok(())
        })?;
        Ok(report.into_inner())
    }
}

#[derive(Default)]
struct Batch {
    outcomes: BTreeMap<String, u64>,
    failure: Option<Failed>,
}

fn run(inputs: &Inputs<'_>, seed: u64, cases: u64, judge: &Judge) -> Batch {
    let config = Config {
        cases: u32::try_from(cases).unwrap_or(u32::MAX),
        failure_persistence: None,
        max_shrink_iters: SHRINKING,
        ..Config::default()
    };
    let mut seeded = [0; 32];
    seeded.iter_mut().zip(seed.to_le_bytes()).for_each(|(to, from)| *to = from);
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seeded));
    let outcomes = RefCell::new(BTreeMap::<String, u64>::new());
    let broken = RefCell::new(None::<Violation>);
    let result = runner.run(inputs, |input| match judge.check(&input) {
        Ok(what) => {
            if broken.borrow().is_none() {
                *outcomes.borrow_mut().entry(what).or_default() += 1;
            }
            Ok(())
        }
        // While an input is made shorter, what breaks another promise is another story.
        Err(violation) if broken.borrow().as_ref().is_some_and(|first| !is_like(first, &violation)) => Ok(()),
        Err(violation) => {
            let reason = violation.to_string();
            broken.replace(Some(violation));
            Err(TestCaseError::fail(reason))
        }
    });
    let failure = match (result, broken.into_inner()) {
        (Err(TestError::Fail(_, input)), Some(violation)) => Some(Failed { seed, input, violation }),
        (Err(TestError::Abort(reason)), _) => Some(Failed {
            seed,
            input: Input { settings: crate::input::Settings::Plain, path: "/".to_owned(), body: Vec::new() },
            violation: Violation { promise: Promise::Stands, what: format!("proptest gave up: {reason}") },
        }),
        _ => None,
    };
    Batch { outcomes: outcomes.into_inner(), failure }
}

fn is_like(first: &Violation, other: &Violation) -> bool {
    first.promise == other.promise
}

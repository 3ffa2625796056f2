//! Many histories, over all processors: the known ones, then one per seed. The first that breaks a promise ends the
//! campaign and is shrunk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::check::Violation;
use crate::script::generate::{self, Subject};
use crate::script::{self, History, shrink};
use crate::world::{self, Options, Outcome};

/// Of so many histories one runs a second time: the same requests must get the same answers.
const REPEATED: u64 = 50;
/// How many histories may be tried to make a failing one shorter.
const SHRINKING: usize = 400;

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The kind that histories are about.
    pub subject: Subject,
    /// Histories from seeds.
    pub runs: u64,
    /// The first seed.
    pub seed: u64,
    /// How many at once.
    pub threads: usize,
    /// How each is run.
    pub options: Options,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Histories that were run to their end.
    pub histories: u64,
    /// What happened in them.
    pub numbers: BTreeMap<&'static str, u64>,
    /// Steps of them, by sort.
    pub steps: BTreeMap<&'static str, u64>,
    /// How long they lasted together, in their clusters' time.
    pub lasted: Duration,
    /// The first that failed.
    pub failure: Option<Failed>,
}

/// A history that failed.
#[derive(Debug)]
pub struct Failed {
    /// As it was run.
    pub history: History,
    /// The shortest that was found to break the same promise.
    pub shortest: History,
    /// What that one breaks.
    pub violation: Violation,
}

impl Campaign {
    /// Runs them all, or up to the first that fails.
    ///
    /// # Errors
    /// The simulation itself does not work.
    pub fn run(&self) -> anyhow::Result<Report> {
        let known = script::known()?;
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let report = Mutex::new(Report::default());
        let total = self.runs + known.len() as u64;
        let work = || -> anyhow::Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total || stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let history = match usize::try_from(number).ok().and_then(|number| known.get(number)) {
                    Some((_, history)) => history.clone(),
                    None => generate::generate(self.subject, self.seed + number - known.len() as u64),
                };
                let outcome = self.one(&history, number)?;
                let mut report = report.lock();
                report.add(&history, &outcome);
                if let Some(violation) = outcome.violation
                    && !stop.swap(true, Ordering::Relaxed)
                {
                    report.failure = Some(Failed { shortest: history.clone(), history, violation });
                }
            }
        };
        thread::scope(|scope| -> anyhow::Result<()> {
            let threads: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                thread.join().map_err(|_| anyhow::anyhow!("a history panicked"))??;
            }
            Ok(())
        })?;
        let mut report = report.into_inner();
        if let Some(failed) = &mut report.failure {
            self.shorten(failed)?;
        }
        Ok(report)
    }

    fn one(&self, history: &History, number: u64) -> anyhow::Result<Outcome> {
        let outcome = world::run(history, &self.options)?;
        if number.is_multiple_of(REPEATED) {
            let again = world::run(history, &self.options)?;
            anyhow::ensure!(
                again.digest == outcome.digest,
                "the same history gave other requests or answers the second time:\n{history}"
            );
        }
        Ok(outcome)
    }

    fn shorten(&self, failed: &mut Failed) -> anyhow::Result<()> {
        let kind = failed.violation.kind();
        let fails = |history: &History| {
            let outcome = world::run(history, &self.options).ok();
            outcome.and_then(|outcome| outcome.violation).is_some_and(|violation| violation.kind() == kind)
        };
        failed.shortest = shrink::shrink(failed.history.clone(), fails, SHRINKING);
        let violation = world::run(&failed.shortest, &self.options)?.violation;
        failed.violation = violation.ok_or_else(|| anyhow::anyhow!("the shortest history does not fail again"))?;
        Ok(())
    }
}

impl Report {
    fn add(&mut self, history: &History, outcome: &Outcome) {
        self.histories += 1;
        self.lasted += outcome.lasted;
        for (what, count) in &outcome.numbers {
            *self.numbers.entry(what).or_default() += count;
        }
        for (sort, count) in script::tally(history) {
            *self.steps.entry(sort).or_default() += count as u64;
        }
    }
}

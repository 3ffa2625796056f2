//! `bench runtime`: every measurement, each at a part of its full size. Small parts show that they all still work.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::harness::Bench;
use crate::{admission, idle, memory, reconcile, sync};

/// Shorter looks show nothing.
const SHORTEST: Duration = Duration::from_secs(2);
/// Fewer objects show nothing.
const FEWEST: u32 = 20;

/// Sizes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Which part of the full sizes and durations
    #[arg(long, value_name = "PART", default_value_t = 1.0, value_parser = part)]
    scale: f64,
}

fn part(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(part) if part > 0.0 && part <= 10.0 => Ok(part),
        _ => Err("must be a number above 0, at most 10".to_owned()),
    }
}

impl Options {
    fn count(&self, full: u32) -> u32 {
        let part = (f64::from(full) * self.scale).round();
        // In range: the scale is limited, and the cast saturates.
        (part as u32).max(FEWEST)
    }

    fn admission(&self) -> admission::Options {
        let runs = if self.scale < 1.0 { 1 } else { 5 };
        admission::Options {
            rates: vec![self.count(200), self.count(1_000).max(2 * FEWEST)],
            objects: vec![0, self.count(1_000)],
            runs,
            duration: self.time(Duration::from_secs(10)),
            flat: None,
            rollout: false,
            pods: self.count(1_000),
            start: Duration::from_secs_f64(self.scale.clamp(0.1, 1.0)),
        }
    }

    fn time(&self, full: Duration) -> Duration {
        Duration::from_secs(full.mul_f64(self.scale).as_secs()).max(SHORTEST)
    }
}

/// Measures everything.
pub(crate) async fn run(bench: &Bench, options: &Options) -> Result<()> {
    let (many, some) = (options.count(100_000), options.count(10_000));
    memory::run(bench, &memory::Options { pods: many, paged: false }).await.context("memory")?;
    sync::run(bench, &sync::Options { pods: Some(many), runs: 3, real: false }).await.context("sync")?;
    let duration = options.time(Duration::from_secs(600));
    idle::run(bench, &idle::Options { pods: some, nodes: options.count(1_000), duration }).await.context("idle")?;
    let duration = options.time(Duration::from_secs(20));
    reconcile::run(bench, &reconcile::Options { pods: options.count(1_000), duration }).await.context("reconcile")?;
    let beside = options.admission();
    admission::run(bench, &beside).await.context("admission")?;
    admission::run(bench, &admission::Options { rollout: true, ..beside })
        .await
        .context("admission while Pods roll out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_shrink_but_never_to_nothing() {
        let options = Options { scale: 0.01 };
        assert_eq!((options.count(100_000), options.count(1_000)), (1_000, 20));
        assert_eq!(options.time(Duration::from_secs(600)), Duration::from_secs(6));
        assert_eq!(options.time(Duration::from_secs(20)), SHORTEST);
        assert!(part("0").is_err() && part("x").is_err() && part("0.005").is_ok());
    }
}

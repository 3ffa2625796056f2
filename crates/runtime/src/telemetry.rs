//! The log: one line an event on stderr, for people by default, as JSON with `--logging-format=json` (ruling 22).
//!
//! Verbosity follows klog's numbers: up to 4 what was written or held, 5 and more why nothing happened, 7 and more
//! data. Libraries speak only to warn.

use std::io::{IsTerminal, stderr};

use anyhow::Context;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::flags::{LogArgs, LoggingFormat};

#[cfg(any(test, feature = "test-util"))]
pub mod captured;
mod json;
mod text;

/// Crates of ours.
const OWN: [&str; 9] = [
    "api",
    "rules",
    "runtime",
    "controllers",
    "cri",
    "kruise_manager",
    "kruise_webhook",
    "kruise_daemon",
    "kubectl_kruise",
];

/// Where kube logs each failed answer as an error, also those that we expect: what a failure means is ours to say.
const NOISY: &str = "kube_client::client::builder";

/// Starts the log. Call once, first of all.
///
/// # Errors
/// The log was started before.
pub fn init(args: &LogArgs) -> anyhow::Result<()> {
    let registry = tracing_subscriber::registry().with(targets(args.verbosity));
    match args.logging_format {
        LoggingFormat::Text => {
            let layer = tracing_subscriber::fmt::layer()
                .fmt_fields(text::fields())
                .with_target(false)
                .with_ansi(stderr().is_terminal())
                .with_writer(stderr);
            registry.with(layer).try_init()
        }
        LoggingFormat::Json => {
            let layer = tracing_subscriber::fmt::layer()
                .fmt_fields(tracing_subscriber::fmt::format::JsonFields::new())
                .event_format(json::Lines)
                .with_ansi(false)
                .with_writer(stderr);
            registry.with(layer).try_init()
        }
    }
    .context("cannot start the log")
}

fn targets(verbosity: u8) -> Targets {
    let level = match verbosity {
        0..=4 => Level::INFO,
        5..=6 => Level::DEBUG,
        7.. => Level::TRACE,
    };
    let own = OWN.iter().map(|target| (*target, level));
    Targets::new().with_default(Level::WARN).with_targets(own).with_target(NOISY, LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbosity_is_about_our_own_lines() {
        for (verbosity, target, level, shown) in [
            (0, "controllers::cloneset", Level::INFO, true),
            (4, "controllers::cloneset", Level::DEBUG, false),
            (5, "runtime::act", Level::DEBUG, true),
            (6, "runtime::act", Level::TRACE, false),
            (7, "rules::inplace", Level::TRACE, true),
            (9, "hyper_util::client", Level::INFO, false),
            (4, "kube_runtime::watcher", Level::WARN, true),
            (9, "kube_client::client::builder", Level::ERROR, false),
        ] {
            assert_eq!(targets(verbosity).would_enable(target, &level), shown, "{target} {level} at {verbosity}");
        }
    }
}

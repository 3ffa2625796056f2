//! The container runtimes of this node: found, reached, watched (KD-10..16, IN-56, IN-57).
//!
//! Every place where a runtime may listen has a task of its own (`link`) that connects, asks every few seconds whether
//! the runtime is still there, and connects again when it is not. All write to one `Board`, which readiness and metrics
//! read and which `report` puts into the log. A node without a runtime is a state here, never the end of the process.

mod board;
mod link;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

pub(crate) use board::Board;

/// How often the runtimes are asked and the log is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two questions to a working runtime. A shorter time costs two calls each, a longer one delays readiness
    /// after the death of a runtime.
    check: Duration,
    /// Before the second attempt at a runtime that does not work; doubled with every further one.
    first_retry: Duration,
    /// Longest time between two attempts: how late a runtime that has just started may be noticed.
    longest_retry: Duration,
    /// Between two lines that say why the node has no runtime (IN-57).
    report: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            check: Duration::from_secs(10),
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(10),
            report: Duration::from_secs(60),
        }
    }
}

/// The running watch over the node's runtimes; dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct Runtimes {
    board: watch::Receiver<Board>,
    tasks: JoinSet<()>,
}

impl Runtimes {
    /// Begins to look for runtimes at `places`.
    pub(crate) fn watch(places: &[PathBuf], pace: Pace) -> Self {
        let (writer, board) = watch::channel(Board::of(places.len()));
        let mut tasks = JoinSet::new();
        for (place, socket) in places.iter().enumerate() {
            tasks.spawn(link::keep(socket.clone(), board::Seat::new(writer.clone(), place), pace));
        }
        tasks.spawn(report::why_unready(board.clone(), pace.report, |reason| {
            warn!(reason, "no container runtime answers, retrying");
        }));
        Self { board, tasks }
    }

    /// What is known of the runtimes, now and later.
    pub(crate) fn board(&self) -> watch::Receiver<Board> {
        self.board.clone()
    }

    /// Returns when a task of the watch has ended, which only a defect can cause: the board would be stale from then on.
    pub(crate) async fn ended(&mut self) {
        self.tasks.join_next().await;
    }
}

#[cfg(test)]
mod tests;

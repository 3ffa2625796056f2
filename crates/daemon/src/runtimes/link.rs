//! The way to the runtime at one place: connect, check, connect again (KD-13, IN-57).
//!
//! Says in the log what changes at this place, once for each change; why the node as a whole has no runtime is
//! `report`'s to say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cri::{Connection, Runtime, endpoint};
use tracing::{debug, info, warn};

use super::Pace;
use super::board::{Seat, State};

/// Watches the place for ever.
pub(super) async fn keep(socket: PathBuf, seat: Seat, pace: Pace) {
    loop {
        let mut connection = connect(&socket, &seat, pace).await;
        let lost = watch(&mut connection, &seat, pace.check).await;
        warn!(socket = endpoint(&socket), error = lost, "lost container runtime");
        seat.set(State::Failing(lost));
    }
}

/// Tries until a runtime works, with growing pauses.
async fn connect(socket: &Path, seat: &Seat, pace: Pace) -> Connection {
    let mut pause = pace.first_retry;
    loop {
        match attempt(socket, seat).await {
            Some(connection) => return connection,
            None => tokio::time::sleep(pause).await,
        }
        pause = longer(pause, pace.longest_retry);
    }
}

async fn attempt(socket: &Path, seat: &Seat) -> Option<Connection> {
    match Connection::open(socket).await {
        Ok(connection) => {
            say_connected(connection.runtime(), connection.images());
            seat.set(State::Working(connection.runtime().clone()));
            Some(connection)
        }
        Err(cri::Error::NoSocket) => {
            seat.set(State::Absent);
            None
        }
        Err(error) => {
            let reason = error.to_string();
            match seat.set(State::Failing(reason.clone())) {
                State::Unknown | State::Absent => {
                    warn!(socket = endpoint(socket), error = reason, "skip container runtime candidate");
                }
                State::Failing(_) | State::Working(_) => {
                    debug!(socket = endpoint(socket), error = reason, "container runtime candidate still fails");
                }
            }
            None
        }
    }
}

/// Asks until the runtime does not answer; returns why.
async fn watch(connection: &mut Connection, seat: &Seat, every: Duration) -> String {
    loop {
        tokio::time::sleep(every).await;
        match connection.check().await {
            Ok(runtime) => {
                if let State::Working(before) = seat.set(State::Working(runtime.clone()))
                    && before != *runtime
                {
                    say_changed(&before, runtime);
                }
            }
            Err(error) => return error.to_string(),
        }
    }
}

/// The next pause between two attempts.
fn longer(pause: Duration, longest: Duration) -> Duration {
    pause.saturating_mul(2).min(longest)
}

fn say_connected(runtime: &Runtime, images: usize) {
    let Runtime { name, version, api_version, socket } = runtime;
    info!(runtime = name, version, api_version, socket, images, "connected to container runtime");
}

fn say_changed(before: &Runtime, now: &Runtime) {
    let Runtime { name, version, api_version, socket } = now;
    info!(runtime = name, from = before.version, version, api_version, socket, "container runtime was replaced");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // IN-57
    fn pauses_between_attempts_double_up_to_the_longest() {
        let longest = Duration::from_secs(10);
        let mut pause = Duration::from_secs(1);
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(pause.as_secs());
            pause = longer(pause, longest);
        }
        assert_eq!(seen, [1, 2, 4, 8, 10, 10]);
    }
}

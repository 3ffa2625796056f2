//! Tells why the node has no runtime: at once, then once a minute until it has one (IN-57).

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::board::{Board, Unready};

/// Passes the reason to `say` for as long as there is one, at most once in each `every`, also when a runtime comes and
/// goes in quick turns. Ends only when nobody writes the board any more.
pub(super) async fn why_unready(mut board: watch::Receiver<Board>, every: Duration, say: impl Fn(&str)) {
    let mut next = Instant::now();
    while board.wait_for(|board| reason(board).is_some()).await.is_ok() {
        let ready = board.wait_for(|board| board.readiness().is_ok());
        match timeout_at(next, ready).await.map(|seen| seen.is_ok()) {
            Ok(true) => {}
            Ok(false) => return,
            Err(_elapsed) => {
                if let Some(reason) = reason(&board.borrow()) {
                    say(&reason);
                    next = Instant::now() + every;
                }
            }
        }
    }
}

fn reason(board: &Board) -> Option<String> {
    match board.readiness() {
        Ok(()) | Err(Unready::Detecting) => None,
        Err(Unready::NoRuntime(reason)) => Some(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::board::{Seat, State};
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// What is said, and the seat of a node with one place.
    fn listen() -> (Arc<Mutex<Vec<String>>>, Seat) {
        let (writer, board) = watch::channel(Board::of(1));
        let said = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&said);
        tokio::spawn(why_unready(board, MINUTE, move |reason| ear.lock().unwrap().push(reason.to_owned())));
        (said, Seat::new(writer, 0))
    }

    fn working() -> State {
        State::Working(cri::Runtime {
            name: "containerd".into(),
            version: "1".into(),
            api_version: "v1".into(),
            socket: "unix:///".into(),
        })
    }

    #[tokio::test(start_paused = true)] // IN-57
    async fn the_reason_is_said_at_once_and_then_every_minute() {
        let (said, seat) = listen();
        seat.set(State::Absent);
        tokio::time::sleep(MINUTE * 5 / 2).await;
        assert_eq!(*said.lock().unwrap(), ["not found container runtime sock"; 3]);
    }

    #[tokio::test(start_paused = true)] // IN-57
    async fn nothing_is_said_before_the_first_look_or_while_a_runtime_works() {
        let (said, seat) = listen();
        tokio::time::sleep(MINUTE * 2).await;
        seat.set(working());
        tokio::time::sleep(MINUTE * 2).await;
        assert_eq!(*said.lock().unwrap(), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)] // IN-57
    async fn a_runtime_that_comes_and_goes_is_reported_no_more_than_once_a_minute() {
        let (said, seat) = listen();
        for _ in 0..12 {
            seat.set(State::Failing("refused".into()));
            tokio::time::sleep(MINUTE / 12).await;
            seat.set(working());
            tokio::time::sleep(MINUTE / 12).await;
        }
        assert_eq!(*said.lock().unwrap(), ["refused"; 2]);
    }
}

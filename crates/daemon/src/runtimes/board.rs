//! What is known of the runtime at each place of the node, and what follows for readiness (KD-12, KD-13, KD-16).
//!
//! Pure data: `link` writes it, readiness, metrics and the log read it.

use cri::Runtime;
use tokio::sync::watch;

/// One seat for each place where a runtime may listen, in the order of KD-10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Board {
    seats: Vec<State>,
}

/// What is known of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not looked at yet.
    Unknown,
    /// There is no such file.
    Absent,
    /// Something is there and cannot be used; with the reason.
    Failing(String),
    /// A runtime answers.
    Working(Runtime),
}

/// Why no runtime can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unready {
    /// Not every place has been looked at, and none so far has a working runtime.
    Detecting,
    /// Every place has been looked at; with the reason (KD-12, KD-13).
    NoRuntime(String),
}

impl std::fmt::Display for Unready {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Detecting => out.write_str("still looking for a container runtime"),
            Self::NoRuntime(reason) => out.write_str(reason),
        }
    }
}

impl Board {
    pub(super) fn of(places: usize) -> Self {
        Self { seats: vec![State::Unknown; places] }
    }

    /// The runtimes that work, in the order of KD-10: the first holds the images (KD-16).
    pub(crate) fn working(&self) -> impl Iterator<Item = &Runtime> {
        self.seats.iter().filter_map(|seat| match seat {
            State::Working(runtime) => Some(runtime),
            State::Unknown | State::Absent | State::Failing(_) => None,
        })
    }

    /// Whether a runtime works; otherwise why none does: the last candidate's failure (KD-13), or KD-12's text when
    /// there is no candidate.
    pub(crate) fn readiness(&self) -> Result<(), Unready> {
        if self.working().next().is_some() {
            return Ok(());
        }
        if self.seats.contains(&State::Unknown) {
            return Err(Unready::Detecting);
        }
        let failure = self.seats.iter().rev().find_map(|seat| match seat {
            State::Failing(reason) => Some(reason.clone()),
            State::Unknown | State::Absent | State::Working(_) => None,
        });
        Err(Unready::NoRuntime(failure.unwrap_or_else(|| cri::Error::NoSocket.to_string())))
    }
}

#[cfg(test)]
impl Board {
    /// A node on which these runtimes work, given as name and version.
    pub(crate) fn of_working(runtimes: &[(&str, &str)]) -> Self {
        let working = |(name, version): &(&str, &str)| {
            let socket = format!("unix:///hostvarrun/{name}.sock");
            State::Working(Runtime {
                name: (*name).into(),
                version: (*version).into(),
                api_version: "v1".into(),
                socket,
            })
        };
        Self { seats: runtimes.iter().map(working).collect() }
    }
}

/// The right to write one seat of the board.
#[derive(Debug)]
pub(super) struct Seat {
    board: watch::Sender<Board>,
    place: usize,
}

impl Seat {
    pub(super) fn new(board: watch::Sender<Board>, place: usize) -> Self {
        Self { board, place }
    }

    /// Writes `state` and returns what was there before; readers wake only if it is something else.
    pub(super) fn set(&self, state: State) -> State {
        let mut before = state.clone();
        self.board.send_if_modified(|board| match board.seats.get_mut(self.place) {
            Some(seat) if *seat != state => {
                before = std::mem::replace(seat, state);
                true
            }
            _ => false,
        });
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(name: &str) -> Runtime {
        Runtime { name: name.into(), version: "1".into(), api_version: "v1".into(), socket: format!("unix:///{name}") }
    }

    fn working(name: &str) -> State {
        State::Working(runtime(name))
    }

    fn failing(reason: &str) -> State {
        State::Failing(reason.to_owned())
    }

    fn readiness(seats: Vec<State>) -> Result<(), String> {
        Board { seats }.readiness().map_err(|unready| unready.to_string())
    }

    #[test] // KD-12
    fn a_node_without_a_socket_is_unready_with_the_documented_text() {
        assert_eq!(readiness(vec![State::Absent, State::Absent]), Err("not found container runtime sock".to_owned()));
    }

    #[test] // KD-13
    fn when_all_candidates_fail_the_reason_is_that_of_the_last_one() {
        let seats = vec![failing("first"), State::Absent, failing("last"), State::Absent];
        assert_eq!(readiness(seats), Err("last".to_owned()));
    }

    #[test] // KD-13
    fn one_working_candidate_is_enough() {
        for seats in [
            vec![failing("refused"), working("crio")],
            vec![working("containerd"), failing("refused")],
            vec![State::Unknown, working("crio"), State::Absent],
        ] {
            assert_eq!(readiness(seats.clone()), Ok(()), "{seats:?}");
        }
    }

    #[test] // KD-12
    fn no_verdict_is_given_before_every_place_was_looked_at() {
        assert_eq!(Board { seats: vec![failing("refused"), State::Unknown] }.readiness(), Err(Unready::Detecting));
    }

    #[test] // KD-16
    fn working_runtimes_are_given_in_the_order_of_their_places() {
        let board = Board { seats: vec![State::Absent, working("containerd"), failing("x"), working("docker")] };
        assert_eq!(board.working().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["containerd", "docker"]);
    }
}

//! What goes wrong around the controllers, whatever the kind: the leader, its writes, its watches, nodes.

use std::time::Duration;

use super::draw::Draw;
use super::{Answer, Moment, Step};

/// Something that goes wrong.
#[derive(Clone, Copy, Default)]
pub(super) enum Fault {
    #[default]
    KillBefore,
    KillAfter,
    Restart,
    Takeover,
    Conflict,
    TooManyRequests,
    InternalError,
    Timeout,
    Lose,
    Slow,
    Lag,
    Cut,
    Expire,
    NodeLost,
}

/// Crashes and lost answers are the likeliest to show a plan made twice, lag a plan made from old news.
pub(super) const FAULTS: &[(u32, Fault)] = &[
    (10, Fault::KillBefore),
    (14, Fault::KillAfter),
    (5, Fault::Restart),
    (5, Fault::Takeover),
    (8, Fault::Conflict),
    (4, Fault::TooManyRequests),
    (7, Fault::InternalError),
    (5, Fault::Timeout),
    (10, Fault::Lose),
    (8, Fault::Slow),
    (14, Fault::Lag),
    (5, Fault::Cut),
    (6, Fault::Expire),
    (4, Fault::NodeLost),
];

/// Which write from now: the first passes of an edit make a handful.
const WRITES: &[(u32, u32)] = &[(6, 1), (6, 2), (5, 3), (4, 4), (3, 5), (2, 6), (1, 8), (1, 12)];

impl Fault {
    /// As a step, on the watches of one of these resources where it is about watches.
    pub(super) fn step(self, draw: &mut Draw, resources: &[(u32, &'static str)]) -> Step {
        let write = draw.weighted(WRITES);
        let resource = draw.weighted(resources).to_owned();
        let fail = |answer| Step::Fail { write, answer };
        match self {
            Self::KillBefore => Step::Kill { moment: Moment::Before, write },
            Self::KillAfter => Step::Kill { moment: Moment::After, write },
            Self::Restart => Step::Restart,
            Self::Takeover => Step::Takeover,
            Self::Conflict => fail(Answer::Conflict),
            Self::TooManyRequests => fail(Answer::TooManyRequests),
            Self::InternalError => fail(Answer::InternalError),
            Self::Timeout => fail(Answer::Timeout),
            Self::Lose => Step::Lose { write },
            Self::Slow => Step::Slow { write, time: slowness(draw) },
            Self::Lag => Step::Lag { resource, time: lag(draw) },
            Self::Cut => Step::Cut { resource },
            Self::Expire => Step::Expire { resource },
            Self::NodeLost => Step::NodeLost { node: draw.number(1..=4), time: draw.seconds(10..=120) },
        }
    }
}

/// Mostly within the patience of a client, sometimes beyond it.
fn slowness(draw: &mut Draw) -> Duration {
    if draw.percent(30) { Duration::from_millis(u64::from(draw.number(2..=9)) * 100) } else { draw.seconds(1..=40) }
}

/// Mostly some passes long, sometimes as long as a rollout.
fn lag(draw: &mut Draw) -> Duration {
    if draw.percent(60) { draw.seconds(1..=12) } else { draw.seconds(15..=90) }
}

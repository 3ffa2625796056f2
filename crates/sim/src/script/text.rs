//! The text form of histories: one step a line, as the variants of [`Step`] show it.
//!
//! What is printed parses to the same history, as long as times are whole milliseconds. Empty lines and lines that
//! begin with `#` are skipped. JSON is the rest of its line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::words::{Malformed, Result, Words};
use super::{Answer, History, Moment, PodAction, Propagation, Step, Target};

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { target, object } => write!(f, "create {target} {object}"),
            Self::Set { target, patch } => write!(f, "set {target} {patch}"),
            Self::Scale { target, replicas } => write!(f, "scale {target} {replicas}"),
            Self::Delete { target, propagation } => match propagation {
                Propagation::Background => write!(f, "delete {target}"),
                Propagation::Foreground => write!(f, "delete {target} foreground"),
                Propagation::Orphan => write!(f, "delete {target} orphan"),
            },
            Self::Pod { target, number, action } => write!(f, "pod {target} {number} {action}"),
            Self::NodeLost { node, time } => write!(f, "node {node} lost {}", Time(*time)),
            Self::Kill { moment: Moment::Before, write } => write!(f, "kill before {write}"),
            Self::Kill { moment: Moment::After, write } => write!(f, "kill after {write}"),
            Self::Fail { write, answer } => write!(f, "fail {write} with {answer}"),
            Self::Lose { write } => write!(f, "lose {write}"),
            Self::Slow { write, time } => write!(f, "slow {write} {}", Time(*time)),
            Self::Lag { resource, time } => write!(f, "lag {resource} {}", Time(*time)),
            Self::Cut { resource } => write!(f, "cut {resource}"),
            Self::Expire { resource } => write!(f, "expire {resource}"),
            Self::Takeover => write!(f, "takeover"),
            Self::Outage { time } => write!(f, "outage {}", Time(*time)),
            Self::Restart => write!(f, "restart"),
            Self::Wait { time } => write!(f, "wait {}", Time(*time)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl fmt::Display for PodAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delete => write!(f, "delete"),
            Self::Set(patch) => write!(f, "set {patch}"),
            Self::Crash(time) => write!(f, "crash {}", Time(*time)),
            Self::Unready(time) => write!(f, "unready {}", Time(*time)),
            Self::Evict => write!(f, "evict"),
            Self::Fail => write!(f, "fail"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conflict => "409",
            Self::TooManyRequests => "429",
            Self::InternalError => "500",
            Self::Timeout => "timeout",
        })
    }
}

/// A time in whole seconds, or else in milliseconds.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() {
            0 => write!(f, "{}s", self.0.as_secs()),
            _ => write!(f, "{}ms", self.0.as_millis()),
        }
    }
}

impl FromStr for History {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self> {
        let mut lines =
            text.lines().enumerate().map(|(index, line)| Words::new(index + 1, line)).filter(Words::is_step);
        let mut first = lines.next().unwrap_or_else(|| Words::new(1, ""));
        first.word(&["seed"])?;
        let seed = first.parsed("a number")?;
        first.end()?;
        let steps = lines.map(step).collect::<Result<_>>()?;
        Ok(Self { seed, steps })
    }
}

impl FromStr for Step {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self> {
        step(Words::new(1, text))
    }
}

const FIRST_WORDS: [&str; 17] = [
    "create", "set", "scale", "delete", "pod", "node", "kill", "fail", "lose", "slow", "lag", "cut", "expire",
    "takeover", "outage", "restart", "wait",
];

fn step(mut words: Words<'_>) -> Result<Step> {
    let step = match words.word(&FIRST_WORDS)? {
        "create" => Step::Create { target: words.target()?, object: words.json()? },
        "set" => Step::Set { target: words.target()?, patch: words.json()? },
        "scale" => Step::Scale { target: words.target()?, replicas: words.parsed("a number of replicas")? },
        "delete" => Step::Delete { target: words.target()?, propagation: propagation(&mut words)? },
        "pod" => Step::Pod { target: words.target()?, number: words.ordinal()?, action: action(&mut words)? },
        "node" => {
            let node = words.ordinal()?;
            words.word(&["lost"])?;
            Step::NodeLost { node, time: words.time()? }
        }
        "kill" => match words.word(&["before", "after"])? {
            "before" => Step::Kill { moment: Moment::Before, write: words.ordinal()? },
            _ => Step::Kill { moment: Moment::After, write: words.ordinal()? },
        },
        "fail" => {
            let write = words.ordinal()?;
            words.word(&["with"])?;
            Step::Fail { write, answer: answer(&mut words)? }
        }
        "lose" => Step::Lose { write: words.ordinal()? },
        "slow" => Step::Slow { write: words.ordinal()?, time: words.time()? },
        "lag" => Step::Lag { resource: words.name("a resource")?, time: words.time()? },
        "cut" => Step::Cut { resource: words.name("a resource")? },
        "expire" => Step::Expire { resource: words.name("a resource")? },
        "takeover" => Step::Takeover,
        "outage" => Step::Outage { time: words.time()? },
        "restart" => Step::Restart,
        _ => Step::Wait { time: words.time()? },
    };
    words.end()?;
    Ok(step)
}

fn propagation(words: &mut Words<'_>) -> Result<Propagation> {
    if words.is_at_end() {
        return Ok(Propagation::Background);
    }
    Ok(match words.word(&["foreground", "orphan"])? {
        "foreground" => Propagation::Foreground,
        _ => Propagation::Orphan,
    })
}

fn action(words: &mut Words<'_>) -> Result<PodAction> {
    Ok(match words.word(&["delete", "set", "crash", "unready", "evict", "fail"])? {
        "delete" => PodAction::Delete,
        "set" => PodAction::Set(words.json()?),
        "crash" => PodAction::Crash(words.time()?),
        "unready" => PodAction::Unready(words.time()?),
        "evict" => PodAction::Evict,
        _ => PodAction::Fail,
    })
}

fn answer(words: &mut Words<'_>) -> Result<Answer> {
    Ok(match words.word(&["409", "429", "500", "timeout"])? {
        "409" => Answer::Conflict,
        "429" => Answer::TooManyRequests,
        "500" => Answer::InternalError,
        _ => Answer::Timeout,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times() -> impl Strategy<Value = Duration> {
        prop_oneof![(0..1_000_000u64).prop_map(Duration::from_secs), (0..1_000_000u64).prop_map(Duration::from_millis)]
    }

    fn targets() -> impl Strategy<Value = Target> {
        ("[A-Z][A-Za-z]{1,9}", "[a-z][a-z0-9.-]{0,9}").prop_map(|(kind, name)| Target { kind, name })
    }

    /// Any JSON but fractions, which are no part of what is tested.
    fn objects() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn actions() -> impl Strategy<Value = PodAction> {
        prop_oneof![
            Just(PodAction::Delete),
            objects().prop_map(PodAction::Set),
            times().prop_map(PodAction::Crash),
            times().prop_map(PodAction::Unready),
            Just(PodAction::Evict),
            Just(PodAction::Fail),
        ]
    }

    fn steps() -> impl Strategy<Value = Step> {
        use prop::sample::select;
        let propagations = select(vec![Propagation::Background, Propagation::Foreground, Propagation::Orphan]);
        let answers = select(vec![Answer::Conflict, Answer::TooManyRequests, Answer::InternalError, Answer::Timeout]);
        let resources = "[a-z]{1,9}(\\.[a-z]{1,5}){0,2}";
        prop_oneof![
            (targets(), objects()).prop_map(|(target, object)| Step::Create { target, object }),
            (targets(), objects()).prop_map(|(target, patch)| Step::Set { target, patch }),
            (targets(), any::<u32>()).prop_map(|(target, replicas)| Step::Scale { target, replicas }),
            (targets(), propagations).prop_map(|(target, propagation)| Step::Delete { target, propagation }),
            (targets(), 1..=u32::MAX, actions()).prop_map(|(target, number, action)| Step::Pod {
                target,
                number,
                action
            }),
            (1..9u32, times()).prop_map(|(node, time)| Step::NodeLost { node, time }),
            (select(vec![Moment::Before, Moment::After]), 1..99u32)
                .prop_map(|(moment, write)| Step::Kill { moment, write }),
            (1..99u32, answers).prop_map(|(write, answer)| Step::Fail { write, answer }),
            (1..99u32).prop_map(|write| Step::Lose { write }),
            (1..99u32, times()).prop_map(|(write, time)| Step::Slow { write, time }),
            (resources, times()).prop_map(|(resource, time)| Step::Lag { resource, time }),
            resources.prop_map(|resource| Step::Cut { resource }),
            resources.prop_map(|resource| Step::Expire { resource }),
            select(vec![Step::Takeover, Step::Restart]),
            times().prop_map(|time| Step::Outage { time }),
            times().prop_map(|time| Step::Wait { time }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_history(seed: u64, steps in prop::collection::vec(steps(), 0..12)) {
            let history = History { seed, steps };
            prop_assert_eq!(history.to_string().parse(), Ok(history));
        }
    }

    #[test]
    fn comments_and_empty_lines_are_skipped() {
        let history: History = "# why\n\nseed 3\n  # then\n  wait 1500ms  \n\ntakeover\n".parse().unwrap();
        assert_eq!(history.to_string(), "seed 3\nwait 1500ms\ntakeover\n");
    }

    #[test]
    fn an_error_names_the_line_the_word_and_what_is_expected() {
        for (text, want) in [
            ("wait 3s", "line 1, word 1 (`wait`): seed expected"),
            ("", "line 1, word 1 (``): seed expected"),
            ("seed x", "line 1, word 2 (`x`): a number expected"),
            ("seed 1\n\nwait 3", "line 3, word 2 (`3`): a time such as 90s or 1500ms expected"),
            ("seed 1\nkill at 3", "line 2, word 2 (`at`): before or after expected"),
            ("seed 1\nlose 0", "line 2, word 2 (`0`): a number from 1 expected"),
            ("seed 1\nfail 2 with 404", "line 2, word 4 (`404`): 409 or 429 or 500 or timeout expected"),
            ("seed 1\nrestart now", "line 2, word 2 (`now`): the end of the line expected"),
            ("seed 1\nscale CloneSet web", "line 2, word 4 (``): a number of replicas expected"),
        ] {
            assert_eq!(text.parse::<History>().unwrap_err().to_string(), want, "{text}");
        }
        let error = "seed 1\nset CloneSet web {\"spec\":".parse::<History>().unwrap_err().to_string();
        assert!(error.starts_with("line 2, word 4 (`{\"spec\":`): JSON (EOF"), "{error}");
    }
}

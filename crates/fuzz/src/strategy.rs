//! The generators as a strategy of proptest: an input is a tape of choices, and shrinks by shortening it.

use proptest::prelude::Rng;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::generate::{Generator, Target};
use crate::input::Input;
use crate::source::Source;

/// Inputs for a target.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// What makes them.
    pub generator: &'a Generator,
    /// For what.
    pub target: Target,
}

/// An input and what it may shrink to.
#[derive(Debug)]
pub struct Tape<'a> {
    generator: &'a Generator,
    target: Target,
    /// The shortest known to fail.
    best: Vec<u16>,
    /// What is looked at now.
    tried: Vec<u16>,
    pass: Pass,
    /// Length of the stretch that is changed, and its end in `best`.
    size: usize,
    end: usize,
    shrunk: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Delete,
    Zero,
    Halve,
    Lower,
    Done,
}

impl<'a> Strategy for Inputs<'a> {
    type Tree = Tape<'a>;
    type Value = Input;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let Self { generator, target } = *self;
        let mut source = Source::chance(runner.rng().next_u64());
        generator.input(target, &mut source);
        let best = source.tape();
        Ok(Tape { generator, target, tried: best.clone(), best, pass: Pass::Delete, size: 0, end: 0, shrunk: false })
    }
}

impl ValueTree for Tape<'_> {
    type Value = Input;

    fn current(&self) -> Input {
        self.generator.input(self.target, &mut Source::replay(&self.tried))
    }

    fn simplify(&mut self) -> bool {
        let mut source = Source::replay(&self.tried);
        self.generator.input(self.target, &mut source);
        let used = source.tape();
        if self.size == 0 {
            self.start(Pass::Delete);
        } else {
            self.shrunk |= used != self.best;
        }
        self.best = used;
        self.advance()
    }

    fn complicate(&mut self) -> bool {
        // Cutting from the back: where nothing came of a stretch, the one before it is next.
        self.end = self.end.saturating_sub(self.size);
        self.advance()
    }
}

impl Tape<'_> {
    fn start(&mut self, pass: Pass) {
        self.pass = pass;
        self.end = self.best.len();
        self.size = match pass {
            Pass::Delete | Pass::Zero => self.best.len().next_power_of_two().max(2) / 2,
            Pass::Halve | Pass::Lower | Pass::Done => 1,
        };
    }

    /// Puts the next candidate into `tried`; false where there is none.
    fn advance(&mut self) -> bool {
        loop {
            self.end = self.end.min(self.best.len());
            if self.end == 0 {
                if self.size > 1 {
                    self.size /= 2;
                    self.end = self.best.len();
                } else {
                    let next = match self.pass {
                        Pass::Delete => Pass::Zero,
                        Pass::Zero => Pass::Halve,
                        Pass::Halve => Pass::Lower,
                        Pass::Lower if std::mem::take(&mut self.shrunk) => Pass::Delete,
                        Pass::Lower | Pass::Done => Pass::Done,
                    };
                    self.start(next);
                }
                if self.pass == Pass::Done || self.best.is_empty() {
                    self.tried = self.best.clone();
                    return false;
                }
            }
            let from = self.end.saturating_sub(self.size);
            let mut tried = self.best.clone();
            match self.pass {
                Pass::Delete => drop(tried.drain(from..self.end)),
                Pass::Zero => tried.iter_mut().take(self.end).skip(from).for_each(|choice| *choice = 0),
                Pass::Halve => tried.iter_mut().take(self.end).skip(from).for_each(|choice| *choice /= 2),
                Pass::Lower => tried.iter_mut().take(self.end).skip(from).for_each(|c| *c = c.saturating_sub(1)),
                Pass::Done => {}
            }
            if tried != self.best {
                self.tried = tried;
                return true;
            }
            self.end = from;
        }
    }
}

//! The product on real nodes: installed once by its chart, then one scenario per file.

#![allow(clippy::indexing_slicing, reason = "an answer of another form is a failure of the test")]

mod admission;
mod certificates;
mod inplace;
mod install;
mod kit;
mod refusal;
mod restart;
mod rights;
mod scaling;
mod update;

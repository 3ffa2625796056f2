//! The product on real nodes: installed once by its chart, then one scenario per file.

mod inplace;
mod install;
mod kit;
mod refusal;
mod restart;
mod rights;
mod scaling;
mod update;

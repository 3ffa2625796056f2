//! Fuzzing of admission and conversion: odd requests into the real handlers, and what must hold for every answer.
//!
//! `generate` makes inputs from a tape of choices (`source`), `strategy` hands them to proptest, which shortens those
//! that fail; `product` is the only part that calls the webhook, `oracle` judges its answers without a line of its
//! code, `json` reads and writes for both. `campaign` runs many.

pub mod campaign;
pub mod generate;
pub mod input;
pub mod json;
pub mod oracle;
pub mod product;
pub mod source;
pub mod strategy;

//! Webhook processes and the definitions in front of a real kube-apiserver, without nodes.

#![allow(clippy::indexing_slicing, reason = "an answer of another form is a failure of the test")]

mod certificates;
mod external;
mod fleet;
mod kinds;
mod stream;

//! What the chart renders, held against the installation page. No cluster: Helm alone, and kube-apiserver where only it
//! can say whether something is stored as it was meant.

#![allow(clippy::indexing_slicing, reason = "a manifest of another form is a failure of the test")]

mod entries;
mod manifests;
mod outage;
mod refusals;
mod rendered;
mod stored;

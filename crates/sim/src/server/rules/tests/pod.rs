//! Tests of `pod`.

//! When a failed key may be tried again: the later of its own exponential back-off and a token bucket that all keys
//! share (PL-31).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::informer::ObjectKey;

/// Numbers of a limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Pause after the first failure.
    pub base_delay: Duration,
    /// Longest pause of one key.
    pub max_delay: Duration,
    /// Retries per second of all keys; 0 sets no limit.
    pub qps: u32,
    /// Retries that may exceed the rate at once.
    pub bucket: u32,
}

impl Default for RateLimit {
    /// The fixed numbers of controllers without flags of their own (PL-22).
    fn default() -> Self {
        Self { base_delay: Duration::from_millis(5), max_delay: Duration::from_secs(1_000), qps: 10, bucket: 100 }
    }
}

/// Failures of each key, and the bucket.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: RateLimit,
    failures: HashMap<ObjectKey, u32>,
    bucket: Option<Bucket>,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, failures: HashMap::new(), bucket: Bucket::new(limit.qps, limit.bucket) }
    }

    /// Counts a failure and says how long to wait.
    pub(super) fn delay(&mut self, key: &ObjectKey, now: Instant) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        let factor = 1_u32.checked_shl(*failures).unwrap_or(u32::MAX);
        *failures = failures.saturating_add(1);
        let own = self.limit.base_delay.saturating_mul(factor).min(self.limit.max_delay);
        own.max(self.bucket.as_mut().map_or(Duration::ZERO, |bucket| bucket.take(now)))
    }

    pub(super) fn forget(&mut self, key: &ObjectKey) {
        self.failures.remove(key);
    }

    pub(super) fn failures(&self, key: &ObjectKey) -> u32 {
        self.failures.get(key).copied().unwrap_or_default()
    }
}

/// A token bucket that lends: whoever takes a token that is not there yet is told when it will be.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_token: Duration,
    burst: Duration,
    /// When the bucket was, or will be, empty.
    empty_at: Option<Instant>,
}

impl Bucket {
    /// A full bucket; `None` where there is no limit.
    pub(crate) fn new(qps: u32, burst: u32) -> Option<Self> {
        let per_token = Duration::from_secs(1).checked_div(qps)?;
        Some(Self { per_token, burst: per_token.saturating_mul(burst.max(1)), empty_at: None })
    }

    /// Takes one token and says how long to wait for it.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        // Full since `burst` ago at most: what came in before has spilt over.
        let full = now.checked_sub(self.burst).unwrap_or(now);
        let empty_at = self.empty_at.map_or(full, |at| at.max(full)) + self.per_token;
        self.empty_at = Some(empty_at);
        empty_at.saturating_duration_since(now)
    }
}

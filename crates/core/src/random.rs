//! Randomness as a parameter.
//!
//! Ids, keys and nonces are drawn from a [`Randomness`] that is handed in, so
//! that tests can fix it. The machine's generator is in
//! `quaymaster-control::crypto`, beside the cryptography that it serves.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where random bytes come from.
pub trait Randomness: Send + Sync + fmt::Debug {
    /// Fills `bytes` with random ones.
    fn fill(&self, bytes: &mut [u8]);
}

/// Bytes that are the same in every run, for tests. Never for keys.
#[derive(Debug, Default)]
pub struct CountingRandomness(AtomicU64);

impl Randomness for CountingRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        let n = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (at, byte) in bytes.iter_mut().rev().enumerate() {
            *byte = n.iter().rev().nth(at).copied().unwrap_or(0);
        }
    }
}

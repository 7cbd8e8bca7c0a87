//! How many requests never became a call, by code.

use std::sync::atomic::{AtomicU64, Ordering};

use quaymaster_core::ErrorCode;

/// A count for each code; shared by all listeners of a process.
#[derive(Debug)]
pub struct RefusalCounters([AtomicU64; ErrorCode::ALL.len()]);

impl RefusalCounters {
    /// Counts one refusal with `code`.
    pub fn add(&self, code: ErrorCode) {
        if let Some(count) = self.0.get(code as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every code with its count, in the order of the table of codes.
    pub fn counts(&self) -> impl Iterator<Item = (ErrorCode, u64)> + '_ {
        ErrorCode::ALL.iter().copied().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

impl Default for RefusalCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_count_of_its_own() {
        let counters = RefusalCounters::default();
        for code in ErrorCode::ALL {
            counters.add(*code);
        }
        counters.add(ErrorCode::GatewayInternal);
        let twice: Vec<_> = counters.counts().filter(|(_, n)| *n != 1).collect();
        assert_eq!(twice, [(ErrorCode::GatewayInternal, 2)]);
    }
}

//! Whole numbers between Rust, where they have no sign, and SQL, where they do.
//!
//! Sizes, sequence numbers and microseconds stay far below the limit, so both
//! directions saturate instead of failing.

/// `number` for a column.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `number` from a column, which never holds a negative one.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

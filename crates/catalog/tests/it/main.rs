//! The catalogue as the gateway uses it.

#![expect(
    clippy::expect_used,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod large;
mod routes;
mod search;

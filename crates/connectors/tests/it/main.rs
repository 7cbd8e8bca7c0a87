//! What this crate gives others to reach the world with.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod secrets;
#[path = "../../../../tests/vault/stand_in.rs"]
mod stand_in;

//! The control layer on a real store: stages, release, audit and identity.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod approvals;
mod audit;
mod identity;
mod incidents;
mod ledger;
mod limits;
mod release;
mod shapes;
mod stages;
mod world;

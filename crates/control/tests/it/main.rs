//! The control layer on a real store: stages, release, audit and identity.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod approvals;
mod audit;
mod classification;
mod database;
mod demands;
mod erasure;
mod flow;
mod identity;
mod incidents;
mod ledger;
mod letters;
mod limits;
mod log;
mod look_up;
mod redaction;
mod release;
mod search;
mod shapes;
mod smuggling;
mod stages;
mod world;

//! The binary as its users have it: started, called over the wire, killed, audited.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod approvals;
mod audit;
mod classify;
mod clients;
mod commands;
mod configuration;
mod connect;
mod crash;
mod credentials;
mod documentation;
mod gateway;
mod hostile;
mod incidents;
mod policy;
mod redact;
mod routes;
mod search;
mod signals;
mod tour;
mod upstreams;

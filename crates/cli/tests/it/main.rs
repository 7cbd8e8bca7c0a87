//! The binary as its users have it: started, called over the wire, killed, audited.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod approvals;
mod audit;
mod canary;
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
mod keyring;
mod policy;
mod redact;
mod routes;
mod search;
mod signals;
#[path = "../../../../tests/vault/stand_in.rs"]
mod stand_in;
mod tour;
mod upstreams;

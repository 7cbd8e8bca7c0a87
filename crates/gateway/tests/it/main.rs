//! The gateway as others see it.

#![expect(
    clippy::expect_used,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod corpus;
mod identity;
mod installation;
mod large_catalogue;
mod resources;
mod routes;
mod sealing;
mod tenants;
mod upstreams;
mod workspaces;

//! The gateway as others see it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod announced;
mod console;
mod corpus;
mod harbour_office;
mod identity;
mod installation;
mod integrity;
mod large_catalogue;
mod letters;
mod metrics;
mod resources;
mod routes;
mod sealing;
mod tenants;
mod upstreams;
mod workspaces;

//! The gateway as others see it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod announced;
mod console;
mod corpus;
mod flow;
mod harbour_office;
mod identity;
mod installation;
mod integrity;
mod large_catalogue;
mod letters;
mod metrics;
mod parked;
mod readers;
mod resources;
mod routes;
mod same_work;
mod sealing;
mod session_tasks;
mod sinks;
mod tenants;
mod upstreams;
mod workspaces;

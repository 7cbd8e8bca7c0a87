//! How systems are reached: SQL databases and MCP servers.
//!
//! [`Connectors::invoke`] is the one place where a permit is redeemed and a
//! system is asked to do something; nothing else in this crate that reaches a
//! tool is public. What came back leaves as a `RawOutput`, which only release in
//! `quaymaster-control` can open. Outbound connections are made in `egress`.

mod ask;
mod egress;
mod invoke;
pub mod mcp;
pub mod problem;
pub mod sql;
mod web;

pub use egress::post;
pub use invoke::{Connector, Connectors, Wire};
pub use web::IssuerWeb;

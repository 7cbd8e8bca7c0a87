//! How the gateway is observed and run.
//!
//! Structured logs, metrics, the [`console`] and the messages ([`notify`]) that people get. Traces,
//! health reports and the admin API come on the same crate. Nothing here can reach a system behind
//! a tool but through `quaymaster_core::CallTool`.

pub mod console;
pub mod evidence;
pub mod links;
pub mod logs;
pub mod metrics;
pub mod notify;

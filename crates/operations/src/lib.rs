//! How the gateway is observed and run.
//!
//! Structured logs and metrics. Traces, health reports, the admin API and the
//! console come on the same crate. Nothing here can reach a system behind a
//! tool but through `quaymaster_core::CallTool`.

pub mod logs;
pub mod metrics;

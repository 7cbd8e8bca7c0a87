//! How the gateway is observed and run.
//!
//! First cut: structured logs. Metrics, traces, health reports, the admin API and
//! the console come on the same crate. Nothing here can reach a system behind a
//! tool but through `quaymaster_core::CallTool`.

pub mod logs;

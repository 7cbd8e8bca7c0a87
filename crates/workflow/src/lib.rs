//! Multi-step work that survives: definitions, interpreter, drivers.
//!
//! Empty so far. Workflows will be compiled to an explicit state machine, run by
//! a pure interpreter, and call tools only through [`CallTool`], so that every
//! step takes the same path as a client's call.

pub use quaymaster_core::CallTool;

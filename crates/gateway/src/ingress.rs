//! The way in: MCP over Streamable HTTP and over stdio, in both eras.
//!
//! Ingress owns what a client sees of the protocol: framing, era detection,
//! headers, sessions, cancellation, progress and the form of every answer. It
//! decides nothing about a call: who asks, what they may see and what happens is
//! behind the [`Door`], which is the only thing that this module knows of the
//! rest of the gateway.
//!
//! Invariants:
//! - A message that is not clearly one thing is refused; nothing falls through.
//! - What never became a call is told to [`Door::refused`], counted by a stable
//!   code, and answered with what would be right.
//! - A call that was begun is driven to its end, whatever its client does.
//! - Every body, line, table, queue and wait has a bound.

mod addressee;
mod allowance;
mod answer;
mod batch;
mod call;
mod changes;
mod claims;
mod content;
mod counters;
mod door;
pub mod era;
mod front;
mod gaps;
pub mod http;
mod inflight;
mod lasting;
mod modern;
mod occupancy;
mod pages;
mod params;
mod progress;
mod question;
mod refusal;
mod revision;
mod running;
mod session;
pub mod stdio;
mod subscription;
mod suspended;
mod task;
mod watches;

#[cfg(test)]
mod tests;

pub use counters::RefusalCounters;
pub use door::{Announced, Arrival, Door, Page, Protection, RequestRefusal, Shelf, Wire};
pub use front::ServerIdentity;
pub use gaps::{Gaps, STOPPED};
pub use occupancy::Occupancy;
pub use refusal::Refusal;
pub use revision::Revision;

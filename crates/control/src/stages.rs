//! The stages of the path of a call that decide and record.
//!
//! `Call → Authorized → Approved → Permit → (RawOutput, Receipt) → SafeOutput`.
//! The order is in `gateway/src/call.rs`; here is what each stage does. A stage
//! takes the value before it and gives the next; the values have private fields
//! and are made nowhere else.

mod approve;
mod authorize;
mod close;
mod facts;
mod glance;
mod input;
mod permit;
mod release;
mod rulebook;
mod voice;

pub use approve::{Approved, approve};
pub use authorize::{Authorized, authorize};
pub use close::{Ended, Evidence, RequestRefusal, close, close_request};
pub use facts::Refused;
pub use glance::may_read;
pub use input::{DecisionInput, authentication};
pub use permit::{Job, Permit, Receipt, record};
pub use release::release;
pub use rulebook::Rulebook;
pub use voice::{Voice, voice};

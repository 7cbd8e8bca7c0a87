//! The stages of the path of a call that decide and record.
//!
//! `Call → Authorized → Approved → Reserved → Permit → (RawOutput, Receipt) → SafeOutput`.
//! The order is in `gateway/src/call.rs`; here is what each stage does. A stage
//! takes the value before it and gives the next; the values have private fields
//! and are made nowhere else.

mod approve;
mod authorize;
mod close;
mod facts;
mod given;
mod glance;
mod guards;
mod input;
mod label;
mod permit;
mod release;
mod reserve;
mod rulebook;
mod voice;
mod watch;

pub use approve::{Approved, approve, approve_unasked};
pub use authorize::{Authorized, authorize};
pub(crate) use close::actor_part;
pub use close::{Ended, Evidence, RequestRefusal, close, close_request};
pub(crate) use facts::Facts;
pub use facts::{Refused, Waited};
pub use glance::may_read;
pub use guards::Guards;
pub use input::{DecisionInput, authentication};
pub use label::{Ran, hand_out, label, label_again};
pub use permit::{Job, Permit, Receipt, record};
pub use release::release;
pub use reserve::{Reserved, reserve};
pub use rulebook::Rulebook;
pub use voice::{Listening, Voice, voice};
pub use watch::{close_refused_watch, close_watch, watchable};

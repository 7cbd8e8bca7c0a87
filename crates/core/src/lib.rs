//! The vocabulary of Quaymaster.
//!
//! Everything the other crates talk about is named here once: tools and calls,
//! actors and workspaces, effects and data classes, errors and results, ids,
//! time and randomness, the JSON-RPC envelope, and the settings that every
//! configuration file shares. There is no I/O and no async runtime here, and
//! nothing that decides: policy lives in `quaymaster-control`.

pub mod actor;
pub mod approval;
pub mod arguments;
pub mod briefing;
pub mod class;
pub mod clock;
pub mod connector;
pub mod error;
pub mod flow;
pub mod folded;
pub mod id;
pub mod input;
pub mod json;
pub mod limit;
pub mod local_time;
pub mod memory;
pub mod meta;
pub mod mirror;
pub mod name;
pub mod offer;
pub mod ports;
pub mod random;
pub mod raw;
pub mod reach;
pub mod request;
pub mod result;
pub mod rpc;
pub mod secret;
pub mod setting;
pub mod suggest;
pub mod task;
pub mod text;
pub mod tool;

pub use actor::{Actor, ActorId, AgentClaims, Authentication, Role, Workspace};
pub use approval::{Escalation, Gate};
pub use arguments::Arguments;
pub use briefing::{Briefing, Risk, RiskLevel};
pub use class::{Classification, DataClass, FieldRule, Handling};
pub use clock::{Clock, SystemClock, Timestamp};
pub use error::{CallError, ErrorCode, Fault, Retry};
pub use flow::{Destination, Trust};
pub use folded::FoldedName;
pub use id::{
    ApprovalId, CallId, ClearingId, ConfigVersion, EntryId, IncidentId, SessionId, TokenId, WriterId,
};
pub use input::{InputAbilities, InputMethod, InputPort, InputRequest, NoInput};
pub use limit::{Allowance, Limit, LimitScope, Measure, Period};
pub use local_time::{LocalTime, Zone};
pub use memory::{Memory, PerActor};
pub use name::ToolName;
pub use offer::{Completed, Kind, Offer, Resources, UriPattern};
pub use ports::{CallTool, LogLevel, LogSink, Progress, ProgressSink};
pub use random::Randomness;
pub use raw::{Parted, PartedBuf, Raw, RawBuf};
pub use reach::{Caller, Reach};
pub use request::CallRequest;
pub use result::{Keeping, Reply, Status};
pub use secret::{
    CallerToken, CallerTokens, FixedSecret, Found, LiveSecret, Renewal, SecretError, SecretRef, SecretSource,
    SecretValue,
};
pub use task::{TaskPort, TaskTerms, Tasks};
pub use tool::{Effect, ToolDeclaration};

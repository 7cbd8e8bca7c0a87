//! The data plane: MCP on both sides around the path of one call.
//!
//! [`Gateway`] is a running one: [`ingress`] brings requests, `call.rs` is their
//! path, [`plane`] is what they are governed by, [`config`] is where that comes
//! from. [`Office`] is for those who administer an installation and call nothing.

mod admission;
mod approvals;
mod assembly;
mod backtest;
mod call;
mod check;
pub mod config;
mod console;
mod door;
mod fair;
mod finder;
mod gateway;
mod incidents;
pub mod ingress;
mod integrity;
mod letters;
mod metrics;
mod office;
mod parked;
pub mod people;
mod plane;
mod readers;
mod reload;
mod retention;
mod retire;
mod rules;
mod serve;
mod sinks;
mod state;
mod upstreams;
mod watch;

pub use backtest::{Backtest, Difference, NotReplayable, backtest};
pub use check::{check, check_connected};
pub use gateway::Gateway;
pub use incidents::standing_switches;
pub use integrity::{Accept, AcceptError, Basis, Looked, Standing, Written, accept, look_at_tools};
pub use office::{Credential, Office, OfficeError, Records, SignedIn};
pub use rules::{Answer, Question, Rules, outcome};
pub use state::{StartError, StartOptions};
pub use upstreams::{MISSING_UPSTREAMS, MissingUpstream, QuarantinedTool, UpstreamReport, look_at_upstreams};

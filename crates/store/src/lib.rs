//! All SQL of Quaymaster's own state, in SQLite and PostgreSQL.
//!
//! [`Store`] is one handle over two dialects: a file in the data folder, or a
//! server where there is more than one replica. It keeps rows and says nothing
//! of what they mean: hashes, canonical JSON and sealing are the audit's and the
//! identity's business in `quaymaster-control`. Connectors to companies'
//! databases are in `quaymaster-connectors` and share nothing with it.
//!
//! Invariants:
//! - What a method reports as written is on disk.
//! - The audit grows without a gap, and a batch is there whole or not at all; what was pruned is its oldest part.
//! - Several processes may open one store at once.
//! - Every wait, page and batch has a bound.
//! - No error shows a connection string or stored data.
//!
//! Statements that mean the same in both dialects are written once, with
//! parameters `$1`, `$2`, … SQLite takes those for names and numbers them as they
//! come, so a statement must use them in ascending order.

mod account;
mod approval;
mod approval_list;
mod audit;
mod cell;
mod code;
mod config;
mod contract;
mod delegation;
mod error;
mod incident;
mod label;
mod ledger;
mod letter;
mod limit;
mod number;
mod postgres;
pub mod postgres_link;
mod schema;
mod sqlite;
mod store;
mod subject;
mod token;
mod vault;

pub use account::{AccountRow, MAX_ACCOUNTS, MAX_TOKEN_ACCOUNTS, TokenAccount};
pub use approval::{ApprovalKey, ApprovalRow, VoteRow};
pub use approval_list::{ApprovalPlace, ApprovalsWanted, MAX_APPROVALS};
pub use audit::{
    AppendError, AuditFilter, CheckpointRow, MAX_APPEND, MAX_PAGE, MAX_TILES, NewRecord, StoredColumns,
    StoredRecord, TileRow, TreeState, searchable,
};
pub use code::CodeRow;
pub use config::{PoolConfig, StoreConfig, StoreConfigError, StoreEngine, StoreTarget};
pub use contract::{MAX_SEEN_CONTRACTS, SeenContractRow};
pub use delegation::{DelegationRow, MAX_DELEGATIONS};
pub use error::{StoreError, StoreFault};
pub use incident::{IncidentRow, MAX_INCIDENTS};
pub use label::{ClearedRow, LabelRow, MAX_LABELS};
pub use ledger::{LedgerRow, MAX_LEDGER};
pub use letter::{LetterRow, NewsEvent};
pub use store::Store;
pub use token::{MAX_TOKENS, TokenRow};
pub use vault::{CallerTokenKey, CallerTokenRow, MAX_CALLER_TOKENS};

//! The commands, one file each.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod classify;
pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod console;
pub(crate) mod credentials;
pub(crate) mod demo;
pub(crate) mod idempotency;
pub(crate) mod import;
pub(crate) mod incident;
pub(crate) mod keys;
pub(crate) mod labels;
pub(crate) mod login;
pub(crate) mod place;
pub(crate) mod policy;
pub(crate) mod redact;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod signals;
pub(crate) mod stdio;
pub(crate) mod token;
pub(crate) mod tools;
pub(crate) mod upstreams;

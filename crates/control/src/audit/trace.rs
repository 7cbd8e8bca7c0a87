//! What became of a call whose process was lost, as far as the log has it.

use quaymaster_core::CallId;
use quaymaster_store::{AuditFilter, Store, StoreError};
use serde_json::Value;

/// Most records of one call that are looked at.
const MOST_RECORDS: u32 = 10;

/// What the log has of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// No intent: it did not run.
    Nothing,
    /// An intent: it may have taken effect.
    Begun,
    /// An outcome.
    Ended {
        /// How it ended.
        status: String,
        /// Why it failed, if it did.
        code: Option<String>,
    },
}

/// Reads what the log of `store` has of `call`.
pub(crate) async fn trace(store: &Store, call: &CallId) -> Result<Trace, StoreError> {
    let filter = AuditFilter { call_id: Some(call.to_string()), ..AuditFilter::default() };
    let mut trace = Trace::Nothing;
    for record in store.audit_find(&filter, MOST_RECORDS).await? {
        let body: Value = serde_json::from_slice(&record.body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        match text("event").as_deref() {
            Some("call.outcome") => {
                return Ok(Trace::Ended { status: text("status").unwrap_or_default(), code: text("code") });
            }
            Some("call.intent") => trace = Trace::Begun,
            _ => {}
        }
    }
    Ok(trace)
}

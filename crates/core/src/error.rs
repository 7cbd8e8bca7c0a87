//! Errors that a caller may see: one table of codes, and what each means.
//!
//! The codes are a contract (`docs/adr/0003-frozen-contracts.md`): they are
//! never renamed or removed without a major version, and additions are minor
//! ones. Where a fault came from and whether a retry makes sense is set where
//! the error is born, and defaults to what the table says. Arguments and results
//! never go into an error's message.

use std::fmt;
use std::time::Duration;

use crate::actor::NeededScopes;
use crate::id::ApprovalId;
use crate::input::InputAbilities;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who has to act for the call to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller sent something that cannot work.
    Caller,
    /// A rule of the company stands against it.
    Policy,
    /// The system behind the tool failed.
    Upstream,
    /// Quaymaster itself failed.
    Gateway,
}

/// Whether calling again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The same call will fail again.
    Never,
    /// The same call may be sent again.
    Safe,
    /// A changed call may succeed.
    AfterChange,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $fault:ident, $retry:ident;)*) => {
        /// What went wrong, as a stable word that programs may depend on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is written on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Who usually has to act.
            pub const fn fault(self) -> Fault {
                match self { $(Self::$name => Fault::$fault,)* }
            }

            /// Whether calling again usually helps.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }
        }
    };
}

codes! {
    /// The request or its arguments do not have the right form.
    InputInvalid = "input.invalid", Caller, AfterChange;
    /// There is no such tool for this caller.
    ToolNotFound = "tool.not_found", Caller, Never;
    /// The tool changed upstream and waits for a person to accept it.
    ToolQuarantined = "tool.quarantined", Policy, Never;
    /// The request carries no credentials.
    AuthMissing = "auth.missing", Caller, AfterChange;
    /// The credentials are unknown, expired, revoked or for another audience.
    AuthInvalid = "auth.invalid", Caller, AfterChange;
    /// The credentials do not cover this operation.
    AuthScope = "auth.scope", Caller, AfterChange;
    /// Policy does not permit this call.
    PolicyDenied = "policy.denied", Policy, AfterChange;
    /// A person has to agree first.
    ApprovalRequired = "approval.required", Policy, AfterChange;
    /// A person said no.
    ApprovalRejected = "approval.rejected", Policy, Never;
    /// Nobody decided in time.
    ApprovalExpired = "approval.expired", Policy, AfterChange;
    /// The request for approval was taken back.
    ApprovalWithdrawn = "approval.withdrawn", Policy, Never;
    /// Too many calls in a short time.
    LimitRate = "limit.rate", Policy, Safe;
    /// Too many calls at once.
    LimitConcurrency = "limit.concurrency", Policy, Safe;
    /// The quota of the period is used up.
    LimitQuota = "limit.quota", Policy, Never;
    /// The budget is used up.
    LimitBudget = "limit.budget", Policy, Never;
    /// An incident switch stops this.
    IncidentStopped = "incident.stopped", Policy, Never;
    /// The idempotency key was used with other arguments.
    IdempotencyConflict = "idempotency.conflict", Caller, AfterChange;
    /// The caller took the call back before it ended.
    CallCancelled = "call.cancelled", Caller, Safe;
    /// The client says that it cannot be asked what the call needs to ask it.
    ClientCapability = "client.capability", Caller, AfterChange;
    /// The database does not understand the query.
    QueryInvalid = "query.invalid", Caller, AfterChange;
    /// The query does something that is not allowed.
    QueryRefused = "query.refused", Policy, AfterChange;
    /// The query would cost more than allowed.
    QueryTooCostly = "query.too_costly", Policy, AfterChange;
    /// A secret that the system behind the tool needs cannot be had now.
    SecretUnavailable = "secret.unavailable", Gateway, Safe;
    /// The system behind the tool wants the user to sign in.
    UpstreamAuthRequired = "upstream.auth_required", Upstream, Never;
    /// The system behind the tool does not let this account do it.
    UpstreamPermission = "upstream.permission", Upstream, Never;
    /// The system behind the tool does not know the thing.
    UpstreamNotFound = "upstream.not_found", Upstream, Never;
    /// The thing changed meanwhile.
    UpstreamConflict = "upstream.conflict", Upstream, AfterChange;
    /// The system behind the tool asks for fewer calls.
    UpstreamRateLimited = "upstream.rate_limited", Upstream, Safe;
    /// The system behind the tool did not answer in time.
    UpstreamTimeout = "upstream.timeout", Upstream, AfterChange;
    /// The system behind the tool cannot be reached.
    UpstreamUnavailable = "upstream.unavailable", Upstream, Safe;
    /// The system behind the tool answered with an error of its own.
    UpstreamError = "upstream.error", Upstream, Never;
    /// It is not known whether the call took effect.
    UpstreamOutcomeUnknown = "upstream.outcome_unknown", Upstream, Never;
    /// The result may not leave, or could not be checked.
    ReleaseRefused = "release.refused", Policy, Never;
    /// The audit log does not take records, so nothing runs.
    AuditUnavailable = "audit.unavailable", Gateway, Safe;
    /// Quaymaster is at a limit of its own.
    GatewayOverloaded = "gateway.overloaded", Gateway, Safe;
    /// Quaymaster is shutting down.
    GatewayShuttingDown = "gateway.shutting_down", Gateway, Safe;
    /// A fault in Quaymaster.
    GatewayInternal = "gateway.internal", Gateway, Never;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is left of the limit that refused a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitLeft {
    /// What the limit is called.
    pub name: String,
    /// How much it lets through, as it is written.
    pub limit: String,
    /// How much of it is left, in what it counts.
    pub left: u64,
}

/// What few errors have beside the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aside {
    /// The request for approval that the call waits for, as the caller is told of it.
    pub approval: Option<Value>,
    /// What is left of the limit that refused the call.
    pub limit: Option<LimitLeft>,
    /// All scopes that this needs, where it is those that lack.
    pub scopes: Option<NeededScopes>,
}

/// Why a call did not succeed, as its caller is told.
#[derive(thiserror::Error)]
#[error("{code}: {public_message}")]
pub struct CallError {
    /// The stable word.
    pub code: ErrorCode,
    /// Who has to act.
    pub fault: Fault,
    /// Whether calling again can help.
    pub retry: Retry,
    /// When to call again, where that is known.
    pub retry_after: Option<Duration>,
    /// One sentence for the caller: lower case, no full stop, no arguments, no results.
    pub public_message: String,
    /// What would be right, where that is known.
    pub hint: Option<Box<str>>,
    /// What the system behind the tool said, cut and without control characters. It
    /// is a result like any other: only release decides whether the caller may have
    /// it, and it is never logged.
    pub upstream_message: Option<Box<str>>,
    /// What the client would have to be able to, where it is that.
    pub required: Option<InputAbilities>,
    /// What else the caller is told.
    pub aside: Option<Box<Aside>>,
    /// The cause, for logs. Never shown to the caller.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl CallError {
    /// An error of `code` with what the table says of its fault and retry.
    pub fn new(code: ErrorCode, public_message: impl Into<String>) -> Self {
        Self {
            code,
            fault: code.fault(),
            retry: code.retry(),
            retry_after: None,
            public_message: public_message.into(),
            hint: None,
            upstream_message: None,
            required: None,
            aside: None,
            source: None,
        }
    }

    /// Adds what would be right.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what the system behind the tool said, for release to judge.
    #[must_use]
    pub fn upstream_message(mut self, text: impl Into<Box<str>>) -> Self {
        self.upstream_message = Some(text.into());
        self
    }

    /// Adds the request for approval that the call waits for.
    #[must_use]
    pub fn waiting_for(mut self, approval: Value) -> Self {
        self.aside.get_or_insert_default().approval = Some(approval);
        self
    }

    /// The request for approval that the call waits for, if it does.
    pub fn waits_for(&self) -> Option<ApprovalId> {
        let approval = self.aside.as_ref()?.approval.as_ref()?;
        approval.get("id")?.as_str()?.parse().ok().filter(|_| self.code == ErrorCode::ApprovalRequired)
    }

    /// Adds what is left of the limit that refused the call.
    #[must_use]
    pub fn limited_by(mut self, limit: LimitLeft) -> Self {
        self.aside.get_or_insert_default().limit = Some(limit);
        self
    }

    /// Adds what the client would have to be able to.
    #[must_use]
    pub fn requiring(mut self, abilities: InputAbilities) -> Self {
        self.required = Some(abilities);
        self
    }

    /// The credentials lack one of the scopes that are needed.
    pub fn lacking(scopes: NeededScopes) -> Self {
        let message =
            format!("the access token does not cover this: it needs the scopes `{}`", scopes.as_str());
        let mut error = Self::new(ErrorCode::AuthScope, message);
        error.aside.get_or_insert_default().scopes = Some(scopes);
        error
    }

    /// Says otherwise than the table whether calling again can help.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Says when calling again can help.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry = Retry::Safe;
        self.retry_after = Some(after);
        self
    }

    /// Adds the cause, for logs.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// Without what the upstream said, which is not for logs.
impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallError")
            .field("code", &self.code)
            .field("retry", &self.retry)
            .field("public_message", &self.public_message)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_codes_is_frozen() {
        let table: Vec<String> =
            ErrorCode::ALL.iter().map(|c| format!("{c} {:?} {:?}", c.fault(), c.retry())).collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn a_code_is_serialized_as_its_word() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).ok(), Some(code.as_str().into()));
        }
    }
}

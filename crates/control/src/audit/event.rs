//! What the audit records: the words of the member `event`, which are only ever added to.

use serde::Serialize;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Event {
    /// A call is about to run.
    #[serde(rename = "call.intent")]
    CallIntent,
    /// A call that was permitted has ended, however it ended.
    #[serde(rename = "call.outcome")]
    CallOutcome,
    /// A write was made before, and its first receipt is handed out.
    #[serde(rename = "call.repeated")]
    CallRepeated,
    /// A call was refused before it could run.
    #[serde(rename = "call.refused")]
    CallRefused,
    /// A request never became a call: malformed, unknown, or without valid credentials.
    #[serde(rename = "request.refused")]
    RequestRefused,
    /// A configuration was put to work.
    #[serde(rename = "config.applied")]
    ConfigApplied,
    /// A configuration was refused; the old one goes on.
    #[serde(rename = "config.refused")]
    ConfigRefused,
    /// A bearer token was issued.
    #[serde(rename = "token.created")]
    TokenCreated,
    /// A bearer token was revoked.
    #[serde(rename = "token.revoked")]
    TokenRevoked,
    /// Somebody's own token for a system that is asked in their name was stored.
    #[serde(rename = "credential.stored")]
    CredentialStored,
    /// Somebody's own token for a system that is asked in their name was removed.
    #[serde(rename = "credential.removed")]
    CredentialRemoved,
    /// A key was put in front of the ring that seals handles.
    #[serde(rename = "key.rotated")]
    KeyRotated,
    /// A call is about to be parked until somebody agrees to it.
    #[serde(rename = "approval.requested")]
    ApprovalRequested,
    /// Somebody said what they think of a request for approval.
    #[serde(rename = "approval.voted")]
    ApprovalVoted,
    /// A request for approval came to its end without a call: nobody decided in time, or it was taken back.
    #[serde(rename = "approval.ended")]
    ApprovalEnded,
    /// The result of a call that was agreed to was handed to whoever asked for it.
    #[serde(rename = "approval.delivered")]
    ApprovalDelivered,
    /// A request for approval went from one state to another.
    #[serde(rename = "approval.moved")]
    ApprovalMoved,
    /// What was kept of requests for approval that were over was forgotten.
    #[serde(rename = "approval.purged")]
    ApprovalPurged,
    /// Somebody reviewed a call that was let through in an emergency.
    #[serde(rename = "approval.reviewed")]
    ApprovalReviewed,
    /// Somebody lent their say to somebody else, or took it back.
    #[serde(rename = "approval.delegated")]
    ApprovalDelegated,
    /// An incident switch was made.
    #[serde(rename = "incident.stopped")]
    IncidentStopped,
    /// An incident switch was lifted before its time was over.
    #[serde(rename = "incident.lifted")]
    IncidentLifted,
    /// Somebody said what became of a write whose end nobody had seen.
    #[serde(rename = "idempotency.resolved")]
    IdempotencyResolved,
    /// A one-time code was made that logs a browser in to the console.
    #[serde(rename = "console.code_created")]
    ConsoleCodeCreated,
    /// Somebody logged in to the console.
    #[serde(rename = "console.signed_in")]
    ConsoleSignedIn,
    /// Somebody logged out of the console.
    #[serde(rename = "console.signed_out")]
    ConsoleSignedOut,
    /// Somebody logged in on the command line.
    #[serde(rename = "cli.signed_in")]
    CliSignedIn,
    /// Somebody logged out on the command line.
    #[serde(rename = "cli.signed_out")]
    CliSignedOut,
    /// The key of somebody whose data is in the log was destroyed.
    #[serde(rename = "audit.erased")]
    AuditErased,
    /// Old records were taken away.
    #[serde(rename = "audit.pruned")]
    AuditPruned,
    /// The definition of a tool is another than was accepted, and nothing stands against that.
    #[serde(rename = "tool.changed")]
    ToolChanged,
    /// A tool is not called any more until somebody has accepted its definition.
    #[serde(rename = "tool.quarantined")]
    ToolQuarantined,
    /// A tool is no longer quarantined.
    #[serde(rename = "tool.released")]
    ToolReleased,
    /// Somebody accepted the definition of a tool.
    #[serde(rename = "tool.accepted")]
    ToolAccepted,
    /// Somebody took labels away before their time was over.
    #[serde(rename = "labels.cleared")]
    LabelsCleared,
    /// A process began to write to the log.
    #[serde(rename = "writer.started")]
    WriterStarted,
    /// A process stopped writing to the log, in order.
    #[serde(rename = "writer.stopped")]
    WriterStopped,
}

impl Event {
    /// Whether it is the first that the log has of a call.
    pub fn begins_a_call(self) -> bool {
        matches!(self, Self::CallIntent | Self::CallRefused)
    }

    /// The event as it is written in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallIntent => "call.intent",
            Self::CallOutcome => "call.outcome",
            Self::CallRepeated => "call.repeated",
            Self::CallRefused => "call.refused",
            Self::RequestRefused => "request.refused",
            Self::ConfigApplied => "config.applied",
            Self::ConfigRefused => "config.refused",
            Self::TokenCreated => "token.created",
            Self::TokenRevoked => "token.revoked",
            Self::CredentialStored => "credential.stored",
            Self::CredentialRemoved => "credential.removed",
            Self::KeyRotated => "key.rotated",
            Self::ApprovalRequested => "approval.requested",
            Self::ApprovalVoted => "approval.voted",
            Self::ApprovalEnded => "approval.ended",
            Self::ApprovalDelivered => "approval.delivered",
            Self::ApprovalMoved => "approval.moved",
            Self::ApprovalPurged => "approval.purged",
            Self::ApprovalReviewed => "approval.reviewed",
            Self::ApprovalDelegated => "approval.delegated",
            Self::IncidentStopped => "incident.stopped",
            Self::IncidentLifted => "incident.lifted",
            Self::IdempotencyResolved => "idempotency.resolved",
            Self::ConsoleCodeCreated => "console.code_created",
            Self::ConsoleSignedIn => "console.signed_in",
            Self::ConsoleSignedOut => "console.signed_out",
            Self::CliSignedIn => "cli.signed_in",
            Self::CliSignedOut => "cli.signed_out",
            Self::AuditErased => "audit.erased",
            Self::AuditPruned => "audit.pruned",
            Self::ToolChanged => "tool.changed",
            Self::ToolQuarantined => "tool.quarantined",
            Self::ToolReleased => "tool.released",
            Self::ToolAccepted => "tool.accepted",
            Self::LabelsCleared => "labels.cleared",
            Self::WriterStarted => "writer.started",
            Self::WriterStopped => "writer.stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_its_word() {
        for event in [
            Event::CallIntent,
            Event::CallOutcome,
            Event::CallRepeated,
            Event::CallRefused,
            Event::RequestRefused,
            Event::ConfigApplied,
            Event::ConfigRefused,
            Event::TokenCreated,
            Event::TokenRevoked,
            Event::CredentialStored,
            Event::CredentialRemoved,
            Event::KeyRotated,
            Event::ApprovalRequested,
            Event::ApprovalVoted,
            Event::ApprovalEnded,
            Event::ApprovalDelivered,
            Event::ApprovalMoved,
            Event::ApprovalPurged,
            Event::ApprovalReviewed,
            Event::ApprovalDelegated,
            Event::IncidentStopped,
            Event::IncidentLifted,
            Event::IdempotencyResolved,
            Event::ConsoleCodeCreated,
            Event::ConsoleSignedIn,
            Event::ConsoleSignedOut,
            Event::CliSignedIn,
            Event::CliSignedOut,
            Event::AuditErased,
            Event::AuditPruned,
            Event::ToolChanged,
            Event::ToolQuarantined,
            Event::ToolReleased,
            Event::ToolAccepted,
            Event::LabelsCleared,
            Event::WriterStarted,
            Event::WriterStopped,
        ] {
            assert_eq!(serde_json::to_value(event).ok(), Some(event.as_str().into()));
        }
    }
}

//! Looking up what became of a write whose end nobody saw, in the system behind its tool.

use std::time::Duration;

use quaymaster_core::briefing::fill_object;
use quaymaster_core::{Arguments, CallId, CallRequest, Kind, Reach, Timestamp};
use quaymaster_store::LedgerRow;

use super::resolve::Said;
use super::{Ledger, LedgerError};
use crate::audit::record::ActorPart;
use crate::ledger::Found;
use crate::stages::{Evidence, Facts, actor_part};

/// How old a write must be before it counts that it is not found: until then it may be on its way.
pub const SETTLED: Duration = Duration::from_mins(1);

impl Ledger {
    /// Looks up what became of the write of `row`, which `facts` would make again; false if nobody can
    /// tell. It is in the audit log before it counts.
    pub(super) async fn look_up(
        &self,
        facts: &Facts,
        row: &LedgerRow,
        evidence: &Evidence,
    ) -> Result<bool, LedgerError> {
        let tool = facts.tool.as_ref().map(|tool| tool.declaration());
        let lookup = tool.and_then(|tool| tool.idempotency.as_ref()?.lookup.as_ref());
        let (Some(lookup), Some(arguments)) = (lookup, &facts.arguments) else { return Ok(false) };
        let asked = CallRequest {
            id: CallId::new(self.clock.as_ref(), self.randomness.as_ref()),
            received: self.clock.now(),
            reach: Reach::All,
            kind: Kind::Tool,
            tool: lookup.tool.clone(),
            arguments: Arguments::from_map(fill_object(&lookup.arguments, arguments.value())),
            idempotency_key: None,
            ..facts.request.clone()
        };
        let by = asked.id.clone();
        let Ok(content) = self.reader.read(asked).await else { return Ok(false) };
        let age = self.clock.now().since(Timestamp::from_micros(row.created_us));
        let found = match content.pointer(&lookup.found) {
            Some(found) if !found.is_null() => Found::Done,
            _ if age >= SETTLED => Found::Failed,
            _ => return Ok(false),
        };
        let subject = self.subjects.of(&facts.request.actor.id).await?;
        let actor: ActorPart<'_> = actor_part(&facts.request.actor, &subject);
        self.settle_unknown(row.clone(), Said { found, actor, look_up: Some(&by) }, evidence).await
    }
}

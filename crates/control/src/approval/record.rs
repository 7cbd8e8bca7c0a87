//! What the audit says of a request for approval, and the one way in which a request is changed.
//!
//! A step is written down, on disk, and then made. Two processes may write down the same step; of those
//! with one `version` one is made, and the next record begins where that one led.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::{Actor, ApprovalId, CallRequest, Workspace};
use quaymaster_store::{ApprovalRow, VoteRow};

use super::opened::state;
use super::{ApprovalError, Approvals, State};
use crate::audit::record::{Event, Record, ToolPart};
use crate::audit::{Draft, Durability};
use crate::stages::{Evidence, actor_part};

/// What happened to a request.
pub(super) struct Entry<'a> {
    pub(super) event: Event,
    pub(super) id: &'a ApprovalId,
    pub(super) workspace: &'a Workspace,
    pub(super) tool: &'a str,
    /// Who did it, where somebody did.
    pub(super) actor: Option<&'a Actor>,
    /// The call that it is about.
    pub(super) call: Option<Arc<str>>,
    /// Where the request stands then.
    pub(super) state: Option<State>,
    /// Further members of the record's `approval`.
    pub(super) more: Vec<(&'static str, String)>,
}

/// A step of a request: what is written of it before it is made.
pub(super) struct Step<'a> {
    event: Event,
    why: &'a str,
    actor: Option<&'a Actor>,
    call: Option<Arc<str>>,
    more: Vec<(&'static str, String)>,
}

impl<'a> Step<'a> {
    /// A step that nobody makes by hand.
    pub(super) fn new(event: Event, why: &'a str) -> Self {
        Self { event, why, actor: None, call: None, more: vec![] }
    }

    /// The same, made by `actor`.
    pub(super) fn by(self, actor: Option<&'a Actor>) -> Self {
        Self { actor, ..self }
    }

    /// The same, about a call.
    pub(super) fn of_call(self, call: Option<&str>) -> Self {
        Self { call: call.map(Arc::from), ..self }
    }

    /// The same with more to say.
    pub(super) fn with(mut self, name: &'static str, text: &str) -> Self {
        self.more.push((name, text.to_owned()));
        self
    }
}

impl Approvals {
    /// Writes down that a request goes from `from` to `to`, and makes it so, together with what was said.
    /// False, and nothing is changed, if somebody changed it meanwhile.
    pub(super) async fn turn(
        &self,
        from: &ApprovalRow,
        (to, vote): (&ApprovalRow, Option<&VoteRow>),
        step: Step<'_>,
        evidence: &Evidence,
    ) -> Result<bool, ApprovalError> {
        let mut more = step.more;
        more.push(("from", from.state.clone()));
        more.push(("version", from.version.to_string()));
        more.push(("why", step.why.to_owned()));
        let entry = Entry {
            event: step.event,
            id: &from.id,
            workspace: &from.workspace,
            tool: &from.tool,
            actor: step.actor,
            call: step.call,
            state: Some(state(to)?),
            more,
        };
        write(entry, evidence).await?;
        let made = self.store.approval_save(to, vote).await?;
        if made {
            self.tell();
        }
        Ok(made)
    }
}

/// Writes what a request of its asker's led to.
pub(super) async fn note(
    event: Event,
    row: &ApprovalRow,
    (request, why): (&CallRequest, &str),
    evidence: &Evidence,
) -> Result<(), ApprovalError> {
    let entry = Entry {
        event,
        id: &row.id,
        workspace: &row.workspace,
        tool: &row.tool,
        actor: Some(&request.actor),
        call: Some(request.id.to_shared()),
        state: Some(state(row)?),
        more: vec![("why", why.to_owned())],
    };
    write(entry, evidence).await
}

/// Writes it; on disk when this returns.
pub(super) async fn write(entry: Entry<'_>, evidence: &Evidence) -> Result<(), ApprovalError> {
    let subject = match entry.actor {
        Some(actor) => Some(evidence.subjects.of(&actor.id).await?),
        None => None,
    };
    let draft = {
        let mut record = Record::new(entry.event, evidence.clock.now());
        record.actor = entry.actor.zip(subject.as_deref()).map(|(actor, subject)| actor_part(actor, subject));
        record.approval = Some(members(&entry));
        record.call.clone_from(&entry.call);
        record.config = Some(evidence.config.as_str());
        record.workspace = Some(entry.workspace.to_shared());
        record.tool = Some(ToolPart {
            connector: None,
            contract: None,
            kind: None,
            name: entry.tool.into(),
            version: None,
        });
        Draft::from(record)
    };
    Ok(evidence.audit.append(draft, None, Durability::Durable).await?)
}

fn members(entry: &Entry<'_>) -> BTreeMap<String, String> {
    let mut members = BTreeMap::from([("id".to_owned(), entry.id.to_string())]);
    members.extend(entry.state.map(|state| ("state".to_owned(), state.as_str().to_owned())));
    members.extend(entry.more.iter().map(|(name, text)| ((*name).to_owned(), text.clone())));
    members
}

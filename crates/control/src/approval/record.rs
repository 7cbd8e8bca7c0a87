//! What the audit says of a request for approval.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::{Actor, ApprovalId, Workspace};

use super::{ApprovalError, State};
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

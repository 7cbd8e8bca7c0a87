//! A call that waits, as text that is sealed, and back.
//!
//! What is kept is what the caller asked for and who they were; nothing that was decided. When the
//! call runs it is decided anew.

use std::sync::Arc;

use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, AgentClaims, Arguments, Authentication, CallId, CallRequest, Kind, Raw, Reach, Role,
    SessionId, Timestamp, Workspace,
};
use serde::{Deserialize, Serialize};

/// The version of this form.
const FORM: u32 = 1;

/// Who asked, as they were then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The account.
    pub id: String,
    /// Who is behind it, where that is another name.
    pub person: Option<String>,
    /// The roles.
    pub roles: Vec<Slug>,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The workspace.
    pub workspace: Slug,
    /// How they were established.
    pub authentication: String,
    /// The token, where one of this installation was used.
    pub token: Option<String>,
    /// The issuer and the scopes, where an access token was used.
    pub issuer: Option<(Slug, Vec<String>)>,
    /// What that issuer's tokens call it. One that was not noted is trusted no more.
    #[serde(default)]
    pub issuer_url: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    auto_review: Option<bool>,
    call: Option<String>,
    client: Option<String>,
    model: Option<String>,
    parent_thread: Option<String>,
    sandbox_mode: Option<String>,
    session: Option<String>,
    thread: Option<String>,
}

/// A call that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Parked {
    form: u32,
    pub(super) asker: Asker,
    pub(super) call: CallId,
    agent: Claims,
    /// As canonical JSON: what is decided on again is what was asked for, to the digit.
    arguments: String,
    correlation: Option<String>,
    #[serde(default)]
    idempotency_key: Option<String>,
    kind: String,
    reach: Option<Slug>,
    received_us: u64,
    sampled: bool,
    session: Option<SessionId>,
    pub(super) tool: String,
    trace: Option<String>,
}

impl Asker {
    /// `actor`, to be established again.
    pub fn of(actor: &Actor) -> Self {
        Self {
            id: actor.id.to_string(),
            person: actor.person.as_ref().map(ToString::to_string),
            roles: actor.roles.to_vec(),
            groups: actor.groups.to_vec(),
            workspace: actor.workspace.clone(),
            authentication: actor.authentication.as_str().to_owned(),
            token: actor.authentication.token().map(ToString::to_string),
            issuer: match &actor.authentication {
                Authentication::Issuer(grant) => Some((grant.issuer.clone(), grant.scopes.to_vec())),
                Authentication::Token(_) | Authentication::LocalUser => None,
            },
            issuer_url: match &actor.authentication {
                Authentication::Issuer(grant) => Some(grant.url.to_string()),
                Authentication::Token(_) | Authentication::LocalUser => None,
            },
        }
    }

    /// The account's name.
    pub fn actor(&self) -> Option<ActorId> {
        ActorId::parse(&self.id).ok()
    }

    /// Who is behind it.
    pub fn person(&self) -> Option<ActorId> {
        ActorId::parse(self.person.as_deref().unwrap_or(&self.id)).ok()
    }

    /// The roles.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The workspace.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }
}

impl Parked {
    pub(super) fn of(request: &CallRequest) -> Self {
        let AgentClaims { auto_review, call, client, model, parent_thread, sandbox_mode, session, thread } =
            request.agent.clone();
        Self {
            form: FORM,
            asker: Asker::of(&request.actor),
            call: request.id.clone(),
            agent: Claims { auto_review, call, client, model, parent_thread, sandbox_mode, session, thread },
            arguments: request.arguments.as_json().to_owned(),
            correlation: request.correlation_id.clone(),
            idempotency_key: request.idempotency_key.clone(),
            kind: request.kind.as_str().to_owned(),
            reach: match &request.reach {
                Reach::All => None,
                Reach::One(connector) => Some(connector.clone()),
            },
            received_us: request.received.as_micros(),
            sampled: request.sampled,
            session: request.session.clone(),
            tool: request.tool.clone(),
            trace: request.trace_id.clone(),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what [`Parked::to_bytes`] wrote; none if it is of another form.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|parked: &Self| parked.form == FORM)
    }

    /// The call again, for `actor`, who is established anew, under the id of its run.
    pub(super) fn into_request(self, id: CallId, actor: Arc<Actor>, now: Timestamp) -> Option<CallRequest> {
        let Claims { auto_review, call, client, model, parent_thread, sandbox_mode, session, thread } =
            self.agent;
        let arguments = Arguments::parse(Some(Raw::read(&self.arguments).ok()?)).ok()?;
        Some(CallRequest {
            id,
            received: now,
            actor,
            reach: self.reach.map_or(Reach::All, Reach::One),
            session: self.session,
            agent: AgentClaims {
                auto_review,
                call,
                client,
                model,
                parent_thread,
                sandbox_mode,
                session,
                thread,
            },
            trace_id: self.trace,
            sampled: self.sampled,
            correlation_id: self.correlation,
            idempotency_key: self.idempotency_key,
            kind: Kind::named(&self.kind)?,
            tool: self.tool,
            arguments,
        })
    }
}

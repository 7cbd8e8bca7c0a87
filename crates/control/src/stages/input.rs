//! What a decision was made on, as it is sealed beside its record.
//!
//! Written when a call is recorded and read when decisions are made again under other policies.
//! Version 1 has no `reason`, `session` and `time`, nor the actor's `person`; version 2 has neither
//! `labels` and `sets_labels` nor the actor's `groups`. Readers take all.
//! Environment and time zone are not here: they are of the configuration, as the policies are.

use std::sync::Arc;

use quaymaster_catalog::Tool;
use quaymaster_core::actor::Grant;
use quaymaster_core::json::{ObjectWriter, parse_strict};
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, AgentClaims, Arguments, Authentication, DataClass, SessionId, Timestamp, TokenId,
    Workspace,
};
use serde_json::Value;

use super::facts::Facts;

/// The version of the form.
const FORM: u64 = 3;

/// What the decision on `facts` is made on, as canonical JSON. `arguments` are canonical
/// already; the members below are in the canonical order.
pub(super) fn decision_input(facts: &Facts, tool: &Tool, arguments: &str) -> String {
    let request = &facts.request;
    let mut text = String::with_capacity(arguments.len() + 512);
    let mut input = ObjectWriter::begin(&mut text);
    input.string("action", "call");
    let mut actor = ObjectWriter::begin(input.member("actor"));
    actor.string("authentication", request.actor.authentication.as_str());
    if !request.actor.groups.is_empty() {
        actor.strings("groups", &request.actor.groups[..]);
    }
    actor.string("id", request.actor.id.as_str());
    actor.optional("person", request.actor.person.as_ref().map(quaymaster_core::ActorId::as_str));
    actor.strings("roles", &request.actor.roles);
    actor.string("workspace", Workspace::as_str(&request.actor.workspace));
    actor.end();
    request.agent.write_canonical(input.member("agent"));
    input.member("arguments").push_str(arguments);
    if !facts.labels().is_empty() {
        input.strings("labels", facts.labels());
    }
    input.optional("reason", facts.reason.as_deref());
    input.optional("session", request.session.as_ref().map(SessionId::as_str));
    let sets: Vec<&String> =
        facts.decision.iter().flat_map(|decision| &decision.obligations.labels).collect();
    input.strings("sets_labels", &sets);
    input.number("time", request.received.as_micros());
    input.string("tool", tool.name().as_str());
    input.number("v", FORM);
    input.end();
    text
}

/// A sealed input, opened: enough to make its decision again.
#[derive(Clone, Debug)]
pub struct DecisionInput {
    /// Who asked. The clearance is the lowest: no decision depends on it.
    pub actor: Actor,
    /// The tool, by its public name.
    pub tool: String,
    /// The arguments that were decided on.
    pub arguments: Arguments,
    /// What the client said of its agent.
    pub agent: AgentClaims,
    /// When it was asked.
    pub at: Timestamp,
    /// The business reason that was given.
    pub reason: Option<String>,
    /// The client's session.
    pub session: Option<String>,
    /// What the session had seen.
    pub labels: Vec<String>,
    /// How the permits wanted it to be labelled from then on, sorted; none of an input that does not say.
    pub sets_labels: Option<Vec<String>>,
}

impl DecisionInput {
    /// Reads what was opened. `recorded` is the time of the record, for inputs that say none.
    ///
    /// # Errors
    ///
    /// Says which part cannot be read; never what it holds.
    pub fn parse(bytes: &[u8], recorded: Timestamp) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "not text")?;
        let value = parse_strict(text).map_err(|_| "not JSON")?;
        let version = value.get("v").and_then(Value::as_u64);
        if version.is_none_or(|version| version > FORM) {
            return Err("of a later version".into());
        }
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let arguments = value.get("arguments").and_then(Value::as_object).ok_or("without arguments")?;
        Ok(Self {
            actor: actor(&value)?,
            tool: text("/tool").ok_or("without a tool")?,
            arguments: Arguments::from_map(arguments.clone()),
            agent: AgentClaims {
                auto_review: value.pointer("/agent/auto_review").and_then(Value::as_bool),
                call: text("/agent/call"),
                client: text("/agent/client"),
                model: text("/agent/model"),
                parent_thread: text("/agent/parent_thread"),
                sandbox_mode: text("/agent/sandbox_mode"),
                session: text("/agent/session"),
                thread: text("/agent/thread"),
            },
            at: value.get("time").and_then(Value::as_u64).map_or(recorded, Timestamp::from_micros),
            reason: text("/reason"),
            session: text("/session"),
            labels: texts(&value, "labels").unwrap_or_default(),
            sets_labels: texts(&value, "sets_labels"),
        })
    }
}

/// The texts in a list; none if there is no list.
fn texts(value: &Value, name: &str) -> Option<Vec<String>> {
    let items = value.get(name)?.as_array()?;
    Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn actor(value: &Value) -> Result<Actor, String> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let roles = value.pointer("/actor/roles").and_then(Value::as_array).ok_or("without roles")?;
    let groups = value.get("actor").and_then(|actor| texts(actor, "groups")).unwrap_or_default();
    let roles: Result<Vec<Slug>, String> =
        roles.iter().map(|role| Slug::parse(role.as_str().unwrap_or_default())).collect();
    Ok(Actor {
        id: ActorId::parse(text("/actor/id").ok_or("without an actor")?)?,
        person: text("/actor/person").map(ActorId::parse).transpose()?,
        roles: Arc::from(roles?),
        groups: groups.into(),
        workspace: Slug::parse(text("/actor/workspace").ok_or("without a workspace")?)?,
        clearance: DataClass::Public,
        authentication: authentication(text("/actor/authentication").unwrap_or_default())?,
    })
}

/// How an actor was established, by the word for it. Which token it was no policy can see.
///
/// # Errors
///
/// Names the words that there are.
pub fn authentication(word: &str) -> Result<Authentication, String> {
    let any_token = || "tok_00000000000000000000000000000000".parse::<TokenId>().map_err(|e| e.to_string());
    match word {
        "token" => Ok(Authentication::Token(any_token()?)),
        "local_user" => Ok(Authentication::LocalUser),
        "oauth" => {
            let issuer = Slug::parse("issuer")?;
            let (url, scopes, needed) = ("".into(), [].into(), Arc::default());
            Ok(Authentication::Issuer(Arc::new(Grant { issuer, url, scopes, needed })))
        }
        _ => {
            Err("established in a way that this version does not know: `token`, `oauth` or `local_user`"
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"action":"call","actor":{"authentication":"token","id":"ada","roles":["analyst"],"workspace":"sales"},"agent":{"model":"m"},"arguments":{"id":"a"},"tool":"crm_account","v":1}"#;

    #[test]
    fn an_input_of_the_first_version_is_read_with_the_time_of_its_record() {
        let recorded = Timestamp::from_micros(7);
        let input = DecisionInput::parse(FIRST.as_bytes(), recorded).expect("an input");
        assert_eq!((input.at, input.reason, input.session), (recorded, None, None));
        assert_eq!((input.actor.id.as_str(), input.tool.as_str()), ("ada", "crm_account"));
        assert_eq!((input.actor.person, input.agent.model.as_deref()), (None, Some("m")));
        assert_eq!(input.arguments.as_json(), r#"{"id":"a"}"#);
    }

    #[test]
    fn what_cannot_be_read_is_told_without_what_it_holds() {
        for bad in ["", "[]", &FIRST.replace("\"v\":1", "\"v\":9"), &FIRST.replace("token", "private")] {
            let told = DecisionInput::parse(bad.as_bytes(), Timestamp::from_micros(0)).expect_err("no input");
            assert!(!told.contains("private"), "{told}");
        }
    }
}

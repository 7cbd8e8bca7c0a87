//! What a decision was made on, as it is sealed beside its record.
//!
//! Written when a call is recorded and read when decisions are made again under other policies.
//! Version 1 has no `reason`, `session` and `time`, nor the actor's `person`; readers take both.
//! Environment and time zone are not here: they are of the configuration, as the policies are.

use quaymaster_catalog::Tool;
use quaymaster_core::json::ObjectWriter;
use quaymaster_core::{SessionId, Workspace};

use super::facts::Facts;

/// The version of the form.
const FORM: u64 = 2;

/// What the decision on `facts` is made on, as canonical JSON. `arguments` are canonical
/// already; the members below are in the canonical order.
pub(super) fn decision_input(facts: &Facts, tool: &Tool, arguments: &str) -> String {
    let request = &facts.request;
    let mut text = String::with_capacity(arguments.len() + 512);
    let mut input = ObjectWriter::begin(&mut text);
    input.string("action", "call");
    let mut actor = ObjectWriter::begin(input.member("actor"));
    actor.string("authentication", request.actor.authentication.as_str());
    actor.string("id", request.actor.id.as_str());
    actor.optional("person", request.actor.person.as_ref().map(quaymaster_core::ActorId::as_str));
    actor.strings("roles", &request.actor.roles);
    actor.string("workspace", Workspace::as_str(&request.actor.workspace));
    actor.end();
    request.agent.write_canonical(input.member("agent"));
    input.member("arguments").push_str(arguments);
    input.optional("reason", facts.reason.as_deref());
    input.optional("session", request.session.as_ref().map(SessionId::as_str));
    input.number("time", request.received.as_micros());
    input.string("tool", tool.name().as_str());
    input.number("v", FORM);
    input.end();
    text
}

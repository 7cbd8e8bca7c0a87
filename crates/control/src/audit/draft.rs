//! A record as the text that it will be, but for what only the writer knows.
//!
//! A call puts its record into canonical JSON (RFC 8785) while the facts are at
//! hand, so that nothing of them is copied but into the text. The writer adds the
//! number and its own id, again with each attempt. What the record says is in
//! [`super::record`]; a test there compares the text with the canonical writer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use quaymaster_core::Timestamp;
use quaymaster_core::json::{ObjectWriter, write_string};

use crate::policy::{Obligations, Redaction};

use super::record::{ActorPart, DecisionPart, Event, Record, ToolPart};

/// The version of the record's form.
const FORM: u64 = 1;
/// What nearly every record fits into, in bytes.
const USUAL_SIZE: usize = 1_024;

/// A record without its number and its writer, and what it is found by.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(super) event: Event,
    pub(super) time: Timestamp,
    pub(super) call: Option<Arc<str>>,
    pub(super) actor: Option<Arc<str>>,
    pub(super) workspace: Option<Arc<str>>,
    pub(super) tool: Option<Arc<str>>,
    pub(super) status: Option<&'static str>,
    pub(super) code: Option<&'static str>,
    /// The record up to its last member, `writer`, whose value is missing.
    text: String,
    /// Where in `text` the number is missing.
    seq_at: usize,
}

impl Draft {
    /// How many bytes the record has without its number and its writer.
    pub(super) fn size(&self) -> usize {
        self.text.len()
    }

    /// The record as it is stored: number `seq` in the log, written by `writer`.
    pub(super) fn finish(&self, seq: u64, writer: &str) -> Vec<u8> {
        let (before, after) = self.text.split_at(self.seq_at);
        // The digits of any number, two quotes and a brace.
        let mut body = String::with_capacity(self.text.len() + writer.len() + 23);
        body.push_str(before);
        // Writing to a string does not fail.
        let _ = write!(body, "{seq}");
        body.push_str(after);
        write_string(&mut body, writer);
        body.push('}');
        body.into_bytes()
    }
}

impl From<Record<'_>> for Draft {
    fn from(record: Record<'_>) -> Self {
        let mut text = String::with_capacity(USUAL_SIZE);
        let seq_at = write(&mut text, &record);
        Self {
            event: record.event,
            time: record.time,
            call: record.call,
            actor: record.actor.map(|actor| actor.id),
            workspace: record.workspace,
            tool: record.tool.map(|tool| tool.name),
            status: record.status,
            code: record.code,
            text,
            seq_at,
        }
    }
}

/// Writes all members in their order and returns where the number is missing.
fn write(out: &mut String, record: &Record<'_>) -> usize {
    let mut object = ObjectWriter::begin(out);
    write_what_was_asked(&mut object, record);
    write_what_was_decided(&mut object, record);
    let seq_at = object.member("seq").len();
    write_what_came_of_it(&mut object, record);
    // The writer writes its id and ends the object.
    object.member("writer");
    seq_at
}

/// The members up to `correlation`.
fn write_what_was_asked(object: &mut ObjectWriter<'_>, record: &Record<'_>) {
    if let Some(actor) = &record.actor {
        write_actor(object.member("actor"), actor);
    }
    if let Some(agent) = &record.agent {
        agent.write_canonical(object.member("agent"));
    }
    write_texts(object, "approval", record.approval.as_ref());
    object.optional("arguments", record.arguments.as_deref());
    write_number(object, "asked", record.asked);
    object.optional("call", record.call.as_deref());
    write_list(object, "classes", record.classes);
    object.optional("code", record.code);
    object.optional("config", record.config);
    object.optional("config_digest", record.config_digest);
    object.optional("correlation", record.correlation);
}

/// The members from `count` to `route`.
fn write_what_was_decided(object: &mut ObjectWriter<'_>, record: &Record<'_>) {
    write_number(object, "count", record.count);
    if let Some(decision) = &record.decision {
        write_decision(object.member("decision"), decision);
    }
    write_number(object, "duration_us", record.duration_us);
    object.optional("effect", record.effect);
    object.string("event", record.event.as_str());
    write_texts(object, "idempotency", record.idempotency.as_ref());
    write_texts(object, "incident", record.incident.as_ref());
    write_texts(object, "integrity", record.integrity.as_ref());
    write_list(object, "labelled", record.labelled);
    write_list(object, "labels", record.labels);
    write_list(object, "limits", record.limits);
    object.optional("method", record.method);
    write_number(object, "minimum", record.minimum);
    object.optional("on_behalf_of", record.on_behalf_of);
    if !record.redactions.is_empty() {
        let mut members = ObjectWriter::begin(object.member("redactions"));
        for (class, count) in &record.redactions {
            let _ = write!(members.any_member(class), "{count}");
        }
        members.end();
    }
    write_number(object, "retries", record.retries);
    object.optional("route", record.route);
}

/// The members from `session` to `workspace`.
fn write_what_came_of_it(object: &mut ObjectWriter<'_>, record: &Record<'_>) {
    object.optional("session", record.session);
    object.optional("status", record.status);
    if let Some(tally) = record.tally {
        let mut members = ObjectWriter::begin(object.member("tally"));
        members.number("calls", tally.calls);
        members.number("records", tally.records);
        members.end();
    }
    let _ = write!(object.member("time"), "\"{}\"", record.time);
    object.optional("token", record.token);
    if let Some(tool) = &record.tool {
        write_tool(object.member("tool"), tool);
    }
    object.optional("trace", record.trace);
    write_list(object, "upstream_ids", record.upstream_ids);
    object.number("v", FORM);
    object.optional("workspace", record.workspace.as_deref());
}

fn write_actor(out: &mut String, actor: &ActorPart<'_>) {
    let mut object = ObjectWriter::begin(out);
    object.string("authentication", actor.authentication);
    object.string("id", &actor.id);
    object.strings("roles", &actor.roles);
    object.optional("token", actor.token);
    object.end();
}

fn write_decision(out: &mut String, decision: &DecisionPart<'_>) {
    let mut object = ObjectWriter::begin(out);
    object.string("effect", decision.effect);
    object.number("errors", decision.errors);
    object.optional("input", decision.input.as_deref());
    if let Some(obligations) = decision.obligations {
        write_obligations(object.member("obligations"), obligations);
    }
    object.strings("policies", decision.policies);
    object.end();
}

fn write_obligations(out: &mut String, obligations: &Obligations) {
    // Taken apart, so that a member which is added cannot be forgotten.
    let Obligations { redactions, limits, reason_required, labels } = obligations;
    let mut object = ObjectWriter::begin(out);
    if !labels.is_empty() {
        object.strings("labels", &labels.iter().collect::<Vec<_>>());
    }
    if !limits.is_empty() {
        let limits: Vec<String> = limits.iter().map(|l| format!("{}: {}", l.policy, l.limit)).collect();
        object.strings("limits", &limits);
    }
    if *reason_required {
        object.boolean("reason_required", true);
    }
    if !redactions.is_empty() {
        object.strings("redactions", &redactions.iter().map(Redaction::as_str).collect::<Vec<_>>());
    }
    object.end();
}

fn write_tool(out: &mut String, tool: &ToolPart<'_>) {
    let mut object = ObjectWriter::begin(out);
    object.optional("connector", tool.connector);
    object.optional("contract", tool.contract);
    object.optional("kind", tool.kind);
    object.string("name", &tool.name);
    object.optional("version", tool.version);
    object.end();
}

fn write_texts(object: &mut ObjectWriter<'_>, name: &'static str, texts: Option<&BTreeMap<String, String>>) {
    let Some(texts) = texts else { return };
    let mut members = ObjectWriter::begin(object.member(name));
    for (name, text) in texts {
        write_string(members.any_member(name), text);
    }
    members.end();
}

/// An empty list is left out.
fn write_list(object: &mut ObjectWriter<'_>, name: &'static str, items: &[String]) {
    if !items.is_empty() {
        object.strings(name, items);
    }
}

fn write_number(object: &mut ObjectWriter<'_>, name: &'static str, number: Option<u64>) {
    if let Some(number) = number {
        object.number(name, number);
    }
}

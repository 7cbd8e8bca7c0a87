//! The audit record: a frozen contract (`docs/adr/0003-frozen-contracts.md`).
//!
//! A record is canonical JSON (RFC 8785). What it says is here, borrowed from the
//! call that it speaks of; [`super::draft`] writes it, in alphabetical order, and a
//! test compares that with the canonical writer. Members are only ever added.
//!
//! Shared texts (`Arc<str>`) are those that the record is found by as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::{AgentClaims, Role, Timestamp};

pub use super::event::Event;
use crate::policy::Obligations;

/// Who acted, as the record may say it.
#[derive(Clone, Debug)]
pub struct ActorPart<'a> {
    /// How the actor was established: `token`, `oauth` or `local_user`.
    pub authentication: &'static str,
    /// Keyed commitment to the actor's id.
    pub id: Arc<str>,
    /// The roles that were in force.
    pub roles: Arc<[Role]>,
    /// The id of the bearer token, where one was used.
    pub token: Option<&'a str>,
}

/// What policy said.
#[derive(Clone, Debug)]
pub struct DecisionPart<'a> {
    /// `allow`, `deny` or `approval`.
    pub effect: &'static str,
    /// How many policies failed to evaluate. Any makes the decision a denial.
    pub errors: u64,
    /// SHA-256 of the sealed input that lies beside the record, for replay. For an
    /// input too large to be kept: a commitment to it under the actor's key.
    pub input: Option<String>,
    /// What binds the call, if anything does.
    pub obligations: Option<&'a Obligations>,
    /// The policies that determined it.
    pub policies: &'a [String],
}

/// Which tool, at which version.
#[derive(Clone, Debug)]
pub struct ToolPart<'a> {
    /// The connector it belongs to; absent where there is no such tool.
    pub connector: Option<&'a str>,
    /// Digest of what agents are told of the tool.
    pub contract: Option<&'a str>,
    /// What it is where it is no tool: a prompt or a resource.
    pub kind: Option<&'static str>,
    /// The name that was asked for, cut to 64 characters.
    pub name: Arc<str>,
    /// The version of the connector's contract.
    pub version: Option<&'a str>,
}

/// What a writer had accepted when it stopped, its start among them and its stop not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Records that begin or refuse a call.
    pub calls: u64,
    /// All records.
    pub records: u64,
}

/// What one record says. The members `seq`, `v` and `writer` are not here: the
/// writer numbers records and puts its id to them, and nobody else can.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Who acted.
    pub actor: Option<ActorPart<'a>>,
    /// What the client said of its agent. Claimed, not proved.
    pub agent: Option<&'a AgentClaims>,
    /// The approval that was met or is needed.
    pub approval: Option<BTreeMap<String, String>>,
    /// SHA-256 of the canonical arguments.
    pub arguments: Option<String>,
    /// The call; also its audit id.
    pub call: Option<Arc<str>>,
    /// Data classes of what was released.
    pub classes: &'a [String],
    /// The error code, where it failed.
    pub code: Option<&'static str>,
    /// The configuration in force.
    pub config: Option<&'a str>,
    /// SHA-256 over all files of a configuration that was put to work or refused.
    pub config_digest: Option<&'a str>,
    /// The id that ties together the calls of one piece of work.
    pub correlation: Option<&'a str>,
    /// How many events like this one were left out since the last that was recorded.
    pub count: Option<u64>,
    /// What policy said.
    pub decision: Option<DecisionPart<'a>>,
    /// From the request's arrival to this record, in microseconds.
    pub duration_us: Option<u64>,
    /// What the tool does to the world.
    pub effect: Option<&'static str>,
    /// What happened.
    pub event: Event,
    /// The write in the idempotency ledger that the call is or repeats.
    pub idempotency: Option<BTreeMap<String, String>>,
    /// The incident switch that stopped the call, or that was made or lifted.
    pub incident: Option<BTreeMap<String, String>>,
    /// Why a tool is quarantined, or what changed of its definition, or who accepted it.
    pub integrity: Option<BTreeMap<String, String>>,
    /// Labels that were new to whoever asked and were set before anything of the call was told.
    pub labelled: &'a [String],
    /// Labels of whoever asked when the call was decided on; or those that were taken away.
    pub labels: &'a [String],
    /// Limits that bore on the call.
    pub limits: &'a [String],
    /// The method of a request that never became a call, and of a watch.
    pub method: Option<&'a str>,
    /// The number of the first record that is kept; those before it were pruned.
    pub minimum: Option<u64>,
    /// Keyed commitment to whom the actor acts for, where that is another.
    pub on_behalf_of: Option<&'a str>,
    /// How much was kept back, by data class.
    pub redactions: BTreeMap<&'a str, u64>,
    /// How often the connector tried again.
    pub retries: Option<u64>,
    /// The connector whose own route the request came by, if it came by one.
    pub route: Option<&'a str>,
    /// How often the client was asked something for the system behind the tool, if it was.
    pub asked: Option<u64>,
    /// The client's session.
    pub session: Option<&'a str>,
    /// `success`, `partial`, `requires_approval` or `failed`.
    pub status: Option<&'static str>,
    /// What a writer that stopped had accepted.
    pub tally: Option<Tally>,
    /// When; written as RFC 3339, UTC, with microseconds.
    pub time: Timestamp,
    /// The token that was issued or revoked.
    pub token: Option<&'a str>,
    /// Which tool.
    pub tool: Option<ToolPart<'a>>,
    /// The trace that the call is part of.
    pub trace: Option<&'a str>,
    /// Ids that the system behind the tool gave.
    pub upstream_ids: &'a [String],
    /// The workspace.
    pub workspace: Option<Arc<str>>,
}

impl Record<'_> {
    /// A record of `event` at `time`, with nothing else yet.
    pub fn new(event: Event, time: Timestamp) -> Self {
        Self {
            actor: None,
            agent: None,
            approval: None,
            arguments: None,
            call: None,
            classes: &[],
            code: None,
            config: None,
            config_digest: None,
            correlation: None,
            count: None,
            decision: None,
            duration_us: None,
            effect: None,
            event,
            idempotency: None,
            incident: None,
            integrity: None,
            labelled: &[],
            labels: &[],
            limits: &[],
            method: None,
            minimum: None,
            on_behalf_of: None,
            redactions: BTreeMap::new(),
            retries: None,
            route: None,
            asked: None,
            session: None,
            status: None,
            tally: None,
            time,
            token: None,
            tool: None,
            trace: None,
            upstream_ids: &[],
            workspace: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;
    use quaymaster_core::json::{canonical, parse_strict};

    use quaymaster_core::Limit;

    use crate::audit::draft::Draft;
    use crate::policy::{PolicyLimit, Redaction};

    fn obligations() -> Obligations {
        let limit =
            |text| PolicyLimit { policy: "reads".into(), limit: Limit::parse(text).expect("a limit") };
        Obligations {
            redactions: Redaction::parse_all("email, $..phone").expect("fields").into_iter().collect(),
            limits: [limit("30/1m"), limit("rows 500")].into(),
            reason_required: true,
            labels: ["saw:customers".to_owned()].into(),
        }
    }

    /// Every member, named one by one: the next that is added has to be here as well.
    fn full() -> Record<'static> {
        let text = |t: &str| Some(t.to_owned());
        let list = |t: &str| &*Vec::leak(vec![t.to_owned()]);
        Record {
            actor: Some(ActorPart {
                authentication: "token",
                id: "hmac-sha256:00ff".into(),
                roles: [Role::parse("analyst").expect("a role")].into(),
                token: Some("tok_1"),
            }),
            agent: Some(Box::leak(Box::new(AgentClaims {
                auto_review: Some(true),
                call: text("c-1"),
                client: text("codex \u{e9}\u{1f600}\"\\\n\u{1}\u{7f}/0.169.0"),
                model: text("m"),
                parent_thread: text("p"),
                sandbox_mode: text("read-only"),
                session: text("s"),
                thread: text("t"),
            }))),
            approval: Some(BTreeMap::from([("roles".into(), "support_manager".into())])),
            arguments: text("sha256:aa"),
            call: Some("call_1".into()),
            classes: list("internal"),
            code: Some("policy.denied"),
            config: Some("cfg_1"),
            config_digest: Some("sha256:dd"),
            correlation: Some("cor"),
            count: Some(3),
            decision: Some(DecisionPart {
                effect: "deny",
                errors: 0,
                input: text("sha256:bb"),
                obligations: Some(Box::leak(Box::new(obligations()))),
                policies: list("freeze"),
            }),
            duration_us: Some(1_234),
            effect: Some("write"),
            event: Event::CallOutcome,
            idempotency: Some(BTreeMap::from([("state".into(), "repeated".into())])),
            incident: Some(BTreeMap::from([("id".into(), "inc_1".into())])),
            integrity: Some(BTreeMap::from([("verdict".into(), "breaking".into())])),
            labelled: list("saw:confidential"),
            labels: list("saw:untrusted"),
            limits: list("rate"),
            method: Some("tools/call"),
            minimum: Some(512),
            on_behalf_of: Some("hmac-sha256:11"),
            redactions: BTreeMap::from([("confidential", 2), ("restricted", 1)]),
            retries: Some(1),
            route: Some("support-desk"),
            asked: Some(2),
            session: Some("ses_1"),
            status: Some("failed"),
            tally: Some(Tally { calls: 4, records: 9 }),
            time: Timestamp::from_micros(1_795_255_200_000_042),
            token: Some("tok_2"),
            tool: Some(ToolPart {
                connector: Some("support-desk"),
                contract: Some("sha256:cc"),
                kind: Some("prompt"),
                name: "desk_get_ticket".into(),
                version: Some("1.0.0"),
            }),
            trace: Some("0af7651916cd43dd8448eb211c80319c"),
            upstream_ids: list("T-1"),
            workspace: Some("sales".into()),
        }
    }

    fn written(record: Record<'_>) -> String {
        String::from_utf8(Draft::from(record).finish(7, "wrt_1")).expect("UTF-8")
    }

    #[test]
    fn the_record_has_the_frozen_form() {
        let value: serde_json::Value = serde_json::from_str(&written(full())).expect("JSON");
        insta::assert_json_snapshot!(value);
    }

    #[test]
    fn what_is_written_is_canonical_already() {
        for record in [full(), Record::new(Event::WriterStarted, Timestamp::from_micros(0))] {
            let text = written(record);
            let value = parse_strict(&text).expect("JSON");
            assert_eq!(canonical(&value), text);
        }
    }

    #[test]
    fn a_draft_that_is_finished_again_has_the_other_number_and_writer() {
        let draft = Draft::from(full());
        let first = String::from_utf8(draft.finish(u64::MAX, "wrt_1")).expect("UTF-8");
        let again = String::from_utf8(draft.finish(0, "wrt_\"2")).expect("UTF-8");
        let expected = first.replace("\"seq\":18446744073709551615", "\"seq\":0");
        assert_eq!(again, expected.replace("wrt_1", "wrt_\\\"2"));
        assert_eq!(canonical(&parse_strict(&again).expect("JSON")), again);
    }

    proptest! {
        #[test]
        fn whatever_its_texts_hold_a_record_is_canonical_and_says_them(
            text in "(\\PC|[\\x00-\\x1f\"\\\\\\x7f]){0,40}",
        ) {
            let list = [text.clone(), text.clone()];
            let claims = AgentClaims { client: Some(text.clone()), ..AgentClaims::default() };
            let record = Record {
                agent: Some(&claims),
                approval: Some(BTreeMap::from([(text.clone(), text.clone()), ("roles".into(), text.clone())])),
                call: Some(text.as_str().into()),
                classes: &list,
                correlation: Some(&text),
                decision: Some(DecisionPart { effect: "deny", errors: 1, input: None, obligations: None, policies: &list }),
                method: Some(&text),
                redactions: BTreeMap::from([(text.as_str(), 1), ("internal", 2)]),
                tool: Some(ToolPart {
                    connector: None,
                    contract: None,
                    kind: None,
                    name: text.as_str().into(),
                    version: Some(&text),
                }),
                trace: Some(&text),
                upstream_ids: &list,
                ..full()
            };
            let body = written(record);
            let value = parse_strict(&body).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(canonical(&value), body);
            for pointer in ["/call", "/correlation", "/method", "/tool/name", "/trace", "/agent/client"] {
                prop_assert_eq!(value.pointer(pointer).and_then(|v| v.as_str()), Some(text.as_str()));
            }
        }
    }
}

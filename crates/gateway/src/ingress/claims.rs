//! What a client says of itself and its agent: evidence for the audit.
//!
//! Nothing here is believed. Each claim is cut to a bound and freed of
//! characters that would let it pose as something else in a log or a terminal;
//! one that has the wrong type is left out rather than refused, because no call
//! depends on it.

use std::borrow::Cow;

use quaymaster_core::text::misleads;
use quaymaster_core::{AgentClaims, Raw};

use super::params::{Implementation, Known as _, Meta, TurnClaims, text};
use super::refusal::bounded;

/// How long a claim may be, in bytes.
const MAX_CLAIM_BYTES: usize = 200;

/// How long the turn may be where it is a header.
const MAX_TURN_BYTES: usize = 4 * 1024;

/// What a request says of where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// What the client says of its agent.
    pub(super) agent: AgentClaims,
    /// The trace that `traceparent` names.
    pub(super) trace: Option<Trace>,
    /// The turn of the conversation, which ties its calls together.
    pub(super) correlation_id: Option<String>,
    /// The key of a write. No claim: whoever sends one relies on it, so it is neither cut nor left out,
    /// and what is no text is the empty one, which is refused as a key.
    pub(super) idempotency_key: Option<String>,
}

/// What a request says of itself beside its message, in headers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Aside<'a> {
    /// The header `traceparent` (W3C Trace Context).
    pub(super) traceparent: Option<&'a str>,
    /// The header `x-codex-turn-metadata`, JSON as it is in `_meta`.
    pub(super) turn: Option<&'a str>,
}

/// Reads the claims of `meta`, and where it says nothing those beside it. `client` is what is known of
/// the client from elsewhere.
pub(super) fn read(meta: &Meta<'_>, client: Option<String>, aside: Aside<'_>) -> Claims {
    let turn_text = text(meta.turn);
    let beside = aside.turn.filter(|turn| meta.turn.is_none() && turn.len() <= MAX_TURN_BYTES);
    let turn = turn(meta.turn, turn_text.as_deref().or(beside));
    let in_meta = text(meta.traceparent);
    Claims {
        agent: AgentClaims {
            auto_review: turn.auto_review_enabled.and_then(flag),
            call: claim(meta.call_id),
            client: implementation(meta.client_info).or(client),
            model: claim(turn.model),
            parent_thread: claim(turn.parent_thread_id),
            sandbox_mode: claim(turn.sandbox_mode),
            session: claim(meta.session_id).or_else(|| claim(turn.session_id)),
            thread: claim(meta.thread_id).or_else(|| claim(turn.thread_id)),
        },
        trace: in_meta.as_deref().or(aside.traceparent).and_then(trace),
        correlation_id: claim(turn.turn_id),
        idempotency_key: meta.idempotency_key.map(|raw| text(Some(raw)).unwrap_or_default().into_owned()),
    }
}

/// Name and version of a client, as `name/version`.
pub(super) fn implementation(info: Option<Raw<'_>>) -> Option<String> {
    let info = Implementation::of(info?.get()).ok()?;
    let name = claim(info.name)?;
    Some(match claim(info.version) {
        Some(version) => cleaned(&format!("{name}/{version}")).unwrap_or(name),
        None => name,
    })
}

/// `text` with at most 200 bytes and no control characters; nothing if nothing is left.
pub(super) fn cleaned(text: &str) -> Option<String> {
    let kept: String = text.chars().take(MAX_CLAIM_BYTES).filter(|c| !misleads(*c)).collect();
    let kept = bounded(&kept, MAX_CLAIM_BYTES).trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

fn flag(raw: Raw<'_>) -> Option<bool> {
    raw.get().parse().ok()
}

fn claim(raw: Option<Raw<'_>>) -> Option<String> {
    cleaned(&text(raw)?)
}

/// Codex sends the turn as an object; as a header it was JSON in a string.
fn turn<'a>(raw: Option<Raw<'a>>, text: Option<&'a str>) -> TurnClaims<'a> {
    text.or(raw.map(Raw::get)).and_then(|text| TurnClaims::of(text).ok()).unwrap_or_default()
}

/// What is kept of a `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) id: String,
    pub(super) sampled: bool,
}

/// The trace that a `traceparent` names (W3C Trace Context, section 3.2).
fn trace(traceparent: &str) -> Option<Trace> {
    let mut fields = traceparent.split('-');
    let (version, trace, span, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let hex = |field: &str, len: usize| {
        field.len() == len && field.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |field: &str| field.bytes().all(|b| b == b'0');
    let well_formed = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    let known = version != "ff" && (version != "00" || fields.next().is_none());
    let sampled = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
    let trace = Trace { id: trace.to_owned(), sampled };
    (well_formed && known && !zero(&trace.id) && !zero(span)).then_some(trace)
}

/// What a `User-Agent` header says of the client.
pub(super) fn user_agent(header: Option<&http::HeaderValue>) -> Option<String> {
    let bytes = header?.as_bytes();
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes.get(..bytes.len().min(400)).unwrap_or_default());
    cleaned(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(meta: &serde_json::Value) -> Claims {
        let text = meta.to_string();
        read(
            &Meta::read(Some(Raw::read(&text).expect("JSON"))).expect("meta"),
            Some("from-elsewhere".into()),
            Aside::default(),
        )
    }

    #[test]
    fn the_key_of_a_write_is_kept_as_it_is_and_never_left_out() {
        let key = |meta: serde_json::Value| claims(&meta).idempotency_key;
        let name = "dev.quaymaster/idempotencyKey";
        assert_eq!(key(json!({})), None);
        assert_eq!(key(json!({name: "a\u{1}b"})).as_deref(), Some("a\u{1}b"));
        assert_eq!(key(json!({name: "k".repeat(500)})).map(|key| key.len()), Some(500));
        assert_eq!(key(json!({name: 7})).as_deref(), Some(""), "which no write may have");
    }

    #[test]
    fn what_codex_says_of_a_call_is_kept() {
        let turn = json!({
            "session_id": "s-1", "thread_id": "t-1", "turn_id": "u-1", "parent_thread_id": "t-0",
            "model": "gpt-5.2-codex", "sandbox_mode": "read-only", "thread_source": "user",
            "auto_review_enabled": true
        });
        let expected = Claims {
            agent: AgentClaims {
                auto_review: Some(true),
                call: Some("call_9".into()),
                client: Some("from-elsewhere".into()),
                model: Some("gpt-5.2-codex".into()),
                parent_thread: Some("t-0".into()),
                sandbox_mode: Some("read-only".into()),
                session: Some("s-1".into()),
                thread: Some("t-1".into()),
            },
            trace: None,
            idempotency_key: None,
            correlation_id: Some("u-1".into()),
        };
        assert_eq!(claims(&json!({"callId": "call_9", "x-codex-turn-metadata": turn})), expected);
        assert_eq!(claims(&json!({"callId": "call_9", "x-codex-turn-metadata": turn.to_string()})), expected);
    }

    #[test]
    fn what_a_header_says_counts_where_the_message_says_nothing() {
        let of = |meta: serde_json::Value, turn: &str| {
            let text = meta.to_string();
            let meta = Meta::read(Some(Raw::read(&text).expect("JSON"))).expect("meta");
            let agent = read(&meta, None, Aside { traceparent: None, turn: Some(turn) }).agent;
            (agent.thread, agent.parent_thread)
        };
        let turn = r#"{"thread_id": "t-1", "parent_thread_id": "t-0"}"#;
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of(json!({}), turn), (text("t-1"), text("t-0")));
        assert_eq!(of(json!({"threadId": "t-2"}), turn), (text("t-2"), text("t-0")));
        assert_eq!(of(json!({"x-codex-turn-metadata": {"thread_id": "t-3"}}), turn), (text("t-3"), None));
        for bad in ["", "t-1", "[]", &format!(r#"{{"thread_id": "{}"}}"#, "t".repeat(MAX_TURN_BYTES))] {
            assert_eq!(of(json!({}), bad), (None, None), "{bad}");
        }
    }

    #[test]
    fn a_claim_cannot_pose_as_something_else() {
        let long = "é".repeat(300);
        let claims = claims(&json!({
            "callId": "a\u{1b}[2J\nb\u{202e}c", "threadId": long, "sessionId": {"not": "text"},
            "io.modelcontextprotocol/clientInfo": {"name": "x\r\n", "version": 3},
        }));
        assert_eq!(claims.agent.call.as_deref(), Some("a[2Jbc"));
        assert_eq!(claims.agent.thread.map(|t| t.len()), Some(200));
        assert_eq!(claims.agent.session, None);
        assert_eq!(claims.agent.client.as_deref(), Some("x"));
    }

    #[test]
    fn a_trace_id_is_taken_only_from_a_well_formed_traceparent() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
        let named = trace(good).expect("a trace");
        assert_eq!((named.id.as_str(), named.sampled), ("0af7651916cd43dd8448eb211c80319c", true));
        assert!(!trace(&good.replace("-01", "-00")).expect("a trace").sampled);
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7",
            "00-0AF7651916CD43DD8448EB211C80319C-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
            "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(trace(bad), None, "{bad}");
        }
        let meta = json!({"traceparent": good});
        assert_eq!(
            claims(&meta).trace.map(|trace| trace.id).as_deref(),
            Some("0af7651916cd43dd8448eb211c80319c")
        );
    }
}

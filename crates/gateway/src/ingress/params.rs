//! What ingress reads of `params` and of `_meta`, and nothing more.
//!
//! Members that it does not know stay unread. One that it knows and that is
//! there twice is an error, so that no two readers can see different values.

use std::borrow::Cow;

use quaymaster_core::raw::{Members, Raw};

use super::refusal::{Refusal, bounded};

macro_rules! members {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $key:literal,)* }) => {
        $(#[$doc])*
        ///
        /// A member that is there with any value, `null` included, is told apart from one that is not.
        #[derive(Clone, Debug, Default)]
        pub(super) struct $name<'a> {
            $(pub(super) $field: Option<Raw<'a>>,)*
        }

        impl<'a> Known<'a> for $name<'a> {
            fn place(&mut self, name: &str) -> Option<&mut Option<Raw<'a>>> {
                match name {
                    $($key => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

/// An object of which some members are known.
pub(super) trait Known<'a>: Default {
    /// Where the member `name` belongs, if it is known.
    fn place(&mut self, name: &str) -> Option<&mut Option<Raw<'a>>>;

    /// Reads the known members of the object that `text` is.
    fn of(text: &'a str) -> Result<Self, String> {
        let mut known = Self::default();
        for member in Members::read(text).map_err(|e| e.to_string())? {
            let (name, value) = member.map_err(|e| e.to_string())?;
            let place = known.place(&name);
            if place.is_some_and(|place| place.replace(value).is_some()) {
                return Err(format!("the member `{name}` is repeated"));
            }
        }
        Ok(known)
    }
}

members! {
    /// The members of `params`.
    Params {
        meta = "_meta",
        name = "name",
        arguments = "arguments",
        uri = "uri",
        reference = "ref",
        argument = "argument",
        context = "context",
        level = "level",
        notifications = "notifications",
        cursor = "cursor",
        request_id = "requestId",
        protocol_version = "protocolVersion",
        client_info = "clientInfo",
        capabilities = "capabilities",
        request_state = "requestState",
        input_responses = "inputResponses",
        task = "task",
        task_id = "taskId",
    }
}

members! {
    /// The members of `params._meta`.
    Meta {
        protocol_version = "io.modelcontextprotocol/protocolVersion",
        client_capabilities = "io.modelcontextprotocol/clientCapabilities",
        client_info = "io.modelcontextprotocol/clientInfo",
        log_level = "io.modelcontextprotocol/logLevel",
        progress_token = "progressToken",
        traceparent = "traceparent",
        call_id = "callId",
        idempotency_key = "dev.quaymaster/idempotencyKey",
        thread_id = "threadId",
        session_id = "sessionId",
        turn = "x-codex-turn-metadata",
    }
}

members! {
    /// What values are wanted for (MCP 2026-07-28, server/utilities/completion).
    Reference {
        kind = "type",
        name = "name",
        uri = "uri",
    }
}

members! {
    /// What a client calls itself.
    Implementation {
        name = "name",
        version = "version",
    }
}

members! {
    /// What Codex says of the turn that a call belongs to.
    TurnClaims {
        session_id = "session_id",
        thread_id = "thread_id",
        turn_id = "turn_id",
        parent_thread_id = "parent_thread_id",
        model = "model",
        sandbox_mode = "sandbox_mode",
        auto_review_enabled = "auto_review_enabled",
    }
}

impl<'a> Params<'a> {
    /// Reads the parameters of a message; none at all are the empty object.
    pub(super) fn read(raw: Option<Raw<'a>>) -> Result<Self, Refusal> {
        raw.map_or_else(|| Ok(Self::default()), |raw| object(raw, "params"))
    }
}

impl<'a> Meta<'a> {
    /// Reads `_meta`; none at all is the empty object.
    pub(super) fn read(raw: Option<Raw<'a>>) -> Result<Self, Refusal> {
        raw.map_or_else(|| Ok(Self::default()), |raw| object(raw, "_meta"))
    }
}

fn object<'a, T: Known<'a>>(raw: Raw<'a>, what: &str) -> Result<T, Refusal> {
    if !raw.get().starts_with('{') {
        return Err(Refusal::malformed(format!("`{what}` must be an object")));
    }
    T::of(raw.get())
        .map_err(|error| Refusal::malformed(format!("`{what}` cannot be read: {}", bounded(&error, 200))))
}

/// The string that `raw` is, if it is one.
pub(super) fn text(raw: Option<Raw<'_>>) -> Option<Cow<'_, str>> {
    raw?.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw<'_> {
        Raw::read(text).expect("JSON")
    }

    #[test]
    fn a_known_member_that_is_there_twice_is_refused_even_when_spelled_otherwise() {
        for params in [r#"{"name":"a","name":"b"}"#, r#"{"name":"a","n\u0061me":"b"}"#] {
            let refusal = Params::read(Some(raw(params))).expect_err("twice");
            assert!(
                refusal.message.starts_with("`params` cannot be read: the member `name` is repeated"),
                "{}",
                refusal.message
            );
        }
    }

    #[test]
    fn an_array_is_not_taken_for_an_object() {
        let refusal = Meta::read(Some(raw(r#"["2026-07-28"]"#))).expect_err("an array");
        assert_eq!(refusal.message, "`_meta` must be an object");
    }

    #[test]
    fn null_is_a_value() {
        let params = raw(r#"{"cursor":null}"#);
        assert_eq!(Params::read(Some(params)).expect("params").cursor.map(Raw::get), Some("null"));
    }

    #[test]
    fn only_a_string_is_text() {
        assert_eq!(text(Some(raw(r#""a\u0062""#))).as_deref(), Some("ab"));
        for other in ["1", "null", "[]", r#"{"a":"b"}"#] {
            assert_eq!(text(Some(raw(other))), None);
        }
    }
}

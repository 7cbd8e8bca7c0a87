//! Asking an issuer whether a token counts (RFC 7662).
//!
//! Invariants:
//! - A token is shown to the issuer that it belongs to and to nobody else.
//! - An issuer that cannot be asked lets nobody in.
//! - How many questions are under way is bounded, and what an issuer refused is not
//!   asked again for a while.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quaymaster_core::json::parse_strict;
use quaymaster_core::{CallError, ErrorCode, Memory, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::checked::IntrospectionSettings;
use super::jwt::Claims;
use super::web::{ANSWER_LIMIT, Form, Web};

/// Most questions to one issuer that are under way.
const MAX_QUESTIONS: usize = 16;

/// One issuer, as far as it is asked about tokens.
#[derive(Debug)]
pub(super) struct Introspection {
    pub(super) settings: IntrospectionSettings,
    authorization: Zeroizing<String>,
    room: Semaphore,
    /// The tokens that do not count, by their hashes, and when that was heard.
    refused: Memory<[u8; 32], Timestamp>,
}

impl Introspection {
    pub(super) fn new(settings: IntrospectionSettings, secret: &SecretString) -> Self {
        let authorization = basic(&settings.client_id, secret);
        Self { settings, authorization, room: Semaphore::new(MAX_QUESTIONS), refused: Memory::default() }
    }

    /// How long what the issuer said of a token counts.
    pub(super) fn lasting(&self) -> Duration {
        self.settings.cache
    }

    /// What the issuer at `endpoint` says of `token`; none if it does not count.
    ///
    /// # Errors
    ///
    /// `gateway.overloaded` or `gateway.internal` if the issuer could not be asked.
    pub(super) async fn ask(
        &self,
        web: &dyn Web,
        endpoint: &str,
        (token, hash): (&str, [u8; 32]),
        now: Timestamp,
    ) -> Result<Option<Claims>, CallError> {
        let is_known = |at: Timestamp| now >= at && now.since(at) < self.settings.cache;
        if self.refused.get(&hash).is_some_and(is_known) {
            return Ok(None);
        }
        let Ok(Ok(_room)) = timeout(ANSWER_LIMIT, self.room.acquire()).await else {
            let message = "too many tokens are being checked";
            return Err(
                CallError::new(ErrorCode::GatewayOverloaded, message).retry_after(Duration::from_secs(1))
            );
        };
        let form = Form {
            fields: Zeroizing::new(format!("token={}&token_type_hint=access_token", encoded(token))),
            authorization: Some(self.authorization.clone()),
        };
        let unanswered = |error: String| {
            tracing::warn!(
                event = "identity.introspection",
                error,
                "an issuer could not be asked about a token"
            );
            CallError::new(ErrorCode::GatewayInternal, "the token cannot be checked at the moment")
        };
        let text = web.ask(endpoint, Some(form)).await.map_err(|error| unanswered(error.to_string()))?;
        let Ok(Value::Object(answer)) = parse_strict(&text) else {
            return Err(unanswered("the answer is not an object".into()));
        };
        if counts(&answer) {
            return Ok(Some(answer));
        }
        self.refused.insert(hash, now);
        Ok(None)
    }
}

/// Whether the answer says that it is an access token that counts.
fn counts(answer: &Claims) -> bool {
    let is_access = answer.get("token_type").is_none_or(|named| {
        named.as_str().is_some_and(|named| {
            named.eq_ignore_ascii_case("bearer") || named.eq_ignore_ascii_case("access_token")
        })
    });
    answer.get("active") == Some(&Value::Bool(true)) && is_access
}

/// The value of `Authorization` by which a client of an issuer says who it is.
pub(super) fn basic(client_id: &str, secret: &SecretString) -> Zeroizing<String> {
    // RFC 6749, section 2.3.1: both are encoded as in a form before they are put together.
    let secret = Zeroizing::new(encoded(secret.expose_secret()));
    let pair = Zeroizing::new(format!("{}:{}", encoded(client_id), secret.as_str()));
    Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

/// `text` as a form and a query have it.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'*') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_active_access_token_counts() {
        let counts = |answer: Value| counts(answer.as_object().expect("an object"));
        assert!(counts(json!({"active": true})));
        assert!(counts(json!({"active": true, "token_type": "Bearer"})));
        for answer in [
            json!({}),
            json!({"active": "true"}),
            json!({"active": 1}),
            json!({"active": false, "token_type": "Bearer"}),
            json!({"active": true, "token_type": "refresh_token"}),
            json!({"active": true, "token_type": "DPoP"}),
        ] {
            assert!(!counts(answer.clone()), "{answer}");
        }
    }

    #[test]
    fn what_is_sent_is_one_field_whatever_is_in_it() {
        assert_eq!(encoded("a&b=c d+é"), "a%26b%3Dc%20d%2B%C3%A9");
    }
}

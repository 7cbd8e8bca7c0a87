//! Tokens that are JSON Web Tokens (RFC 7519, RFC 9068): read, and judged by their claims.
//!
//! Reading believes nothing: what a token says of itself counts once its signature
//! was verified by a key of its issuer (`keys`). Every check is here and in `issuer`.
//!
//! Invariants:
//! - A token has one meaning: strict base64url, strict JSON, no member twice.
//! - Where a token says that a key is (`jku`, `x5u`, `jwk`, `x5c`) is never looked at.
//! - An extension that a token calls critical is one that we do not know (RFC 7515, section 4.1.11).
//! - What is bound to a key of its client (`cnf`) is no bearer token (RFC 9449, section 7.2).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quaymaster_core::Timestamp;
use quaymaster_core::json::parse_strict;
use serde_json::{Map, Value};

use super::keys::SignatureAlgorithm;

/// Most bytes of a token.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Most bytes of the name of a key.
const MAX_KEY_ID_BYTES: usize = 256;
/// Most items of a list among the claims: what goes through one goes through few.
const MAX_ITEMS: usize = 500;

/// Claims that ID tokens have and access tokens do not (`OpenID` Connect Core, sections 2 and 3).
const OF_ID_TOKENS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

/// Why a token does not count. For our log; its bearer learns only that it does not.
pub(super) type Fault = &'static str;

/// The claims of a token.
pub(super) type Claims = Map<String, Value>;

/// A token that was taken apart. Nothing of it is verified.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) key_id: Option<String>,
    /// Whether it says that it is an access token (RFC 9068, section 2.1).
    is_typed: bool,
    /// What the signature is of.
    pub(super) message: &'a str,
    pub(super) signature: Vec<u8>,
    pub(super) claims: Claims,
}

/// Whether `token` has the form of a JSON Web Token. Others are opaque.
pub(super) fn is_jwt(token: &str) -> bool {
    token.split('.').count() == 3
}

impl<'a> Unverified<'a> {
    /// Takes `token` apart.
    pub(super) fn read(token: &'a str) -> Result<Self, Fault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err("too long");
        }
        let (message, signature) = token.rsplit_once('.').ok_or("not three parts")?;
        let (header, claims) = message.split_once('.').ok_or("not three parts")?;
        let header = object(header)?;
        if header.contains_key("crit") {
            return Err("a critical extension");
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err("a header that is not text"),
        };
        let is_typed = match text("typ")?.map(str::to_ascii_lowercase).as_deref() {
            Some("at+jwt" | "application/at+jwt") => true,
            Some("jwt") | None => false,
            Some(_) => return Err("a token of another type"),
        };
        let algorithm =
            text("alg")?.and_then(SignatureAlgorithm::named).ok_or("an algorithm that is not taken")?;
        let key_id = text("kid")?.map(ToOwned::to_owned);
        if key_id.as_ref().is_some_and(|id| id.len() > MAX_KEY_ID_BYTES) {
            return Err("the name of the key is too long");
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "not base64url")?;
        Ok(Self { algorithm, key_id, is_typed, message, signature, claims: object(claims)? })
    }

    /// The issuer that the token names.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// Refuses what an issuer signed for another purpose than access. ID tokens are signed by
    /// the same keys; some issuers say so in a claim of their own.
    pub(super) fn check_purpose(&self) -> Result<(), Fault> {
        let says = |name: &str, purposes: &[&str]| {
            let claim = self.claims.get(name).and_then(Value::as_str);
            claim.is_some_and(|claim| purposes.iter().any(|purpose| claim.eq_ignore_ascii_case(purpose)))
        };
        if says("typ", &["id", "refresh", "offline", "logout"]) || says("token_use", &["id", "refresh"]) {
            return Err("not an access token");
        }
        if !self.is_typed && OF_ID_TOKENS.iter().any(|name| self.claims.contains_key(*name)) {
            return Err("an ID token");
        }
        Ok(())
    }

    /// Refuses what an issuer signed for another purpose than to say who logged in: access tokens,
    /// and the messages that it sends about sessions (`OpenID` Connect Back-Channel Logout, section 2.4).
    pub(super) fn check_is_id_token(&self) -> Result<(), Fault> {
        let is = |name: &str, purpose: &str| {
            let claim = self.claims.get(name).and_then(Value::as_str);
            claim.is_none_or(|claim| claim.eq_ignore_ascii_case(purpose))
        };
        let is_other = self.is_typed || self.claims.contains_key("events");
        if is_other || !is("typ", "id") || !is("token_use", "id") {
            return Err("not an ID token");
        }
        Ok(())
    }
}

fn object(part: &str) -> Result<Claims, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "not base64url")?;
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8")?;
    match parse_strict(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("not an object"),
        Err(_) => Err("not JSON with one meaning"),
    }
}

/// Checks what is alike for tokens of every form, and gives when the token ends: with the skew that
/// is allowed, so that a token counts until then and no longer.
///
/// A token counts until `exp` and not at it (RFC 7519, section 4.1.4).
pub(super) fn check_times(claims: &Claims, now: Timestamp, skew: Duration) -> Result<Timestamp, Fault> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().and_then(instant).map(Some).ok_or("a time that is none"),
    };
    let expires = time("exp")?.ok_or("without an end")?.after(skew);
    if now >= expires {
        return Err("expired");
    }
    if time("nbf")?.is_some_and(|from| now.after(skew) < from) {
        return Err("not yet valid");
    }
    if time("iat")?.is_some_and(|at| now.after(skew) < at) {
        return Err("issued in the future");
    }
    Ok(expires)
}

/// Checks that a token is for whoever bears it, and that its lists are bounded.
pub(super) fn check_form(claims: &Claims) -> Result<(), Fault> {
    if claims.contains_key("cnf") {
        return Err("bound to a key of its client");
    }
    if claims.values().any(is_long) {
        return Err("a list that is too long");
    }
    Ok(())
}

fn is_long(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.len() > MAX_ITEMS || items.iter().any(is_long),
        Value::Object(members) => members.len() > MAX_ITEMS || members.values().any(is_long),
        _ => false,
    }
}

/// Seconds since the epoch, as a token has them.
fn instant(seconds: f64) -> Option<Timestamp> {
    // Beyond the year 9999 it is no time, and the conversion is exact enough below.
    let micros =
        (0.0..=253_402_300_800.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds).as_micros())?;
    u64::try_from(micros).ok().map(Timestamp::from_micros)
}

/// Whom a token is for: `aud`, a text or a list of texts.
pub(super) fn audiences(claims: &Claims) -> Vec<String> {
    texts(claims.get("aud"))
}

/// The scopes of a token: `scope`, texts with spaces between (RFC 9068, section 2.2.3), or `scp`,
/// by which some issuers mean the same.
pub(super) fn scopes(claims: &Claims) -> Vec<String> {
    let listed = texts(claims.get("scope").or_else(|| claims.get("scp")));
    let mut scopes: Vec<String> =
        listed.iter().flat_map(|text| text.split(' ')).map(ToOwned::to_owned).collect();
    scopes.retain(|scope| !scope.is_empty());
    scopes.sort();
    scopes.dedup();
    scopes
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    fn fault(header: &str, claims: &str) -> Option<Fault> {
        let token = token(header, claims);
        Unverified::read(&token).and_then(|read| read.check_purpose()).err()
    }

    #[test]
    fn a_token_of_another_kind_is_not_taken_apart() {
        for (header, expected) in [
            (r#"{"alg":"none"}"#, "an algorithm that is not taken"),
            (r#"{"alg":"None"}"#, "an algorithm that is not taken"),
            (r#"{"alg":"HS256"}"#, "an algorithm that is not taken"),
            (r#"{"alg":["RS256"]}"#, "a header that is not text"),
            ("{}", "an algorithm that is not taken"),
            (r#"{"alg":"RS256","alg":"none"}"#, "not JSON with one meaning"),
            (r#"{"alg":"RS256","crit":[]}"#, "a critical extension"),
            (r#"{"alg":"RS256","typ":"logout+jwt"}"#, "a token of another type"),
            (r#"{"alg":"RS256","typ":"dpop+jwt"}"#, "a token of another type"),
            (r#"["RS256"]"#, "not an object"),
        ] {
            assert_eq!(fault(header, "{}"), Some(expected), "{header}");
        }
        assert_eq!(
            fault(r#"{"alg":"RS256"}"#, r#"{"sub":"a","sub":"b"}"#),
            Some("not JSON with one meaning")
        );
        assert_eq!(Unverified::read(&"a".repeat(MAX_TOKEN_BYTES + 1)).err(), Some("too long"));
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(MAX_KEY_ID_BYTES + 1));
        assert_eq!(fault(&long, "{}"), Some("the name of the key is too long"));
        let padded = token(r#"{"alg":"RS256"}"#, "{}").replace('.', "=.");
        assert_eq!(Unverified::read(&padded).err(), Some("not base64url"));
    }

    proptest! {
        #[test]
        fn whatever_somebody_sends_is_read_or_refused(
            text in "[A-Za-z0-9_.=-]{0,200}", header in "\\PC{0,80}", claims in "\\PC{0,80}"
        ) {
            prop_assert!(Unverified::read(&text).is_err());
            prop_assert!(Unverified::read(&token(&header, &claims)).is_err());
        }

        #[test]
        fn no_time_is_before_the_epoch_or_overflows(seconds in any::<f64>(), skew in 0..300_u64) {
            let claims = json!({"exp": seconds, "nbf": seconds, "iat": seconds});
            let now = Timestamp::from_micros(1_000_000_000);
            let checked = check_times(claims.as_object().expect("claims"), now, Duration::from_secs(skew));
            if let Ok(ends) = checked {
                prop_assert!(ends > now);
            }
        }
    }

    #[test]
    fn an_id_token_is_not_an_access_token() {
        for claims in [r#"{"nonce":"n"}"#, r#"{"at_hash":"h"}"#, r#"{"typ":"ID"}"#, r#"{"token_use":"id"}"#] {
            assert!(fault(r#"{"alg":"RS256","typ":"JWT"}"#, claims).is_some(), "{claims}");
        }
        assert_eq!(fault(r#"{"alg":"RS256","typ":"at+jwt"}"#, r#"{"nonce":"n"}"#), None);
        assert_eq!(fault(r#"{"alg":"RS256","typ":"Application/AT+JWT"}"#, "{}"), None);
        assert_eq!(fault(r#"{"alg":"ES256"}"#, r#"{"typ":"Bearer"}"#), None);
    }

    #[test]
    fn an_access_token_and_a_message_about_a_session_are_not_id_tokens() {
        let fault = |header: &str, claims: &str| {
            let token = token(header, claims);
            Unverified::read(&token).and_then(|read| read.check_is_id_token()).err()
        };
        for (header, claims) in [
            (r#"{"alg":"RS256","typ":"at+jwt"}"#, r#"{"nonce":"n"}"#),
            (r#"{"alg":"RS256"}"#, r#"{"typ":"Bearer"}"#),
            (r#"{"alg":"RS256"}"#, r#"{"token_use":"access"}"#),
            (r#"{"alg":"RS256"}"#, r#"{"events":{}}"#),
            (r#"{"alg":"RS256","typ":"logout+jwt"}"#, "{}"),
        ] {
            assert!(fault(header, claims).is_some(), "{header} {claims}");
        }
        assert_eq!(fault(r#"{"alg":"RS256","typ":"JWT"}"#, r#"{"typ":"ID","token_use":"id"}"#), None);
    }

    #[test]
    fn a_token_counts_from_its_beginning_to_just_before_its_end() {
        let now = Timestamp::from_micros(1_000_000_000);
        let check = |claims: Value| {
            let claims = claims.as_object().expect("claims").clone();
            check_times(&claims, now, Duration::from_mins(1)).map(Timestamp::as_secs)
        };
        assert_eq!(check(json!({"exp": 1_000})), Ok(1_060));
        assert_eq!(check(json!({"exp": 940.5})), Ok(1_000));
        assert_eq!(check(json!({"exp": 940})), Err("expired"));
        assert_eq!(check(json!({})), Err("without an end"));
        for bad in [json!("1000"), json!(-1), json!(1e15), json!(null)] {
            assert_eq!(check(json!({"exp": bad})), Err("a time that is none"), "{bad}");
        }
        assert_eq!(check(json!({"exp": 2_000, "nbf": 1_060, "iat": 1_060})), Ok(2_060));
        assert_eq!(check(json!({"exp": 2_000, "nbf": 1_061})), Err("not yet valid"));
        assert_eq!(check(json!({"exp": 2_000, "iat": 1_061})), Err("issued in the future"));
    }

    #[test]
    fn scopes_and_audiences_are_texts_or_lists_of_texts() {
        let claims = |claims: Value| claims.as_object().expect("claims").clone();
        assert_eq!(scopes(&claims(json!({"scope": "b a  b"}))), ["a", "b"]);
        assert_eq!(scopes(&claims(json!({"scp": ["a", "b c", 7]}))), ["a", "b", "c"]);
        assert_eq!(scopes(&claims(json!({"scope": {"a": 1}}))), [""; 0]);
        assert_eq!(audiences(&claims(json!({"aud": "a"}))), ["a"]);
        assert_eq!(audiences(&claims(json!({"aud": ["a", null, "b"]}))), ["a", "b"]);
    }
}

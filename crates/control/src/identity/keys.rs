//! The public keys of an issuer, and signatures by them (RFC 7517, RFC 7515).
//!
//! Invariants:
//! - Symmetric and private keys are left out: a key that signs must not be public,
//!   and a public key must not become the secret of an HMAC.
//! - Which algorithms a key serves follows from the key: its type, its curve and its
//!   `alg`. A token's header has to agree and never decides.

use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use quaymaster_core::json::parse_strict;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Most keys that an issuer may publish.
const MAX_KEYS: usize = 100;

/// The members of a key that only its owner has (RFC 7518, section 6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// An algorithm by which an issuer signs (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SignatureAlgorithm {
    /// RSA, PKCS #1 v1.5, SHA-256.
    RS256,
    /// RSA, PKCS #1 v1.5, SHA-384.
    RS384,
    /// RSA, PKCS #1 v1.5, SHA-512.
    RS512,
    /// RSA, PSS, SHA-256.
    PS256,
    /// RSA, PSS, SHA-384.
    PS384,
    /// RSA, PSS, SHA-512.
    PS512,
    /// ECDSA over P-256, SHA-256.
    ES256,
    /// ECDSA over P-384, SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl SignatureAlgorithm {
    const RSA: [Self; 6] = [Self::RS256, Self::RS384, Self::RS512, Self::PS256, Self::PS384, Self::PS512];
    const ALL: [(&'static str, Self, Algorithm); 9] = [
        ("RS256", Self::RS256, Algorithm::RS256),
        ("RS384", Self::RS384, Algorithm::RS384),
        ("RS512", Self::RS512, Algorithm::RS512),
        ("PS256", Self::PS256, Algorithm::PS256),
        ("PS384", Self::PS384, Algorithm::PS384),
        ("PS512", Self::PS512, Algorithm::PS512),
        ("ES256", Self::ES256, Algorithm::ES256),
        ("ES384", Self::ES384, Algorithm::ES384),
        ("EdDSA", Self::EdDSA, Algorithm::EdDSA),
    ];

    /// The algorithm of this name; none for `none`, HMAC and whatever else is not asymmetric.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, ..)| *known == name).map(|(_, algorithm, _)| *algorithm)
    }

    fn in_jose(self) -> Option<Algorithm> {
        Self::ALL.iter().find(|(_, known, _)| *known == self).map(|(.., algorithm)| *algorithm)
    }
}

/// A key that verifies.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    public: DecodingKey,
    algorithms: Vec<SignatureAlgorithm>,
}

impl Key {
    /// Whether `signature` of `message` was made with the other half of this key.
    pub(super) fn verifies(&self, algorithm: SignatureAlgorithm, message: &str, signature: &Vec<u8>) -> bool {
        // Not through the process-wide provider: another crate's features could change what that is.
        let verifier = algorithm
            .in_jose()
            .and_then(|jose| (DEFAULT_PROVIDER.verifier_factory)(&jose, &self.public).ok());
        verifier.is_some_and(|verifier| verifier.verify(message.as_bytes(), signature).is_ok())
    }
}

/// The keys that an issuer publishes.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

impl KeySet {
    /// Reads a JWK set. What is in it besides public keys for signatures is left out.
    ///
    /// # Errors
    ///
    /// Says so if it is not a JWK set or has too many keys.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let set = parse_strict(text).map_err(|error| error.to_string())?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("not a JWK set: there are no `keys`")?;
        if keys.len() > MAX_KEYS {
            return Err(format!("more than {MAX_KEYS} keys"));
        }
        Ok(Self(keys.iter().filter_map(Value::as_object).filter_map(key).collect()))
    }

    /// Whether there is a key that `id` names. A token that names none may mean the only one.
    pub(super) fn has(&self, id: Option<&str>) -> bool {
        match id {
            Some(id) => self.0.iter().any(|key| key.id.as_deref() == Some(id)),
            None => !self.0.is_empty(),
        }
    }

    /// The one key that `id` names and that serves `algorithm`. Two such keys are none: which was
    /// meant would be decided by trying.
    pub(super) fn find(&self, id: Option<&str>, algorithm: SignatureAlgorithm) -> Option<&Key> {
        let named = |key: &&Key| match id {
            Some(id) => key.id.as_deref() == Some(id),
            None => self.0.len() == 1,
        };
        let mut found = self.0.iter().filter(named).filter(|key| key.algorithms.contains(&algorithm));
        found.next().filter(|_| found.next().is_none())
    }
}

fn key(jwk: &Map<String, Value>) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
        tracing::warn!(
            event = "identity.key",
            kid = text("kid"),
            "a published key is not public and is left out"
        );
        return None;
    }
    let serves = match (jwk.get("use"), jwk.get("key_ops")) {
        (Some(of), _) if of.as_str() != Some("sig") => false,
        (_, Some(operations)) => {
            operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"))
        }
        _ => true,
    };
    let (key, possible) = match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            (DecodingKey::from_rsa_components(text("n")?, text("e")?), SignatureAlgorithm::RSA.as_slice())
        }
        ("EC", Some("P-256")) => {
            (DecodingKey::from_ec_components(text("x")?, text("y")?), [SignatureAlgorithm::ES256].as_slice())
        }
        ("EC", Some("P-384")) => {
            (DecodingKey::from_ec_components(text("x")?, text("y")?), [SignatureAlgorithm::ES384].as_slice())
        }
        ("OKP", Some("Ed25519")) => {
            (DecodingKey::from_ed_components(text("x")?), [SignatureAlgorithm::EdDSA].as_slice())
        }
        _ => return None,
    };
    let algorithms = match jwk.get("alg") {
        None => possible.to_vec(),
        Some(named) => {
            let named = named.as_str().and_then(SignatureAlgorithm::named);
            named.filter(|algorithm| possible.contains(algorithm)).into_iter().collect()
        }
    };
    let id = jwk.get("kid").map_or(Some(None), |id| id.as_str().map(|id| Some(id.to_owned())))?;
    (serves && !algorithms.is_empty()).then_some(Key { id, public: key.ok()?, algorithms })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = r#""kty":"RSA","n":"AQAB","e":"AQAB""#;

    fn ids(keys: &str) -> Vec<String> {
        let set = KeySet::parse(&format!(r#"{{"keys":[{keys}]}}"#)).expect("a set");
        set.0.into_iter().map(|key| format!("{:?} {:?}", key.id, key.algorithms)).collect()
    }

    #[test]
    fn only_public_keys_that_sign_are_taken() {
        for left_out in [
            r#"{"kty":"oct","k":"c2VjcmV0","kid":"a"}"#.to_owned(),
            format!(r#"{{{RSA},"d":"AQAB"}}"#),
            format!(r#"{{{RSA},"use":"enc"}}"#),
            format!(r#"{{{RSA},"use":7}}"#),
            format!(r#"{{{RSA},"key_ops":["encrypt"]}}"#),
            format!(r#"{{{RSA},"alg":"HS256"}}"#),
            format!(r#"{{{RSA},"alg":"none"}}"#),
            format!(r#"{{{RSA},"alg":"ES256"}}"#),
            format!(r#"{{{RSA},"kid":7}}"#),
            r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#.to_owned(),
            r#"{"kty":"RSA","n":"not base64!","e":"AQAB"}"#.to_owned(),
            r#"["kty"]"#.to_owned(),
        ] {
            assert_eq!(ids(&left_out), [""; 0], "{left_out}");
        }
        assert_eq!(
            ids(&format!(r#"{{{RSA},"alg":"PS256","kid":"a","use":"sig"}}"#)),
            ["Some(\"a\") [PS256]"]
        );
        assert_eq!(ids(r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#), ["None [ES256]"]);
    }

    #[test]
    fn a_set_is_bounded_and_has_one_meaning() {
        let many = vec![format!("{{{RSA}}}"); MAX_KEYS + 1].join(",");
        assert!(KeySet::parse(&format!(r#"{{"keys":[{many}]}}"#)).is_err());
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(KeySet::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_name_and_only_if_there_is_one() {
        let set = |keys: &str| KeySet::parse(&format!(r#"{{"keys":[{keys}]}}"#)).expect("a set");
        let (a, b) = (format!(r#"{{{RSA},"kid":"a"}}"#), format!(r#"{{{RSA},"kid":"b"}}"#));
        let two = set(&format!("{a},{b}"));
        assert!(two.find(Some("a"), SignatureAlgorithm::RS256).is_some());
        assert!(two.find(Some("a"), SignatureAlgorithm::ES256).is_none());
        assert!(two.find(Some("c"), SignatureAlgorithm::RS256).is_none());
        assert!(two.find(None, SignatureAlgorithm::RS256).is_none());
        assert!(set(&a).find(None, SignatureAlgorithm::RS256).is_some());
        assert!(set(&format!("{a},{a}")).find(Some("a"), SignatureAlgorithm::RS256).is_none());
    }
}

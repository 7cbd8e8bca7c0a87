//! Who logged in, by an ID token (`OpenID` Connect Core 1.0, section 3.1.3.7).
//!
//! Taken apart, dated and verified as access tokens are; what makes it an answer to one log-in of
//! one client is here.
//!
//! Invariant: nothing of a token is used before its signature, its issuer, its audience and its nonce fit.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::Value;

use super::LoginError;
use crate::identity::issuer::{Denied, Issuer};
use crate::identity::jwt::{self, Claims, Fault, Unverified};

/// The claims of `token`, which `issuer` gave to the client `client` for a log-in with `nonce`.
pub(super) async fn verify(
    issuer: &Issuer,
    token: &str,
    (client, nonce): (&str, &str),
) -> Result<Claims, LoginError> {
    let read = Unverified::read(token).map_err(LoginError::Invalid)?;
    let judged = || -> Result<(), Fault> {
        read.check_is_id_token()?;
        jwt::check_form(&read.claims)?;
        if read.issuer() != Some(issuer.settings.issuer.as_str()) {
            return Err("of another issuer");
        }
        jwt::check_times(&read.claims, issuer.clock.now(), issuer.settings.skew)?;
        answers(&read.claims, client, nonce)
    };
    judged().map_err(LoginError::Invalid)?;
    match issuer.check_signature(&read).await {
        Ok(()) => Ok(read.claims),
        Err(Denied::Fault(fault)) => Err(LoginError::Invalid(fault)),
        Err(Denied::Unknown(_)) => Err(LoginError::Unavailable("its keys cannot be had")),
    }
}

/// Whether `claims` are for `client` and answer the log-in with `nonce`.
fn answers(claims: &Claims, client: &str, nonce: &str) -> Result<(), Fault> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let audiences = jwt::audiences(claims);
    if !audiences.iter().any(|audience| audience == client) {
        return Err("for another client");
    }
    // Where it is for several, the party that it was given to is us (step 4 and 5 of the section).
    let party = claims.get("azp");
    if audiences.len() > 1 && party.is_none() || party.is_some_and(|party| party.as_str() != Some(client)) {
        return Err("given to another client");
    }
    let is_its_nonce = |found: &str| verify_slices_are_equal(found.as_bytes(), nonce.as_bytes()).is_ok();
    if !text("nonce").is_some_and(is_its_nonce) {
        return Err("for another log-in");
    }
    if !claims.contains_key("iat") {
        return Err("without a beginning");
    }
    match text("sub") {
        Some(subject) if (1..=255).contains(&subject.len()) => Ok(()),
        _ => Err("of nobody"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(other: &Value) -> Option<Fault> {
        let mut claims = json!({"aud": "console", "nonce": "n-1", "iat": 1, "sub": "ada"});
        let claims = claims.as_object_mut().expect("claims");
        for (name, value) in other.as_object().expect("claims") {
            match value {
                Value::Null => claims.shift_remove(name),
                _ => claims.insert(name.clone(), value.clone()),
            };
        }
        answers(claims, "console", "n-1").err()
    }

    #[test]
    fn an_id_token_is_for_this_client_and_this_log_in() {
        for good in [
            json!({}),
            json!({"aud": ["console"]}),
            json!({"azp": "console"}),
            json!({"aud": ["other", "console"], "azp": "console"}),
        ] {
            assert_eq!(fault(&good), None, "{good}");
        }
        for (bad, why) in [
            (json!({"aud": "other"}), "for another client"),
            (json!({"aud": ["consol", "console2"]}), "for another client"),
            (json!({"aud": null}), "for another client"),
            (json!({"aud": {"0": "console"}}), "for another client"),
            (json!({"aud": ["other", "console"]}), "given to another client"),
            (json!({"azp": "other"}), "given to another client"),
            (json!({"azp": ["console"]}), "given to another client"),
            (json!({"nonce": "n-2"}), "for another log-in"),
            (json!({"nonce": ""}), "for another log-in"),
            (json!({"nonce": null}), "for another log-in"),
            (json!({"nonce": ["n-1"]}), "for another log-in"),
            (json!({"iat": null}), "without a beginning"),
            (json!({"sub": null}), "of nobody"),
            (json!({"sub": ""}), "of nobody"),
            (json!({"sub": "a".repeat(256)}), "of nobody"),
        ] {
            assert_eq!(fault(&bad), Some(why), "{bad}");
        }
    }
}

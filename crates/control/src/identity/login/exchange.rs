//! Redeeming a code at its issuer (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
//!
//! Invariant: a code, its verifier and our secret go to the issuer at which the log-in was begun.

use std::sync::Arc;

use quaymaster_core::json::parse_strict;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Begun, Login, LoginError, form, words};
use crate::identity::introspection::basic;
use crate::identity::issuer::Issuer;
use crate::identity::source::Endpoints;
use crate::identity::web::{ANSWER_LIMIT, Form, WebError};

/// What an issuer gives for a code, as far as it is used.
pub(super) struct Said {
    pub(super) id_token: Zeroizing<String>,
    /// What was granted, where that is not what was asked for.
    pub(super) scopes: Option<Vec<String>>,
}

/// Where people log in at `issuer`.
pub(super) async fn endpoints(issuer: &Issuer) -> Result<Endpoints, LoginError> {
    let published = issuer.source.published(|published| published.login.is_some()).await;
    let published = published.as_ref().map(Arc::as_ref);
    let login = published.and_then(|published| published.login.clone());
    login.ok_or(LoginError::Unavailable("it is not known where people log in"))
}

/// Redeems `code`.
pub(super) async fn redeem(
    issuer: &Issuer,
    login: &Login,
    endpoints: &Endpoints,
    (begun, code): (&Begun, &str),
) -> Result<Said, LoginError> {
    let Ok(Ok(_room)) = timeout(ANSWER_LIMIT, login.room.acquire()).await else {
        return Err(LoginError::TooMany);
    };
    let (client, secret) = login.client(begun.is_native)?;
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &begun.redirect_uri),
        ("code_verifier", &begun.verifier),
    ];
    let mut authorization = None;
    match secret {
        // A public client says who it is, and proves nothing.
        None => fields.push(("client_id", client)),
        Some(secret) if endpoints.is_by_post => {
            fields.extend([("client_id", client), ("client_secret", secret.expose_secret())]);
        }
        Some(secret) => authorization = Some(basic(client, secret)),
    }
    let fields = Zeroizing::new(form(&fields));
    let answer = issuer.web.ask(&endpoints.token, Some(Form { fields, authorization })).await;
    let text = Zeroizing::new(answer.map_err(refused)?);
    read(&text)
}

fn refused(error: WebError) -> LoginError {
    match error {
        // The code was used or is over, or the client is none of the issuer's (RFC 6749, section 5.2).
        WebError::Status(400 | 401) => LoginError::Refused("it does not take the code"),
        error => {
            tracing::warn!(event = "identity.login", %error, "a code could not be redeemed");
            LoginError::Unavailable("a code could not be redeemed")
        }
    }
}

fn read(text: &str) -> Result<Said, LoginError> {
    let answer = parse_strict(text).map_err(|_| LoginError::Invalid("an answer that cannot be read"))?;
    let member = |name: &str| answer.get(name).and_then(Value::as_str);
    let id_token = member("id_token").ok_or(LoginError::Invalid("an answer without an ID token"))?;
    Ok(Said { id_token: Zeroizing::new(id_token.to_owned()), scopes: member("scope").map(words) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_an_id_token_and_one_meaning() {
        let read = |text: &str| read(text).map(|said| (said.id_token.to_string(), said.scopes));
        assert_eq!(read(r#"{"id_token":"a.b.c"}"#), Ok(("a.b.c".into(), None)));
        let scoped = read(r#"{"id_token":"a.b.c","access_token":"x","scope":"openid  email"}"#);
        assert_eq!(scoped, Ok(("a.b.c".into(), Some(vec!["openid".into(), "email".into()]))));
        for bad in ["", "[]", "{}", r#"{"id_token":7}"#, r#"{"id_token":"a","id_token":"b"}"#] {
            assert!(matches!(read(bad), Err(LoginError::Invalid(_))), "{bad}");
        }
    }
}

//! Logging in to the console at an issuer: the browser leaves, and comes back with an answer.
//!
//! What is asked of the issuer and what its answer is worth is `quaymaster-control`'s part
//! (`identity`). Here is what binds an answer to a browser: a cookie, sealed, of ten minutes.
//!
//! Invariants:
//! - An answer logs in the browser in which its log-in was begun, once.
//! - An answer that was not asked for changes nothing: no session, no cookie, no log-in that was begun.
//! - The browser goes to the issuer that is configured, and from there to a page of ours.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use quaymaster_control::identity::{Begun, LoginError, LoginWay, Returned};
use quaymaster_control::keyring::Binding;
use quaymaster_core::Timestamp;
use quaymaster_core::text::as_sentence;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::form::Form;
use super::origin::{Keeps, Place};
use super::page::{self, Answer};
use super::{Console, Desk, Guest, UNRECORDED, local_path};

/// How long a log-in may take, at the issuer and back.
const LIFETIME: Duration = Duration::from_mins(10);
/// Most log-ins that are remembered as answered; then nobody logs in until some are forgotten.
const MAX_USED: usize = 4_096;
/// For what a log-in that was begun is sealed.
const PURPOSE: &str = "console-login";

/// What a browser carries to the issuer and back, sealed.
#[derive(Serialize, Deserialize)]
struct Carried {
    begun: Begun,
    /// Where it goes then.
    to: String,
    /// The session in which it was begun: its cookie does not come along on the way back.
    session: String,
}

/// The log-ins that were answered, by the hashes of their states, as long as their cookies open.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<HashMap<[u8; 32], Timestamp>>);

impl Used {
    /// Notes that the log-in with `state` is answered.
    ///
    /// # Errors
    ///
    /// [`LoginError::NotBegun`] if it was before; [`LoginError::TooMany`] if there is no room.
    fn once(&self, state: &str, now: Timestamp) -> Result<(), LoginError> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, at| now < *at || now.since(*at) < LIFETIME);
        let state = Sha256::digest(state.as_bytes()).into();
        if used.contains_key(&state) {
            return Err(LoginError::NotBegun);
        }
        if used.len() >= MAX_USED {
            return Err(LoginError::TooMany);
        }
        used.insert(state, now);
        Ok(())
    }
}

impl Console {
    /// Sends the browser to an issuer.
    pub(super) async fn leave(&self, desk: &Desk, (head, place): (&Parts, &Place), issuer: &str) -> Answer {
        let to = local_path(Form::parse(head.uri.query().unwrap_or_default()).value("to"));
        // Nobody else's page begins a log-in, and so puts away one that was begun.
        if !Place::was_not_led_here(head) {
            return page::sign_in(StatusCode::OK, desk, &to, "");
        }
        match begin(desk, place, issuer, (to, place.kept(head, Keeps::Session))).await {
            Ok((url, sealed)) => Answer::go(&url).with_cookie(place.cookie(Keeps::Login, &sealed, LIFETIME)),
            Err(error) => refused(issuer, &error),
        }
    }

    /// Takes the answer of an issuer that the browser brings.
    pub(super) async fn come_back(
        &self,
        desk: &Desk,
        (head, place): (&Parts, &Place),
        issuer: &str,
    ) -> Answer {
        let query = Form::parse(head.uri.query().unwrap_or_default());
        let sealed = place.kept(head, Keeps::Login);
        let opened = desk.keys.open(&binding(&[place.host()]), &sealed).ok();
        let carried = opened.and_then(|text| serde_json::from_str::<Carried>(&text).ok());
        // What was not begun here is left as it is: whoever sent the browser here spoils nothing.
        let is_its = |carried: &Carried| {
            carried.begun.issuer().as_str() == issuer
                && query.once("state").is_some_and(|state| carried.begun.is_its_state(state))
        };
        let Some(Carried { begun, to, session }) = carried.filter(is_its) else {
            return refused(issuer, &LoginError::NotBegun);
        };
        let away = place.cookie(Keeps::Login, "", Duration::ZERO);
        if let Err(error) = self.used.once(begun.state(), desk.evidence.clock.now()) {
            return refused(issuer, &error).with_cookie(away);
        }
        let returned = Returned {
            state: query.once("state"),
            code: query.once("code"),
            issuer: query.once("iss"),
            error: query.once("error"),
        };
        let (voucher, actor) = match desk.identity.finish_login(&begun, returned).await {
            Ok(finished) => finished,
            Err(error) => return refused(issuer, &error).with_cookie(away),
        };
        let guest = (Guest::Issuer(Arc::new(voucher.clone())), voucher.lifetime());
        match self.open(desk, (head, place), guest, &actor).await {
            Some(cookie) => {
                self.sessions.close(&session);
                page::signed_in(&local_path(&to)).with_cookie(cookie).with_cookie(away)
            }
            None => {
                let code = "audit.unavailable";
                page::not_signed_in(StatusCode::SERVICE_UNAVAILABLE, UNRECORDED, code).with_cookie(away)
            }
        }
    }
}

/// Begins a log-in, and gives where the browser goes and what it keeps.
async fn begin(
    desk: &Desk,
    place: &Place,
    issuer: &str,
    (to, session): (String, String),
) -> Result<(String, String), LoginError> {
    let unavailable = LoginError::Unavailable;
    let base = desk.base.as_deref().ok_or(unavailable("it is not known where the console is"))?;
    let back = format!("{base}/sign-in/{issuer}/callback");
    let randomness = desk.randomness.as_ref();
    let (begun, url) = desk.identity.begin_login(issuer, &back, LoginWay::Console, randomness).await?;
    let carried = serde_json::to_string(&Carried { begun, to, session }).unwrap_or_default();
    let sealed = desk.keys.seal(&binding(&[place.host()]), &carried, LIFETIME);
    Ok((url, sealed.map_err(|_| unavailable("nothing can be sealed"))?))
}

fn binding<'a>(holder: &'a [&'a str]) -> Binding<'a> {
    Binding { purpose: PURPOSE, holder }
}

fn refused(issuer: &str, error: &LoginError) -> Answer {
    let (code, reason) = (error.code(), error.reason());
    let issuer: String = issuer.chars().take(64).flat_map(char::escape_debug).collect();
    tracing::warn!(event = "console.refused", issuer, code, reason, "an issuer logged nobody in");
    let status = match error {
        LoginError::UnknownIssuer => StatusCode::NOT_FOUND,
        LoginError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        LoginError::TooMany => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::FORBIDDEN,
    };
    page::not_signed_in(status, &as_sentence(&error.to_string()), code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_000_000_000);

    #[test]
    fn a_log_in_is_answered_once_as_long_as_its_cookie_opens() {
        let used = Used::default();
        assert_eq!(used.once("a", START), Ok(()));
        assert_eq!(used.once("a", START.after(Duration::from_secs(599))), Err(LoginError::NotBegun));
        assert_eq!(used.once("b", START), Ok(()));
        assert_eq!(used.once("a", START.after(LIFETIME)), Ok(()), "its cookie opens no more");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_nothing_is_forgotten_too_early() {
        let used = Used::default();
        for n in 0..MAX_USED {
            assert_eq!(used.once(&n.to_string(), START), Ok(()));
        }
        assert_eq!(used.once("more", START), Err(LoginError::TooMany));
        assert_eq!(used.once("0", START), Err(LoginError::NotBegun));
        assert_eq!(used.once("more", START.after(LIFETIME)), Ok(()));
    }
}

//! The console: pages for the people who run and answer for the gateway.
//!
//! It turns a request for a page into a page and knows no sockets; the listener is in
//! `quaymaster-gateway`. What it works on comes through [`House`]. Pages are templates that escape
//! what is put into them, need no script, and load nothing but one stylesheet.
//!
//! Invariants:
//! - Without a session nothing is shown but how to log in.
//! - What changes something is a form of ours: it comes from our own origin, by POST, with the
//!   session's cookie and the session's own word.
//! - A person here is an actor like any other: `quaymaster-control` says what they may see and decide.

mod form;
mod lending;
mod login;
mod origin;
mod page;
mod session;
mod view;
mod words;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use quaymaster_control::Evidence;
use quaymaster_control::approval::{Approvals, Asker, Decider, Request, Spoken, Verdict};
use quaymaster_control::audit::Event;
use quaymaster_control::console::{Codes, note};
use quaymaster_control::identity::{Identity, Voucher};
use quaymaster_control::incident::Notice;
use quaymaster_control::keyring::KeyRing;
use quaymaster_core::{Actor, ApprovalId, CallError, ErrorCode, Randomness};

pub use self::form::Form;
use self::login::Used;
use self::origin::{Keeps, Place};
use self::page::Answer;
use self::session::{Sessions, SignedIn};
use self::words::{failed, sentence, status, told, unknown};

/// Most bytes of a form: a comment of 2,000 characters, each written out, and room.
pub const MAX_FORM_BYTES: usize = 64 * 1024;

const UNRECORDED: &str = "The audit log cannot be written, so nobody logs in.";

/// The channel that a decision on the page came by, as the audit has it.
const CHANNEL: &str = "page";

const STYLE: &str = include_str!("console/style.css");
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; \
                      base-uri 'none'";

/// What the console works on: a running gateway, as far as it is seen from here.
pub trait House: Send + Sync + fmt::Debug {
    /// What there is now; none while the gateway stops.
    fn open(&self) -> Option<Desk>;

    /// Whoever logged in, as they are now; none if they are nobody any more: the token was revoked,
    /// the configuration has no local user.
    fn again<'a>(&'a self, who: &'a Guest) -> Pin<Box<dyn Future<Output = Option<Arc<Actor>>> + Send + 'a>>;

    /// What `viewer` is told of incident switches: what stops the call of `request` where there is one,
    /// else whatever they know of. An error if it cannot be read, while which nothing runs.
    fn stopped<'a>(
        &'a self,
        viewer: &'a Actor,
        request: Option<&'a Request>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Notice>, CallError>> + Send + 'a>>;
}

/// By whose word somebody is logged in.
#[derive(Clone, Debug)]
pub enum Guest {
    /// By a one-time code: whoever made it.
    Code(Box<Asker>),
    /// By an issuer's.
    Issuer(Arc<Voucher>),
}

/// What pages are made of.
#[derive(Clone, Debug)]
pub struct Desk {
    /// The requests for approval.
    pub approvals: Arc<Approvals>,
    /// Where it is recorded what people do.
    pub evidence: Evidence,
    /// The codes that log in.
    pub codes: Arc<Codes>,
    /// The issuers at which people log in.
    pub identity: Arc<Identity>,
    /// Where people reach the console, without a slash at the end.
    pub base: Option<String>,
    /// The keys that seal suggestions and log-ins that were begun.
    pub keys: Arc<KeyRing>,
    /// Randomness, fit for keys.
    pub randomness: Arc<dyn Randomness>,
}

/// The console of one gateway.
#[derive(Debug)]
pub struct Console {
    house: Box<dyn House>,
    sessions: Sessions,
    used: Used,
}

/// Somebody who is logged in, and what they have before them.
struct Visit<'a> {
    house: &'a dyn House,
    desk: &'a Desk,
    actor: Arc<Actor>,
    session: SignedIn,
    /// What is told on every page: a sentence for each switch that stands.
    stopped: Vec<String>,
}

impl Console {
    /// The console of `house`, with nobody logged in.
    pub fn new(house: impl House + 'static) -> Self {
        Self { house: Box::new(house), sessions: Sessions::default(), used: Used::default() }
    }

    /// The page that is asked for, whoever asks. `head` was checked to name a host of this server.
    pub async fn answer(&self, head: &Parts, body: &[u8]) -> Response<Bytes> {
        let answer = match self.house.open() {
            Some(desk) => self.route(&desk, head, body).await,
            None => Answer::message(StatusCode::SERVICE_UNAVAILABLE, "The gateway is shutting down."),
        };
        response(answer)
    }

    async fn route(&self, desk: &Desk, head: &Parts, body: &[u8]) -> Answer {
        let Some(place) = Place::of(head) else {
            return Answer::message(StatusCode::BAD_REQUEST, "The request does not say whom it is for.");
        };
        let path = head.uri.path();
        let mut steps = path.trim_start_matches('/').split('/');
        let way = (&head.method, steps.next().unwrap_or_default(), steps.next(), steps.next());
        match way {
            (&Method::GET, "", None, None) => Answer::go("/approvals"),
            (&Method::GET, "style.css", None, None) => Answer::style(STYLE),
            (&Method::GET, "sign-in", None, None) => page::sign_in(StatusCode::OK, desk, "/approvals", ""),
            (&Method::GET, "sign-in", Some(issuer), None) => self.leave(desk, (head, &place), issuer).await,
            (&Method::GET, "sign-in", Some(issuer), Some("callback")) if steps.next().is_none() => {
                self.come_back(desk, (head, &place), issuer).await
            }
            (&Method::GET, "approvals", id, None) => match self.visit(desk, head, &place).await {
                Some(visit) => visit.show(id, &Form::parse(head.uri.query().unwrap_or_default())).await,
                None => page::sign_in(StatusCode::FORBIDDEN, desk, path, ""),
            },
            (&Method::GET, "delegations", None, None) => match self.visit(desk, head, &place).await {
                Some(visit) => visit.delegations().await,
                None => page::sign_in(StatusCode::FORBIDDEN, desk, path, ""),
            },
            (&Method::POST, "sign-in" | "sign-out" | "delegations", None, None)
            | (&Method::POST, "approvals" | "delegations", Some(_), None) => {
                if !place.sent_by_us(head) || !form::is_form(head) {
                    return Answer::message(
                        StatusCode::FORBIDDEN,
                        "This form was not sent from a page of this console, so nothing was done.",
                    );
                }
                let form = Form::parse(std::str::from_utf8(body).unwrap_or_default());
                self.take(desk, (head, &place), &form, way.2).await
            }
            (_, "" | "style.css" | "sign-in" | "sign-out" | "approvals" | "delegations", _, None) => {
                Answer::not_allowed()
            }
            _ => Answer::message(StatusCode::NOT_FOUND, "There is no such page."),
        }
    }

    /// Does what a form of ours says.
    async fn take(
        &self,
        desk: &Desk,
        (head, place): (&Parts, &Place),
        form: &Form,
        id: Option<&str>,
    ) -> Answer {
        if head.uri.path() == "/sign-in" {
            return self.sign_in(desk, (head, place), form).await;
        }
        let Some(visit) = self.visit(desk, head, place).await else {
            let why = "You are not logged in any more.";
            return page::sign_in(StatusCode::FORBIDDEN, desk, head.uri.path(), why);
        };
        if !visit.session.is_its_word(form.value("word")) {
            return Answer::message(
                StatusCode::FORBIDDEN,
                "This form is not of your session, so nothing was done. Go back, load the page again, and answer anew.",
            );
        }
        let is_of_delegations = head.uri.path().starts_with("/delegations");
        match (is_of_delegations, id) {
            (true, Some(id)) => visit.take_back(id).await,
            (true, None) => visit.lend(form).await,
            (false, Some(id)) => visit.decide(id, form).await,
            (false, None) => self.sign_out(&visit, place).await,
        }
    }

    async fn sign_in(&self, desk: &Desk, (head, place): (&Parts, &Place), form: &Form) -> Answer {
        let to = local_path(form.value("to"));
        let refused = |status, why: &str| page::sign_in(status, desk, &to, why);
        if !desk.identity.takes_codes() {
            return refused(StatusCode::FORBIDDEN, "Nobody logs in by a code here.");
        }
        let who = match desk.codes.redeem(form.value("code")).await {
            Ok(who) => who,
            Err(error) => {
                let code = error.code.as_str();
                tracing::warn!(event = "console.refused", code, "a code did not log in to the console");
                return refused(status(&error), &sentence(&error));
            }
        };
        let lasts = if who.issuer.is_some() { session::BY_ACCESS_TOKEN } else { session::LONGEST };
        let who = Guest::Code(Box::new(who));
        let Some(actor) = self.house.again(&who).await else {
            return refused(StatusCode::FORBIDDEN, "Whoever made this code is nobody here any more.");
        };
        match self.open(desk, (head, place), (who, lasts), &actor).await {
            Some(cookie) => Answer::go(&to).with_cookie(cookie),
            None => refused(StatusCode::SERVICE_UNAVAILABLE, UNRECORDED),
        }
    }

    /// Opens a session for `who`, which `lasts` so long, and gives its cookie. None if that cannot be
    /// recorded.
    async fn open(
        &self,
        desk: &Desk,
        (head, place): (&Parts, &Place),
        (who, lasts): (Guest, Duration),
        actor: &Actor,
    ) -> Option<String> {
        if let Err(error) = note(Event::ConsoleSignedIn, actor, &desk.evidence).await {
            tracing::error!(event = "console.sign_in", %error, "a log-in could not be recorded");
            return None;
        }
        // Whatever cookie came along is put away: a session never outlives a log-in.
        self.sessions.close(&place.kept(head, Keeps::Session));
        let id = self.sessions.open((who, lasts), desk.evidence.clock.now(), desk.randomness.as_ref());
        Some(place.cookie(Keeps::Session, &id, lasts))
    }

    async fn sign_out(&self, visit: &Visit<'_>, place: &Place) -> Answer {
        self.sessions.close(visit.session.id());
        if let Err(error) = note(Event::ConsoleSignedOut, &visit.actor, &visit.desk.evidence).await {
            tracing::error!(event = "console.sign_out", %error, "a log-out could not be recorded");
        }
        Answer::go("/sign-in").with_cookie(place.cookie(Keeps::Session, "", Duration::ZERO))
    }

    /// Who asks, if they are logged in and there still is such an account.
    async fn visit<'a>(&'a self, desk: &'a Desk, head: &Parts, place: &Place) -> Option<Visit<'a>> {
        let session = self.sessions.find(&place.kept(head, Keeps::Session), desk.evidence.clock.now())?;
        let actor = self.house.again(session.who()).await?;
        let house = self.house.as_ref();
        let stopped = told(house.stopped(&actor, None).await);
        Some(Visit { house, desk, actor, session, stopped })
    }
}

impl Visit<'_> {
    async fn show(&self, id: Option<&str>, query: &Form) -> Answer {
        let Some(id) = id else {
            let (show, after) = page::wanted(query.value("show"), query.value("after"));
            return match self.desk.approvals.list(&self.actor, show.wanted, after).await {
                Ok(listed) => page::list(self, &listed, show),
                Err(error) => failed(&error.into()),
            };
        };
        let (id, wants_json) = match id.strip_suffix(".json") {
            Some(id) => (id, true),
            None => (id, false),
        };
        let Ok(id) = id.parse::<ApprovalId>() else { return unknown() };
        match self.desk.approvals.show(&self.actor, &id).await {
            Ok(Some(request)) if wants_json => Answer::json(&request.document),
            Ok(Some(request)) => {
                let (intent, sig) = (query.value("intent"), query.value("sig"));
                let suggested = crate::links::suggested(&self.desk.keys, &id, intent, sig);
                let stopped = told(self.house.stopped(&self.actor, Some(&request)).await);
                page::request(self, &request, (suggested, stopped))
            }
            Ok(None) => unknown(),
            Err(error) => failed(&error.into()),
        }
    }

    /// Says what the form says of a request, and shows what came of it.
    async fn decide(&self, id: &str, form: &Form) -> Answer {
        let Ok(id) = id.parse::<ApprovalId>() else { return unknown() };
        let comment = Some(form.value("comment").replace("\r\n", "\n"));
        let answer = form.value("answer");
        match self.said(&id, answer, comment).await {
            Ok(what) => page::told(self, &id, StatusCode::OK, &what),
            Err(error) => {
                if let Some(source) = &error.source {
                    tracing::error!(event = "console.decide", %source, "an answer could not be taken");
                }
                page::told(self, &id, status(&error), &sentence(&error))
            }
        }
    }

    async fn said(
        &self,
        id: &ApprovalId,
        answer: &str,
        comment: Option<String>,
    ) -> Result<String, CallError> {
        let (approvals, evidence) = (&self.desk.approvals, &self.desk.evidence);
        let decider = Decider { actor: &self.actor, channel: CHANNEL };
        let spoken = |verdict| Spoken { verdict, comment };
        match answer {
            "approve" | "reject" | "emergency" => {
                let verdict = Verdict::named(answer).unwrap_or(Verdict::Reject);
                let state = approvals.decide(decider, id, spoken(verdict), evidence).await?;
                Ok(view::after(verdict, state).to_owned())
            }
            "review-fine" | "review-wrong" => {
                let verdict = if answer == "review-fine" { Verdict::Approve } else { Verdict::Reject };
                approvals.review(decider, id, spoken(verdict), evidence).await?;
                Ok("Your review is recorded.".into())
            }
            "withdraw" => {
                approvals.withdraw(&self.actor, id, evidence).await?;
                Ok("The request is taken back: the call will not run.".into())
            }
            _ => Err(CallError::new(ErrorCode::InputInvalid, "choose one of the answers")),
        }
    }
}

/// Where to go after a log-in: a page of ours, whatever a form, a link or a path says.
fn local_path(to: &str) -> String {
    let fits = to.strip_prefix("/approvals/").is_some_and(|id| id.parse::<ApprovalId>().is_ok());
    if fits || to == "/delegations" { to.to_owned() } else { "/approvals".to_owned() }
}

/// The response with what every page has.
fn response(answer: Answer) -> Response<Bytes> {
    let Answer { status, kind, body, location, cookies } = answer;
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &str); 8] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With less, browsers would say `Origin: null` where a form is sent.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
    }
    let one = |text: Option<String>| text.and_then(|text| HeaderValue::try_from(text).ok());
    headers.extend(one(location).map(|value| (LOCATION, value)));
    for cookie in cookies {
        // Several lines: a browser reads one cookie in each (RFC 6265, section 3).
        one(Some(cookie)).map(|value| headers.append(SET_COOKIE, value));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

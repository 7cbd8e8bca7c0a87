//! The pages: templates and what is put into them.

use askama::Template;
use http::StatusCode;
use quaymaster_control::approval::{Document, Listed, Request, Wanted};
use quaymaster_core::ApprovalId;

use super::lending::Lent;
use super::view::{self, ChangeRow, Choice, Entry, Fact, Pair, SaidRow};
use super::{Desk, Visit, local_path};

/// A list that can be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show {
    name: &'static str,
    label: &'static str,
    pub(super) wanted: Wanted,
}

const SHOWS: [Show; 4] = [
    Show { name: "pending", label: "Waiting", wanted: Wanted::Pending },
    Show { name: "review", label: "To be reviewed", wanted: Wanted::Reviews },
    Show { name: "mine", label: "Asked by me", wanted: Wanted::Mine },
    Show { name: "all", label: "All", wanted: Wanted::All },
];

/// The list of this name, the first if there is none, and where it goes on.
pub(super) fn wanted<'a>(name: &str, after: &'a str) -> (Show, Option<&'a str>) {
    let [first, ..] = SHOWS;
    let show = SHOWS.into_iter().find(|show| show.name == name).unwrap_or(first);
    (show, Some(after).filter(|after| !after.is_empty()))
}

/// What a request for a page is answered with.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: String,
    pub(super) location: Option<String>,
    pub(super) cookies: Vec<String>,
}

impl Answer {
    fn new(status: StatusCode, kind: &'static str, body: String) -> Self {
        Self { status, kind, body, location: None, cookies: vec![] }
    }

    fn page(status: StatusCode, page: &impl Template) -> Self {
        match page.render() {
            Ok(html) => Self::new(status, "text/html; charset=utf-8", html),
            Err(error) => {
                tracing::error!(event = "console.render", %error, "a page could not be made");
                let text = "The page could not be made.\n".to_owned();
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", text)
            }
        }
    }

    /// A page with one sentence.
    pub(super) fn message(status: StatusCode, text: &str) -> Self {
        Self::page(status, &MessagePage { title: "Quaymaster", text, who: None })
    }

    /// That this way of asking is not answered.
    pub(super) fn not_allowed() -> Self {
        Self::message(StatusCode::METHOD_NOT_ALLOWED, "This page is read, and its forms are sent by POST.")
    }

    /// Has the browser read the page at `path`.
    pub(super) fn go(path: &str) -> Self {
        Self { location: Some(path.to_owned()), ..Self::message(StatusCode::SEE_OTHER, "Go on.") }
    }

    /// The stylesheet.
    pub(super) fn style(text: &str) -> Self {
        Self::new(StatusCode::OK, "text/css; charset=utf-8", text.to_owned())
    }

    /// A document for programs.
    pub(super) fn json(document: &Document) -> Self {
        let text = serde_json::to_string_pretty(document).unwrap_or_default();
        Self::new(StatusCode::OK, "application/json", text)
    }

    /// The same with a further cookie.
    pub(super) fn with_cookie(mut self, cookie: String) -> Self {
        self.cookies.push(cookie);
        self
    }
}

/// Who is logged in, the word of their session, and what is told on every page.
struct Who<'a> {
    name: &'a str,
    workspace: &'a str,
    word: &'a str,
    stopped: &'a [String],
}

impl<'a> Who<'a> {
    fn of(visit: &'a Visit<'_>) -> Self {
        let actor = &visit.actor;
        let (name, workspace) = (actor.id.as_str(), actor.workspace.as_str());
        Self { name, workspace, word: visit.session.word(), stopped: &visit.stopped }
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    title: &'a str,
    text: &'a str,
    who: Option<Who<'a>>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    title: &'a str,
    to: &'a str,
    why: &'a str,
    who: Option<Who<'a>>,
    /// The names of issuers, and where each is asked.
    issuers: Vec<(String, String)>,
    takes_codes: bool,
}

#[derive(Template)]
#[template(path = "signed_in.html")]
struct SignedInPage<'a> {
    title: &'a str,
    to: &'a str,
    who: Option<Who<'a>>,
}

#[derive(Template)]
#[template(path = "not_signed_in.html")]
struct NotSignedInPage<'a> {
    title: &'a str,
    text: &'a str,
    code: &'a str,
    who: Option<Who<'a>>,
}

#[derive(Template)]
#[template(path = "delegations.html")]
struct DelegationsPage<'a> {
    title: &'a str,
    who: Option<Who<'a>>,
    lent: Vec<Lent>,
    roles: Vec<&'a str>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage<'a> {
    title: &'a str,
    who: Option<Who<'a>>,
    shows: [(&'static str, &'static str, bool); 4],
    entries: Vec<Entry>,
    /// The way to the rest.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage<'a> {
    title: &'a str,
    who: Option<Who<'a>>,
    id: &'a str,
    action: String,
    state: &'static str,
    facts: Vec<Fact>,
    arguments: Vec<Pair>,
    changes: Vec<ChangeRow>,
    changes_unknown: Option<String>,
    said: Vec<SaidRow>,
    /// Why the call would not run now, though everybody agreed: a sentence each.
    stopped: Vec<String>,
    choices: Vec<Choice>,
    is_suggested: bool,
    is_own: bool,
}

#[derive(Template)]
#[template(path = "told.html")]
struct ToldPage<'a> {
    title: &'a str,
    who: Option<Who<'a>>,
    text: &'a str,
    is_done: bool,
    /// Where to go on, and what that is called.
    on: (&'a str, &'a str),
}

/// How to log in; then the browser goes to `to`.
pub(super) fn sign_in(status: StatusCode, desk: &Desk, to: &str, why: &str) -> Answer {
    let to = local_path(to.strip_suffix(".json").unwrap_or(to));
    let base = desk.base.as_deref().unwrap_or_default();
    let link = |name: &str| format!("{base}/sign-in/{name}?to={to}");
    let issuers = desk.identity.login_issuers();
    let page = SignInPage {
        title: "Log in",
        to: &to,
        why,
        who: None,
        issuers: issuers.iter().map(|name| (name.to_string(), link(name.as_str()))).collect(),
        takes_codes: desk.identity.takes_codes(),
    };
    Answer::page(status, &page)
}

/// That somebody is logged in. The browser goes to `to` from here: on the way from an issuer it shows
/// no session, as that cookie travels from our own pages alone.
pub(super) fn signed_in(to: &str) -> Answer {
    Answer::page(StatusCode::OK, &SignedInPage { title: "You are logged in", to, who: None })
}

/// That nobody is logged in by an issuer, and why, with a code that stays the same.
pub(super) fn not_signed_in(status: StatusCode, text: &str, code: &str) -> Answer {
    Answer::page(status, &NotSignedInPage { title: "You are not logged in", text, code, who: None })
}

/// What is lent by whoever looks, and to them.
pub(super) fn delegations(visit: &Visit<'_>, lent: Vec<Lent>) -> Answer {
    let roles = visit.actor.roles.iter().map(quaymaster_core::Role::as_str).collect();
    let page = DelegationsPage { title: "Delegations", who: Some(Who::of(visit)), lent, roles };
    Answer::page(StatusCode::OK, &page)
}

/// A page of the requests that somebody sees.
pub(super) fn list(visit: &Visit<'_>, listed: &Listed, show: Show) -> Answer {
    // A cursor is base64url: nothing in it has to be escaped.
    let next = listed.next.as_ref().map(|after| format!("/approvals?show={}&after={after}", show.name));
    let page = ListPage {
        title: "Requests for approval",
        who: Some(Who::of(visit)),
        shows: SHOWS.map(|one| (one.name, one.label, one.name == show.name)),
        entries: listed.requests.iter().map(Entry::of).collect(),
        next,
    };
    Answer::page(StatusCode::OK, &page)
}

/// One request with all that there is to know before one answers it.
pub(super) fn request(
    visit: &Visit<'_>,
    request: &Request,
    (suggested, stopped): (Option<&'static str>, Vec<String>),
) -> Answer {
    let document = &request.document;
    let choices = view::choices(&visit.actor, request, suggested);
    let page = RequestPage {
        title: "Request for approval",
        who: Some(Who::of(visit)),
        id: request.id.as_str(),
        action: quaymaster_core::text::plain(&document.action),
        state: view::words(request),
        facts: view::facts(document),
        arguments: view::arguments(document),
        changes: view::changes(document),
        changes_unknown: document.changes_unknown.as_deref().map(quaymaster_core::text::plain),
        said: view::said(request),
        stopped,
        is_suggested: choices.iter().any(|choice| choice.is_suggested),
        is_own: request.is_of(&visit.actor),
        choices,
    };
    Answer::page(StatusCode::OK, &page)
}

/// What came of an answer.
pub(super) fn told(visit: &Visit<'_>, id: &ApprovalId, status: StatusCode, text: &str) -> Answer {
    done(visit, (status, text), (&format!("/approvals/{id}"), "To the request"))
}

/// What came of a form, and where to go `on`.
pub(super) fn done(visit: &Visit<'_>, (status, text): (StatusCode, &str), on: (&str, &str)) -> Answer {
    let is_done = status.is_success();
    let title = if is_done { "Done" } else { "Nothing was done" };
    Answer::page(status, &ToldPage { title, who: Some(Who::of(visit)), text, is_done, on })
}

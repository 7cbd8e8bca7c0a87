//! What messages say: for programs, for Slack, and by mail.
//!
//! All of it comes from the document that those who decide read, so no message shows more than the
//! page does.

use std::fmt::Write as _;
use std::time::Duration;

use askama::Template;
use quaymaster_control::approval::{NewsEvent, Request};
use quaymaster_control::crypto::CryptoError;
use quaymaster_core::text::plain;
use quaymaster_core::{Role, Timestamp};
use serde_json::{Value, json};

use crate::links::Links;

/// Most characters of one text in a message of Slack's, of which it takes 3,000.
const MAX_SLACK_CHARS: usize = 1_500;
/// Most characters of a subject.
const MAX_SUBJECT_CHARS: usize = 120;

/// A link in a message.
struct Link {
    name: &'static str,
    url: String,
}

/// What is told, of which request.
pub(super) struct Message<'a> {
    pub(super) event: NewsEvent,
    pub(super) request: &'a Request,
    pub(super) links: Option<Links<'a>>,
    pub(super) now: Timestamp,
}

impl Message<'_> {
    fn links(&self) -> Result<Vec<Link>, CryptoError> {
        let Some(links) = &self.links else { return Ok(vec![]) };
        let id = &self.request.id;
        let mut all = vec![Link { name: "Read it", url: links.show(id) }];
        if matches!(self.event, NewsEvent::Requested | NewsEvent::Escalated) {
            let left: Duration = self.request.expires.since(self.now);
            for (name, answer) in [("Approve…", "approve"), ("Reject…", "reject")] {
                all.push(Link { name, url: links.answer(id, answer, left)? });
            }
        }
        Ok(all)
    }

    /// What happened, in a few words.
    fn headline(&self) -> String {
        match self.event {
            NewsEvent::Requested => "Approval wanted".to_owned(),
            NewsEvent::Escalated => "Approval wanted: nobody has decided yet".to_owned(),
            NewsEvent::ReviewDue => "Review due".to_owned(),
            NewsEvent::Decided | NewsEvent::Ended => format!("Request {}", self.request.state.as_str()),
        }
    }

    /// For programs (Standard Webhooks 1.0, payload structure).
    ///
    /// # Errors
    ///
    /// [`CryptoError`] if a link cannot be sealed.
    pub(super) fn for_programs(&self) -> Result<String, CryptoError> {
        let request = self.request;
        let links = self.links()?.into_iter().map(|link| (word(link.name), Value::from(link.url)));
        let said: Vec<Value> = request
            .said
            .iter()
            .map(|said| {
                json!({
                    "by": said.by, "verdict": said.verdict.as_str(), "review": said.review,
                    "comment": said.comment, "channel": said.channel, "at": said.at.to_string(),
                })
            })
            .collect();
        let payload = json!({
            "type": format!("approval.{}", self.event.as_str()),
            "timestamp": self.now.to_string(),
            "data": {
                "id": request.id, "state": request.state.as_str(), "workspace": request.workspace,
                "review_due": request.review_due, "call": request.call, "said": said,
                "document": request.document, "links": links.collect::<serde_json::Map<_, _>>(),
            },
        });
        Ok(payload.to_string())
    }

    /// For Slack: Block Kit.
    ///
    /// # Errors
    ///
    /// [`CryptoError`] if a link cannot be sealed.
    pub(super) fn for_slack(&self) -> Result<String, CryptoError> {
        let document = &self.request.document;
        let field = |name: &str, text: &str| slack_text(&format!("{name}\n{}", plain(text)));
        let blocks = vec![
            json!({"type": "header", "text": {"type": "plain_text", "text": self.headline()}}),
            json!({"type": "section", "text": slack_text(&plain(&document.action))}),
            json!({"type": "section", "fields": [
                field("Asked by", &document.requester),
                field("Risk", document.risk.level.as_str()),
                field("Reason", document.reason.as_deref().unwrap_or("none was given")),
                field("Expires", &document.expires),
            ]}),
        ];
        let buttons = self.links()?.into_iter().map(|link| {
            json!({"type": "button", "url": link.url, "action_id": word(link.name),
                   "text": {"type": "plain_text", "text": link.name}})
        });
        let buttons: Vec<Value> = buttons.collect();
        let actions = (!buttons.is_empty()).then(|| json!({"type": "actions", "elements": buttons}));
        let fallback = format!("{}: {}", self.headline(), cut(&plain(&document.action), MAX_SLACK_CHARS));
        let blocks: Vec<Value> = blocks.into_iter().chain(actions).collect();
        Ok(json!({"text": escaped(&fallback), "blocks": blocks}).to_string())
    }

    /// For people: subject, text and HTML.
    ///
    /// # Errors
    ///
    /// [`CryptoError`] if a link cannot be sealed.
    pub(super) fn for_people(&self) -> Result<MailText, CryptoError> {
        let (document, links) = (&self.request.document, self.links()?);
        let action = plain(&document.action);
        let mut text = document.to_text();
        for Link { name, url } in &links {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{name}\n{url}");
        }
        if !links.is_empty() {
            text.push_str("\nA link decides nothing: you log in, read, and send your answer there.\n");
        }
        let roles: Vec<&str> = document.roles.iter().map(Role::as_str).collect();
        let page = MailPage {
            headline: &self.headline(),
            action: &action,
            requester: &format!("{} ({})", plain(&document.requester), roles.join(", ")),
            reason: &plain(document.reason.as_deref().unwrap_or("none was given")),
            risk: document.risk.level.as_str(),
            expires: &document.expires,
            links: &links,
        };
        let subject = format!("{}: {}", self.headline(), cut(&action, MAX_SUBJECT_CHARS));
        Ok(MailText { subject: plain(&subject), text, html: page.render().unwrap_or_default() })
    }
}

/// A mail without its envelope.
pub(super) struct MailText {
    /// One line.
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct MailPage<'a> {
    headline: &'a str,
    action: &'a str,
    requester: &'a str,
    reason: &'a str,
    risk: &'a str,
    expires: &'a str,
    links: &'a [Link],
}

/// The name of a link for programs.
fn word(name: &str) -> String {
    match name {
        "Approve…" => "approve".into(),
        "Reject…" => "reject".into(),
        _ => "show".into(),
    }
}

/// Text that Slack shows as it is: nothing in it is a mention, a link or a style.
fn slack_text(text: &str) -> Value {
    json!({"type": "plain_text", "emoji": false, "text": cut(text, MAX_SLACK_CHARS)})
}

/// For `text` of a message, which Slack reads as its markup: the three characters that begin any.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, most: usize) -> String {
    let mut cut: String = text.chars().take(most).collect();
    if text.chars().count() > most {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_reads_no_markup_in_the_text_of_a_stranger() {
        assert_eq!(
            escaped("<!channel> & <https://evil.test|here>"),
            "&lt;!channel&gt; &amp; &lt;https://evil.test|here&gt;"
        );
        assert_eq!(slack_text("<!here>")["type"], json!("plain_text"));
        assert_eq!(cut("äöü", 2), "äö…");
    }
}

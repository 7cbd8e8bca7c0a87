//! Who is told of requests for approval, as it is written and checked; how many wait is in `kept`.
//!
//! Invariant: an address, a header and a role are what they look like, or the configuration is
//! refused; secrets are references.

mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;

use http::Uri;
use lettre::Address;
use lettre::message::Mailbox;
use quaymaster_control::approval::{Bounds, NewsEvent};
use quaymaster_core::SecretRef;
use quaymaster_core::setting::{DurationSetting, Slug};
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::kept::WaitingConfig;

/// Most webhooks.
const MAX_WEBHOOKS: usize = 16;
/// Most addresses of one role.
const MAX_ADDRESSES: usize = 32;

/// Who is told of requests for approval, how many wait, and how long they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ApprovalsConfig {
    /// Where people reach the console, for links in messages, such as
    /// `https://approvals.example.test`: scheme and host, without a path. `listen.console` if absent.
    #[serde(default)]
    pub url: Option<String>,
    /// Programs that are told; at most 16.
    #[serde(default)]
    pub webhooks: Vec<WebhookConfig>,
    /// People who are told by mail that they are asked.
    #[serde(default)]
    pub email: Option<EmailConfig>,
    /// How many calls may wait for somebody's agreement.
    #[serde(default)]
    pub waiting: WaitingConfig,
    /// How long the contents of a request are kept after it is over: the call, the document, the result
    /// and comments. `90d` if absent; those that have to be reviewed are kept until then.
    #[serde(default)]
    pub retention: Option<DurationSetting>,
}

/// A program that is told of requests for approval, by signed messages (Standard Webhooks 1.0).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebhookConfig {
    /// Its name, for logs.
    pub name: Slug,
    /// Where it listens: `https`, or `http` on this machine.
    #[serde(default)]
    pub url: Option<String>,
    /// The same as a secret, where the address itself lets in, as Slack's do.
    #[serde(default)]
    pub url_from: Option<SecretRef>,
    /// The key that signs, as Standard Webhooks write it: `whsec_` and base64 of 24 to 64 bytes.
    /// Only messages in Slack's form may go without.
    #[serde(default)]
    pub secret: Option<SecretRef>,
    /// The form of its messages.
    #[serde(default)]
    pub format: WebhookFormat,
    /// What it is told.
    #[serde(default = "all_events")]
    #[schemars(length(min = 1))]
    pub events: BTreeSet<EventName>,
    /// The workspaces of whose requests it is told.
    #[schemars(length(min = 1))]
    pub workspaces: Vec<Slug>,
}

/// The form of messages to a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// The whole document, for programs.
    #[default]
    Quaymaster,
    /// Slack's incoming webhooks: a message with links.
    Slack,
}

/// Something that is told of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventName {
    /// It was made and waits.
    Requested,
    /// It waited so long that others may decide on it as well.
    Escalated,
    /// It was agreed to or refused.
    Decided,
    /// It was let through in an emergency, and somebody has to review that.
    ReviewDue,
    /// Its call ran, or it ended without one: too late, taken back, overtaken.
    Ended,
}

fn all_events() -> BTreeSet<EventName> {
    NewsEvent::ALL.map(EventName::from).into()
}

impl From<NewsEvent> for EventName {
    fn from(event: NewsEvent) -> Self {
        match event {
            NewsEvent::Requested => Self::Requested,
            NewsEvent::Escalated => Self::Escalated,
            NewsEvent::Decided => Self::Decided,
            NewsEvent::ReviewDue => Self::ReviewDue,
            NewsEvent::Ended => Self::Ended,
        }
    }
}

/// People who are told by mail that they are asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EmailConfig {
    /// The mail server (SMTP).
    #[schemars(length(min = 1))]
    pub host: String,
    /// Its port; 587 for `starttls`, 465 for `tls`, 25 for `none`.
    #[serde(default)]
    pub port: Option<NonZeroU16>,
    /// How the way to it is encrypted.
    #[serde(default)]
    pub tls: MailTls,
    /// The account there.
    #[serde(default)]
    pub user: Option<String>,
    /// Its password.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// From whom mails are, such as `Quaymaster <approvals@example.test>`.
    pub from: String,
    /// The addresses of those who decide, by role.
    #[schemars(extend("minProperties" = 1))]
    pub to: BTreeMap<Slug, Vec<String>>,
    /// The workspaces of whose requests they are told.
    #[schemars(length(min = 1))]
    pub workspaces: Vec<Slug>,
}

/// How the way to a mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// By STARTTLS, or no mail is sent (RFC 3207).
    #[default]
    Starttls,
    /// From the first byte (RFC 8314).
    Tls,
    /// Not at all: for a server on this machine alone.
    None,
}

/// Something wrong at a path below `approvals`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The path, such as `webhooks[0].url`.
    pub path: String,
    /// What is wrong, without the value.
    pub message: String,
}

impl ApprovalsConfig {
    /// Whether nobody is told of anything.
    pub fn is_silent(&self) -> bool {
        self.webhooks.is_empty() && self.email.is_none()
    }

    /// What does not hold together; names of roles and workspaces are looked at elsewhere.
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let mut found = Problems::default();
        if self.url.as_deref().is_some_and(|url| !is_origin(url)) {
            found.add("url", "not scheme and host such as `https://approvals.example.test`");
        }
        if self.webhooks.len() > MAX_WEBHOOKS {
            found.add("webhooks", format!("there are at most {MAX_WEBHOOKS}"));
        }
        let mut names = BTreeSet::new();
        for (at, webhook) in self.webhooks.iter().enumerate() {
            if !names.insert(&webhook.name) {
                found.add(format!("webhooks[{at}].name"), "another webhook has this name");
            }
            webhook.check(at, &mut found);
        }
        if let Some(email) = &self.email {
            email.check(&mut found);
        }
        kept::check(self.retention.as_ref(), &mut found);
        found.0
    }

    /// How many calls may wait, and how long what is over is kept.
    pub fn bounds(&self) -> Bounds {
        kept::bounds(&self.waiting, self.retention.as_ref())
    }
}

#[derive(Default)]
struct Problems(Vec<ConfigProblem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(ConfigProblem { path: path.into(), message: message.into() });
    }
}

impl WebhookConfig {
    fn check(&self, at: usize, found: &mut Problems) {
        let path = |key: &str| format!("webhooks[{at}].{key}");
        match (&self.url, &self.url_from) {
            (Some(url), None) if !may_be_told(url) => {
                found.add(path("url"), "must be `https://…`; `http://` is for loopback addresses alone");
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => found.add(path("url"), "give `url` or `urlFrom`, one of them"),
        }
        if self.secret.is_none() && self.format == WebhookFormat::Quaymaster {
            found.add(path("secret"), "messages are signed: name the secret");
        }
        if self.events.is_empty() {
            found.add(path("events"), "names no event: leave it out, or remove the webhook");
        }
        if self.workspaces.is_empty() {
            found.add(path("workspaces"), "names no workspace");
        }
    }
}

impl EmailConfig {
    fn check(&self, found: &mut Problems) {
        if self.tls == MailTls::None && !is_loopback(&self.host) {
            found.add("email.tls", "`none` is for a mail server on this machine alone");
        }
        if self.host.is_empty() || self.host.chars().any(|c| c.is_control() || c.is_whitespace()) {
            found.add("email.host", "not a host");
        }
        if self.user.is_some() != self.password.is_some() {
            found.add("email.user", "`user` and `password` go together");
        }
        if self.from.parse::<Mailbox>().is_err() {
            found.add("email.from", "not an address such as `Quaymaster <approvals@example.test>`");
        }
        if self.to.is_empty() {
            found.add("email.to", "names nobody");
        }
        for (role, addresses) in &self.to {
            if addresses.is_empty() || addresses.len() > MAX_ADDRESSES {
                found.add(format!("email.to.{role}"), format!("a role has 1 to {MAX_ADDRESSES} addresses"));
            }
            for (at, address) in addresses.iter().enumerate() {
                if address.parse::<Address>().is_err() {
                    found.add(format!("email.to.{role}[{at}]"), "not an address such as `ada@example.test`");
                }
            }
        }
        if self.workspaces.is_empty() {
            found.add("email.workspaces", "names no workspace");
        }
    }
}

/// Whether messages may go there.
pub(super) fn may_be_told(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority().filter(|authority| !authority.as_str().contains('@')) else {
        return false;
    };
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(authority.host()),
        _ => false,
    }
}

/// Scheme and host without a path, without a user.
fn is_origin(url: &str) -> bool {
    let is_bare = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    is_bare.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '?', '#', '@']))
        && url.parse::<Uri>().is_ok_and(|uri| uri.authority().is_some())
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug(name: &str) -> Slug {
        Slug::parse(name).expect("a name")
    }

    fn webhook(url: &str) -> WebhookConfig {
        WebhookConfig {
            name: slug("desk"),
            url: Some(url.into()),
            url_from: None,
            secret: SecretRef::parse("${secret:HOOK}").ok(),
            format: WebhookFormat::Quaymaster,
            events: all_events(),
            workspaces: vec![slug("ops")],
        }
    }

    fn email(from: &str, to: &str) -> EmailConfig {
        EmailConfig {
            host: "mail.example.test".into(),
            port: None,
            tls: MailTls::Starttls,
            user: None,
            password: None,
            from: from.into(),
            to: [(slug("manager"), vec![to.to_owned()])].into(),
            workspaces: vec![slug("ops")],
        }
    }

    fn paths(config: &ApprovalsConfig) -> Vec<String> {
        config.problems().into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn messages_go_over_tls_or_to_this_machine() {
        for (url, fits) in [
            ("https://hooks.example.test/a", true),
            ("http://127.0.0.1:9/a", true),
            ("http://[::1]:9", true),
            ("http://hooks.example.test/", false),
            ("http://127.0.0.1.example.test/", false),
            ("https://ada:pw@hooks.example.test/", false),
            ("file:///etc/passwd", false),
            ("hooks", false),
        ] {
            let config = ApprovalsConfig { webhooks: vec![webhook(url)], ..ApprovalsConfig::default() };
            assert_eq!(paths(&config).is_empty(), fits, "{url}");
        }
    }

    #[test]
    fn what_does_not_hold_together_is_told_at_its_place() {
        let unsigned = WebhookConfig { secret: None, workspaces: vec![], url: None, ..webhook("") };
        let config = ApprovalsConfig {
            url: Some("https://a.test/path".into()),
            webhooks: vec![webhook("https://a.test"), unsigned],
            email: Some(EmailConfig {
                tls: MailTls::None,
                user: Some("ada".into()),
                ..email("no address", "a@b.test\r\nBcc: c@d.test")
            }),
            ..ApprovalsConfig::default()
        };
        assert_eq!(
            paths(&config),
            [
                "url",
                "webhooks[1].name",
                "webhooks[1].url",
                "webhooks[1].secret",
                "webhooks[1].workspaces",
                "email.tls",
                "email.user",
                "email.from",
                "email.to.manager[0]"
            ]
        );
        let good = ApprovalsConfig {
            url: Some("https://a.test:8443".into()),
            webhooks: vec![webhook("https://a.test")],
            email: Some(email("Quaymaster <a@b.test>", "ada@example.test")),
            ..ApprovalsConfig::default()
        };
        assert_eq!(good.problems(), []);
    }
}

//! Telling people and programs of requests for approval.
//!
//! [`deliver`] looks for what has happened, has a letter made for each address, and delivers what is
//! due: signed webhooks ([`sign`]), messages for Slack, mails ([`mail`]). Which letters there are and
//! when one is given up is `quaymaster_control::approval`'s part; sockets are behind [`Carrier`].
//!
//! Invariants:
//! - No message shows more than the page of the request, and none decides anything.
//! - What is logged of a message is its id, its address' name and why it failed.

pub mod config;
mod mail;
mod message;
mod sign;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::approval::{ApprovalError, Approvals, Letter, News, Request};
use quaymaster_control::keyring::KeyRing;
use quaymaster_control::secrets::Secrets;
use quaymaster_core::{Clock, SecretRef, SecretSource};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::config::{ApprovalsConfig, WebhookConfig, WebhookFormat};
use self::message::Message;
use self::sign::SigningKey;
use crate::links::Links;

/// How often it is looked for what other processes did, and for letters that are due.
const LOOK: Duration = Duration::from_millis(500);
/// How long after a fault it is looked again.
const AFTER_A_FAULT: Duration = Duration::from_secs(5);
/// How long one delivery may take.
const DELIVERY: Duration = Duration::from_secs(10);
/// How long after the stop.
const PARTING: Duration = Duration::from_secs(2);

/// With how many deliveries under way no more are begun; each look begins at most as many more.
const MOST_AT_ONCE: usize = 64;

const WEBHOOK: &str = "webhook:";
const MAIL: &str = "mail:";

/// A message to a program, as it travels: a POST of JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Where to. May let in by itself, so it is never logged.
    pub url: String,
    /// Headers besides the type of the content.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

/// What carries messages to programs.
pub trait Carrier: Send + Sync + fmt::Debug {
    /// Sends a parcel and gives the status of the answer. Follows no redirect and uses no proxy.
    ///
    /// # Errors
    ///
    /// Why there is no answer, without the address.
    fn post(&self, parcel: Parcel) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>>;
}

/// What letters are made of.
#[derive(Clone, Debug)]
pub struct Bag {
    /// The requests for approval.
    pub approvals: Arc<Approvals>,
    /// Who is told, as it is configured now.
    pub config: Arc<ApprovalsConfig>,
    /// Where people reach the console, if they do.
    pub console: Option<String>,
    /// Where secrets are.
    pub secrets: Secrets,
    /// The keys that seal suggested answers.
    pub keys: Arc<KeyRing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Delivers letters until `stop`, or until `bag` gives none. A delivery that is under way then has two seconds
/// to end, and is tried again like any that failed.
pub async fn deliver(
    bag: impl Fn() -> Option<Bag> + Send + Sync,
    carrier: impl Carrier + 'static,
    stop: CancellationToken,
) {
    let carrier: Arc<dyn Carrier> = Arc::new(carrier);
    let mut under_way = JoinSet::new();
    while let Some(now) = bag().filter(|_| !stop.is_cancelled()) {
        let mut changes = now.approvals.changes();
        while under_way.try_join_next().is_some() {}
        let pause = match now.round(&carrier, &mut under_way, &stop).await {
            Ok(()) => LOOK,
            Err(error) => {
                tracing::error!(event = "approval.letters", %error, "nobody is told of requests for approval");
                AFTER_A_FAULT
            }
        };
        drop(now);
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
            Ok(()) = changes.changed() => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

impl Bag {
    /// Has letters made of what is new, and begins to deliver those that are due.
    async fn round(
        &self,
        carrier: &Arc<dyn Carrier>,
        under_way: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) -> Result<(), ApprovalError> {
        if self.config.is_silent() {
            return Ok(());
        }
        for news in self.approvals.news().await? {
            self.approvals.write_letters(&news, &self.targets(&news)).await?;
        }
        if under_way.len() >= MOST_AT_ONCE {
            return Ok(());
        }
        for letter in self.approvals.take_letters().await? {
            let (bag, carrier, stop) = (self.clone(), Arc::clone(carrier), stop.clone());
            under_way.spawn(async move {
                let id = letter.id().to_owned();
                if let Err(error) = bag.see_to(letter, carrier.as_ref(), &stop).await {
                    tracing::error!(event = "approval.letter", letter = id, %error, "left as it stands");
                }
            });
        }
        Ok(())
    }

    /// Who is told of `news`.
    fn targets(&self, news: &News) -> Vec<String> {
        let Some(request) = &news.request else { return vec![] };
        let hears = |webhook: &&WebhookConfig| {
            webhook.workspaces.contains(&request.workspace) && webhook.events.contains(&news.event.into())
        };
        let webhooks = self.config.webhooks.iter().filter(hears);
        let mut targets: Vec<String> = webhooks.map(|webhook| format!("{WEBHOOK}{}", webhook.name)).collect();
        let mail = self.config.email.iter().filter(|mail| mail.workspaces.contains(&request.workspace));
        for mail in mail {
            let asked = mail.to.keys().filter(|role| news.asks.contains(*role));
            targets.extend(asked.map(|role| format!("{MAIL}{role}")));
        }
        targets
    }

    /// Delivers one letter, or has it tried again.
    async fn see_to(
        &self,
        letter: Letter,
        carrier: &dyn Carrier,
        stop: &CancellationToken,
    ) -> Result<(), ApprovalError> {
        let Some(request) = self.approvals.request_of(&letter).await? else {
            return self.approvals.letter_is_done(letter).await;
        };
        let parting = async {
            stop.cancelled().await;
            sleep(PARTING).await;
        };
        let tried = tokio::select! {
            tried = timeout(DELIVERY, self.send(&letter, &request, carrier)) => {
                tried.unwrap_or_else(|_| Err("it took too long".to_owned()))
            }
            () = parting => Err("the gateway stops".to_owned()),
        };
        let (id, target) = (letter.id().to_owned(), letter.target().to_owned());
        let why = match tried {
            Ok(()) => {
                tracing::info!(
                    event = "approval.letter",
                    letter = id,
                    target,
                    "told of a request for approval"
                );
                return self.approvals.letter_is_done(letter).await;
            }
            Err(why) => why,
        };
        let attempt = letter.attempt();
        match self.approvals.letter_failed(letter).await? {
            Some(again) => {
                let again_s = again.as_secs();
                tracing::warn!(
                    event = "approval.letter",
                    letter = id,
                    target,
                    attempt,
                    again_s,
                    why,
                    "not told yet"
                );
            }
            None => {
                tracing::error!(event = "approval.letter", letter = id, target, attempt, why, "given up");
            }
        }
        Ok(())
    }

    async fn send(&self, letter: &Letter, request: &Request, carrier: &dyn Carrier) -> Result<(), String> {
        let links = self.console.as_deref().map(|base| Links { base, keys: &self.keys });
        let message = Message { event: letter.event(), request, links, now: self.clock.now() };
        let gone = || "it is not configured any more".to_owned();
        if let Some(name) = letter.target().strip_prefix(WEBHOOK) {
            let webhook = self.config.webhooks.iter().find(|webhook| webhook.name.as_str() == name);
            let parcel = self.parcel(webhook.ok_or_else(gone)?, letter, &message)?;
            return match carrier.post(parcel).await? {
                200..=299 => Ok(()),
                status => Err(format!("the receiver answered {status}")),
            };
        }
        let (role, mail) =
            letter.target().strip_prefix(MAIL).zip(self.config.email.as_ref()).ok_or_else(gone)?;
        let password = mail.password.as_ref().map(|password| self.secret(password)).transpose()?;
        let text = message.for_people().map_err(|error| error.to_string())?;
        mail::send(mail, password.as_ref(), (role, letter.id()), text).await
    }

    fn parcel(
        &self,
        webhook: &WebhookConfig,
        letter: &Letter,
        message: &Message<'_>,
    ) -> Result<Parcel, String> {
        let url = match (&webhook.url, &webhook.url_from) {
            (Some(url), _) => url.clone(),
            (None, Some(secret)) => self.secret(secret)?.expose_secret().trim().to_owned(),
            (None, None) => return Err("it has no address".to_owned()),
        };
        if !config::may_be_told(&url) {
            return Err("its address is not one that may be told".to_owned());
        }
        let body = match webhook.format {
            WebhookFormat::Quaymaster => message.for_programs(),
            WebhookFormat::Slack => message.for_slack(),
        };
        let body = body.map_err(|error| error.to_string())?;
        let seconds = message.now.as_secs();
        let mut headers =
            vec![("webhook-id", letter.id().to_owned()), ("webhook-timestamp", seconds.to_string())];
        if let Some(secret) = &webhook.secret {
            let key = SigningKey::read(&self.secret(secret)?);
            let key = key.ok_or("its secret is not `whsec_` and base64 of 24 to 64 bytes")?;
            headers.push(("webhook-signature", key.sign(letter.id(), seconds, &body)));
        }
        Ok(Parcel { url, headers, body })
    }

    fn secret(&self, reference: &SecretRef) -> Result<SecretString, String> {
        self.secrets.resolve(reference).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").finish_non_exhaustive()
    }
}

//! How a connection begins: which era the server speaks, and its session.
//!
//! `auto` asks with `server/discover` and falls back to `initialize`
//! (MCP 2026-07-28, basic/versioning, "Backward Compatibility"): a modern answer
//! or a modern error means a modern server, anything else a legacy one. A server
//! over HTTP that does not take `initialize` may be one from before Streamable HTTP:
//! then the stream of HTTP+SSE is asked for (MCP 2025-11-25, basic/transports,
//! "Backwards Compatibility").
//!
//! Invariant: no link exists over a revision that we do not know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use quaymaster_core::RawBuf;
use quaymaster_core::input::TASKS_EXTENSION;
use quaymaster_core::rpc::code;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::check::Settings;
use super::check::server::{HttpServer, Server};
use super::config::EraConfig;
use super::failure::Failure;
use super::http_sse::HttpSse;
use super::inbox::Inbox;
use super::link::{Answer, Channel, Link, Query, Until};
use super::pinned;
use super::state::{Health, Trouble};
use super::stdio::Stdio;
use super::streamable::Http;
use super::wire::{self, Era};

const DISCOVER_ID: u64 = 1;
const INITIALIZE_ID: u64 = 2;
const MAX_SESSION_BYTES: usize = 1024;
/// How many of the revisions that a server names are told.
const MAX_SHOWN: usize = 10;

/// What server and client agreed on.
struct Agreed {
    era: Era,
    session: Option<HeaderValue>,
    capabilities: Capabilities,
}

/// Connects. `was_legacy` says that a probe is not worth its wait: the same
/// child was found to be legacy before.
pub(super) async fn open(
    settings: &Settings,
    was_legacy: bool,
    inbox: Inbox,
    stop: &CancellationToken,
) -> Result<Link, Trouble> {
    let inbox = Arc::new(inbox);
    let opening = Opening { settings, stop };
    let mut channel = opening.connect(&inbox).await?;
    let agreed = match opening.agree(&mut channel, was_legacy, &inbox).await {
        Ok(agreed) => agreed,
        Err(trouble) => {
            channel.close().await;
            return Err(trouble);
        }
    };
    channel.speak(agreed.era, agreed.session);
    if let Era::Legacy(_) = agreed.era {
        let initialized = quaymaster_core::rpc::notification("notifications/initialized", "{}");
        let notified = tokio::time::timeout(settings.pace.handshake, channel.notify(initialized)).await;
        if let Err(failure) = notified.unwrap_or(Err(Failure::Timeout { sent: true })) {
            channel.close().await;
            return Err(Trouble::of(&failure));
        }
    }
    let capabilities = agreed.capabilities;
    let link = Link::new(channel, agreed.era, inbox, capabilities.names());
    let link = link.making_tasks(capabilities.makes_tasks(agreed.era));
    // Over HTTP, a session's server may also ask and log on that stream, without telling before.
    if capabilities.tells_changes() || link.is_session_over_http() {
        link.listen(&BTreeSet::new()).await;
    }
    Ok(link)
}

struct Opening<'a> {
    settings: &'a Settings,
    stop: &'a CancellationToken,
}

impl Opening<'_> {
    async fn connect(&self, inbox: &Arc<Inbox>) -> Result<Channel, Trouble> {
        let channel = match &self.settings.server {
            Server::Stdio(server) => {
                if let Err(why) = pinned::verify(&server.pinned).await {
                    // Nothing gets better by starting it later: somebody has to look.
                    return Err(Trouble::new(Health::Quarantined, why));
                }
                let (connector, grace) = (self.settings.connector.as_str(), self.settings.pace.grace);
                match Box::pin(server.environment()).await {
                    Ok(environment) => {
                        let child = (server, &environment);
                        Stdio::start(child, connector, grace, Arc::clone(inbox)).map(Channel::Stdio)
                    }
                    Err(failure) => Err(failure),
                }
            }
            Server::Http(server) => Http::try_new(server, Arc::clone(inbox)).map(Channel::Http),
            Server::Sse(server) => self.open_stream(server, inbox).await.map(Channel::HttpSse),
        };
        channel.map_err(|failure| Trouble::of(&failure))
    }

    async fn open_stream(&self, server: &HttpServer, inbox: &Arc<Inbox>) -> Result<HttpSse, Failure> {
        let opening = HttpSse::open(server, self.settings.connector.as_str(), Arc::clone(inbox));
        let opening = tokio::time::timeout(self.settings.pace.handshake, opening);
        match self.stop.run_until_cancelled(opening).await {
            Some(Ok(opened)) => opened,
            Some(Err(_)) => Err(Failure::Timeout { sent: true }),
            None => Err(Failure::Cancelled { sent: true }),
        }
    }

    async fn agree(
        &self,
        channel: &mut Channel,
        was_legacy: bool,
        inbox: &Arc<Inbox>,
    ) -> Result<Agreed, Trouble> {
        let asks = match self.settings.era {
            EraConfig::Auto => !was_legacy,
            EraConfig::Modern => true,
            EraConfig::Legacy => false,
        };
        if asks {
            if let Some(agreed) = self.discover(channel).await? {
                return Ok(agreed);
            }
            if self.settings.era == EraConfig::Modern {
                let reason = format!("the server does not speak {}, as `era: modern` demands", wire::MODERN);
                return Err(Trouble::new(Health::Incompatible, reason));
            }
            // Some servers do not survive a question that they do not know.
            if channel.has_ended() {
                channel.close().await;
                *channel = self.connect(inbox).await?;
            }
        }
        self.initialize(channel, inbox).await
    }

    /// Asks whether the server is a modern one; `None` if not.
    async fn discover(&self, channel: &Channel) -> Result<Option<Agreed>, Trouble> {
        let probe;
        let channel = match channel {
            Channel::Http(http) => {
                probe = Channel::Http(http.speaking(Era::Modern, None));
                &probe
            }
            Channel::Stdio(_) | Channel::HttpSse(_) => channel,
        };
        let limit = self.settings.pace.probe;
        let mut answer = self.ask(channel, Ask::Discover, limit).await;
        // Whoever refuses a revision names those that it would take (2026-07-28, basic/versioning), and
        // that may be this one. There is no other to try, so the names need not be read.
        if matches!(answer, Err(Failure::Rpc { code: code::UNSUPPORTED_PROTOCOL_VERSION, .. })) {
            answer = self.ask(channel, Ask::Discover, limit).await;
        }
        let failure = match answer {
            Ok(answer) => return read_discovery(&answer.result),
            Err(failure) => failure,
        };
        match &failure {
            Failure::NotDelivered(_) if !channel.has_ended() => Err(Trouble::of(&failure)),
            Failure::Cancelled { .. } => Err(Trouble::of(&failure)),
            // Whoever refuses our credentials or our pace will do so in any era.
            Failure::Status { status, .. } if matches!(status.as_u16(), 401 | 403 | 429) => {
                Err(Trouble::of(&failure))
            }
            Failure::Incapable { .. }
            | Failure::Rpc { code: code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY, .. } => {
                Err(Trouble::new(Health::Incompatible, failure.reason()))
            }
            _ => Ok(None),
        }
    }

    async fn initialize(&self, channel: &mut Channel, inbox: &Arc<Inbox>) -> Result<Agreed, Trouble> {
        let limit = self.settings.pace.handshake;
        let failure = match self.ask(channel, Ask::Initialize, limit).await {
            Ok(answer) => return read_session(answer),
            Err(failure) => failure,
        };
        let Server::Http(server) = &self.settings.server else { return Err(Trouble::of(&failure)) };
        if !may_be_older(&failure) {
            return Err(Trouble::of(&failure));
        }
        if server.caller.is_some() {
            let reason = "the server speaks HTTP+SSE alone, where all callers would share one stream";
            return Err(Trouble::new(Health::Incompatible, reason));
        }
        match self.open_stream(server, inbox).await {
            Ok(stream) => *channel = Channel::HttpSse(stream),
            Err(why) if is_of_older(&why) => return Err(Trouble::of(&why)),
            Err(_) => return Err(Trouble::of(&failure)),
        }
        let answer = self.ask(channel, Ask::Initialize, limit).await;
        read_session(answer.map_err(|failure| Trouble::of(&failure))?)
    }

    async fn ask(&self, channel: &Channel, ask: Ask, limit: Duration) -> Result<Answer, Failure> {
        let (id, method, members, era): (u64, &str, &[&str], Era) = match ask {
            Ask::Discover => (DISCOVER_ID, "server/discover", &[], Era::Modern),
            Ask::Initialize => {
                (INITIALIZE_ID, "initialize", &[wire::INITIALIZE], Era::Legacy(wire::PROPOSED))
            }
        };
        let until = Until { deadline: Instant::now() + limit, cancel: self.stop };
        let query = Query::plain(method, members, until);
        match channel.ask(id, era, &query).await {
            // What was refused is another one by now.
            Err(Failure::Renewed) => Box::pin(channel.ask(id, era, &query)).await,
            answer => answer,
        }
    }
}

/// Whether a server that answers a POST of `initialize` so may be one that takes none.
fn may_be_older(failure: &Failure) -> bool {
    matches!(failure, Failure::Status { status, .. } if matches!(status.as_u16(), 400 | 404 | 405))
}

/// Whether a stream that was not opened tells more than that there is none.
fn is_of_older(failure: &Failure) -> bool {
    match failure {
        Failure::Malformed(_) => true,
        Failure::Status { status, .. } => matches!(status.as_u16(), 401 | 403 | 429),
        _ => false,
    }
}

/// What the answer to `initialize` agrees on.
fn read_session(answer: Answer) -> Result<Agreed, Trouble> {
    let Ok(initialized) = serde_json::from_str::<Initialized>(answer.result.get()) else {
        let reason = "the server's answer to `initialize` cannot be understood";
        return Err(Trouble::new(Health::Incompatible, reason));
    };
    let version = initialized.protocol_version;
    let Some(revision) = wire::LEGACY.into_iter().find(|known| *known == version) else {
        let version = if is_plain(&version) { &version } else { "?" };
        let reason = format!("the server wants revision `{version}`, which we do not speak");
        return Err(Trouble::new(Health::Incompatible, reason));
    };
    if answer.session.as_ref().is_some_and(|session| !is_session_id(session)) {
        let reason = "the server gave a session id that is none";
        return Err(Trouble::new(Health::Incompatible, reason));
    }
    Ok(Agreed { era: Era::Legacy(revision), session: answer.session, capabilities: initialized.capabilities })
}

/// Whether a revision that a server names may go into a log: a date or the like, and no text.
fn is_plain(version: &str) -> bool {
    (1..=16).contains(&version.len())
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn read_discovery(result: &RawBuf) -> Result<Option<Agreed>, Trouble> {
    let Ok(discovered) = serde_json::from_str::<Discovered>(result.get()) else { return Ok(None) };
    let versions = discovered.supported_versions;
    if versions.iter().any(|version| version == wire::MODERN) {
        let capabilities = discovered.capabilities;
        return Ok(Some(Agreed { era: Era::Modern, session: None, capabilities }));
    }
    if versions.iter().any(|version| wire::LEGACY.contains(&version.as_str())) {
        return Ok(None);
    }
    let versions: Vec<&str> = versions
        .iter()
        .map(|version| if is_plain(version) { version } else { "?" })
        .take(MAX_SHOWN)
        .collect();
    let versions = versions.join(", ");
    let reason = format!("the server speaks {versions}, and nothing that we speak");
    Err(Trouble::new(Health::Incompatible, reason))
}

#[derive(Clone, Copy)]
enum Ask {
    Discover,
    Initialize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    supported_versions: Vec<String>,
    #[serde(default)]
    capabilities: Capabilities,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
    #[serde(default)]
    capabilities: Capabilities,
}

/// What a server says that it can do, by the names that the protocol has for it.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Capabilities(BTreeMap<String, Value>);

/// How many capabilities of a server are remembered.
const MAX_CAPABILITIES: usize = 32;

impl Capabilities {
    fn names(&self) -> Box<[Box<str>]> {
        let there = self.0.iter().filter(|(name, value)| value.is_object() && name.len() <= 64);
        there.take(MAX_CAPABILITIES).map(|(name, _)| name.as_str().into()).collect()
    }

    /// Whether the server makes tasks of calls of tools: an extension in one era, a capability in the other.
    fn makes_tasks(&self, era: Era) -> bool {
        let settings = match era {
            Era::Modern => self.0.get("extensions").and_then(|extensions| extensions.get(TASKS_EXTENSION)),
            Era::Legacy(_) => self.0.get("tasks").and_then(|tasks| tasks.pointer("/requests/tools/call")),
        };
        settings.is_some_and(Value::is_object)
    }

    /// Whether the server tells when one of its lists changes.
    fn tells_changes(&self) -> bool {
        ["tools", "prompts", "resources"].iter().any(|name| {
            let told = self.0.get(*name).and_then(|capability| capability.get("listChanged"));
            told == Some(&Value::Bool(true))
        })
    }
}

/// Visible ASCII (MCP 2025-11-25, basic/transports, "Session Management").
fn is_session_id(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty() && bytes.len() <= MAX_SESSION_BYTES && bytes.iter().all(u8::is_ascii_graphic)
}

//! The section `listen` of the settings, checked: where clients connect, and what they may send.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use quaymaster_control::address::address;
use quaymaster_core::setting::ByteSize;

use super::checked::PathProblem;
use super::diagnostic::Code;
use super::settings::ListenConfig;

/// Largest request that may be configured.
const MAX_BODY: ByteSize = ByteSize::new(64 * 1024 * 1024);

/// Where clients connect, and what they may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// On loopback unless that was expressly allowed otherwise.
    pub address: SocketAddr,
    /// Where scrapers connect, on loopback unless that was expressly allowed otherwise.
    pub metrics: Option<SocketAddr>,
    /// Where browsers reach the console, on loopback unless that was expressly allowed otherwise.
    pub console: Option<SocketAddr>,
    /// The URL under which clients reach the gateway, without a path or a slash at its end.
    pub public_url: Option<String>,
    /// Hosts besides those of loopback, in lower case, each with its port where one was given.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages, in lower case: scheme, host and, where it was given, port.
    pub allowed_origins: Vec<String>,
    /// Most bytes of one request.
    pub max_body_bytes: usize,
    /// Most connections that are open at once.
    pub max_connections: usize,
    /// Most sessions that are open at once.
    pub max_sessions: usize,
    /// Most of them that one principal has.
    pub max_sessions_per_actor: usize,
    /// How long a session without a request stays open.
    pub session_idle: Duration,
}

/// Checks `config`; none if it is of no use.
pub(super) fn listen(config: &ListenConfig, problems: &mut Vec<PathProblem>) -> Option<Listen> {
    let address = socket("listen.address", &config.address, config.allow_non_loopback, problems);
    let metrics = config.metrics.as_deref();
    let metrics =
        metrics.and_then(|text| socket("listen.metrics", text, config.allow_non_loopback, problems));
    if metrics.is_some_and(|metrics| metrics.port() != 0 && Some(metrics) == address) {
        let message = "metrics have a port of their own, which clients do not reach";
        problems.push(PathProblem::error(Code::Value, "listen.metrics", message));
    }
    let console = config.console.as_deref();
    let console =
        console.and_then(|text| socket("listen.console", text, config.allow_non_loopback, problems));
    let is_taken = |console: SocketAddr| console.port() != 0 && [address, metrics].contains(&Some(console));
    if console.is_some_and(is_taken) {
        let message = "the console has a port of its own, which clients do not reach";
        problems.push(PathProblem::error(Code::Value, "listen.console", message));
    }
    if config.max_body_bytes.get() > MAX_BODY.get() {
        problems.push(PathProblem::error(
            Code::Value,
            "listen.maxBodyBytes",
            "a request has at most `64MiB`",
        ));
    }
    let public_url = config.public_url.as_deref().and_then(|text| public_url(text, problems));
    let mut hosts = names(&config.allowed_hosts, "listen.allowedHosts", problems, host);
    let origins = names(&config.allowed_origins, "listen.allowedOrigins", problems, origin);
    let own_host =
        public_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, host)| host.to_owned());
    hosts.extend(own_host);
    Some(Listen {
        address: address?,
        metrics,
        console,
        public_url,
        allowed_hosts: hosts,
        allowed_origins: origins,
        max_body_bytes: config.max_body_bytes.get(),
        max_connections: count(config.max_connections),
        max_sessions: count(config.max_sessions),
        max_sessions_per_actor: count(config.max_sessions_per_actor),
        session_idle: config.session_idle.get(),
    })
}

/// An address that other machines reach only if they may.
fn socket(
    path: &str,
    text: &str,
    may_be_reached: bool,
    problems: &mut Vec<PathProblem>,
) -> Option<SocketAddr> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("`{}` is not an address with a port", text.escape_debug());
        let help = "write the number of an address, as in `127.0.0.1:8080` or `[::1]:8080`".to_owned();
        problems.push(PathProblem::error(Code::Value, path, message).help(help));
        return None;
    };
    if !address.ip().is_loopback() && !may_be_reached {
        let message = format!("`{address}` can be reached from other machines");
        let help = "tokens and results travel unencrypted: listen on `127.0.0.1`, or, behind a proxy that does \
                    TLS, say `allowNonLoopback: true` and name the proxy's host in `allowedHosts`";
        problems.push(PathProblem::error(Code::Exposed, path, message).help(help.to_owned()));
    }
    Some(address)
}

/// Reads the URL of the gateway itself: an origin to which credentials may be sent.
fn public_url(text: &str, problems: &mut Vec<PathProblem>) -> Option<String> {
    let bare = text.strip_suffix('/').unwrap_or(text);
    let read = address(bare).map(drop).and_then(|()| origin(bare).map_err(|_| "it has no path".to_owned()));
    let expected = "a URL such as `https://gateway.example.test`, without a path";
    read.map_err(|why| {
        let message = format!("`{}` is not {expected}", text.escape_debug());
        problems.push(PathProblem::error(Code::Value, "listen.publicUrl", message).help(why));
    })
    .ok()
}

fn count(number: NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}

fn names(
    written: &[String],
    path: &str,
    problems: &mut Vec<PathProblem>,
    read: fn(&str) -> Result<String, &'static str>,
) -> Vec<String> {
    let mut read_ones = Vec::new();
    for (index, text) in written.iter().enumerate() {
        match read(text) {
            Ok(name) => read_ones.push(name),
            Err(expected) => problems.push(PathProblem::error(
                Code::Value,
                format!("{path}[{index}]"),
                format!("`{}` is not {expected}", text.escape_debug()),
            )),
        }
    }
    read_ones
}

/// A host name or address, and a port where one is given; no pattern.
fn host(text: &str) -> Result<String, &'static str> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let name_fits = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
    if name_fits && port_fits && (text.starts_with('[') || !name.contains(':')) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("a host such as `gateway.example.test` or `gateway.example.test:8443`")
}

/// Scheme and host, and a port where one is given (RFC 6454, section 6.1).
fn origin(text: &str) -> Result<String, &'static str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest.map(host) {
        Some(Ok(_)) => Ok(text.to_ascii_lowercase()),
        _ => Err("an origin such as `https://app.example.test`, without a path"),
    }
}

//! What the head of a request must say before anything else is looked at.
//!
//! Host and Origin are checked against lists: a web page that an attacker
//! controls can make a browser reach a server on this machine under a name of
//! the attacker's, but it cannot make the browser say another name (MCP
//! 2026-07-28, streamable HTTP, security).

use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, StatusCode, Uri};
use quaymaster_core::ErrorCode;
use quaymaster_core::rpc::code::INVALID_REQUEST;

use crate::ingress::era::RequestHead;
use crate::ingress::refusal::{Refusal, quoted};

static PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
static METHOD: HeaderName = HeaderName::from_static("mcp-method");
static NAME: HeaderName = HeaderName::from_static("mcp-name");

/// The session of a legacy client.
pub(super) static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Which names the server answers to, and whose pages may ask.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Guard {
    /// A guard with these lists.
    pub(super) fn new(hosts: &[String], origins: &[String]) -> Self {
        Self { hosts: hosts.to_vec(), origins: origins.to_vec() }
    }

    /// Refuses a request that is addressed to another host or comes from a page
    /// that is not on the list.
    pub(super) fn check(&self, head: &Parts) -> Result<(), Refusal> {
        let host = host(&head.uri, &head.headers)
            .ok_or_else(|| forbidden("the request must say in one `Host` header whom it is for".into()))?;
        if !self.hosts.iter().any(|allowed| host_matches(allowed, host)) {
            return Err(forbidden(format!("host `{}` is not one of this server's names", quoted(host))));
        }
        for origin in head.headers.get_all(&ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            if !self.origins.iter().any(|allowed| origin_matches(allowed, origin)) {
                return Err(forbidden(format!("origin `{}` may not send requests", quoted(origin))));
            }
        }
        Ok(())
    }
}

fn forbidden(message: String) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, INVALID_REQUEST, ErrorCode::PolicyDenied, message)
}

/// The host that a request is for; the one in the target counts, as in RFC 9112, section 3.2.2.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let named = single(headers, &HOST).ok()??;
    Some(uri.authority().map_or(named, http::uri::Authority::as_str))
}

fn host_matches(allowed: &str, host: &str) -> bool {
    allowed.eq_ignore_ascii_case(host)
        || host
            .rsplit_once(':')
            .is_some_and(|(name, port)| is_port(port) && allowed.eq_ignore_ascii_case(name))
}

fn origin_matches(allowed: &str, origin: &str) -> bool {
    let Some(any_port) = allowed.strip_suffix(":*") else { return allowed.eq_ignore_ascii_case(origin) };
    host_matches(any_port, origin)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The value of a header that may be there once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(Refusal::header_mismatch(format!("the header `{name}` must be there once, in ASCII"))),
    }
}

/// The headers that decide how a request is read.
pub(super) fn request_head(headers: &HeaderMap) -> Result<RequestHead<'_>, Refusal> {
    Ok(RequestHead {
        protocol_version: single(headers, &PROTOCOL_VERSION)?,
        session: single(headers, &SESSION)?,
        method: single(headers, &METHOD)?,
        name: single(headers, &NAME)?,
    })
}

/// What forms of answer a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepts {
    /// A JSON object.
    pub(super) json: bool,
    /// Server-sent events.
    pub(super) events: bool,
    /// Events rather than a JSON object: weighed higher, or named first of two that weigh the same.
    pub(super) events_first: bool,
}

/// Reads the `Accept` headers. None at all is anything, but not events, which a
/// client that does not know of them could not read.
pub(super) fn accepts(headers: &HeaderMap) -> Accepts {
    let ranges = || {
        let values = headers.get_all(&ACCEPT).iter();
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','))
    };
    let takes = |any: &str, exact: &str| {
        ranges().position(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range == "*/*" || range.eq_ignore_ascii_case(any) || range.eq_ignore_ascii_case(exact)
        })
    };
    if !headers.contains_key(&ACCEPT) {
        return Accepts { json: true, events: false, events_first: false };
    }
    let (json, events) = (takes("application/*", "application/json"), takes("text/*", "text/event-stream"));
    let weight = |at: Option<usize>| at.and_then(|at| ranges().nth(at)).map_or(0, weight);
    let events_first = match (json, events) {
        (Some(at), Some(before)) => {
            let (json_weight, events_weight) = (weight(json), weight(events));
            events_weight > json_weight || (events_weight == json_weight && before < at)
        }
        _ => false,
    };
    Accepts { json: json.is_some(), events: events.is_some(), events_first }
}

/// What a range of media types weighs, in thousandths (RFC 9110, section 12.4.2).
fn weight(range: &str) -> u32 {
    let mut parameters = range.split(';').skip(1).map(str::trim);
    let named = parameters.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
    let Some((whole, part)) = named.map(|q| q.split_once('.').unwrap_or((q, ""))) else { return 1_000 };
    let thousandths = |text: &str| format!("{text:0<3}").get(..3).and_then(|t| t.parse::<u32>().ok());
    if whole == "0" { thousandths(part).unwrap_or(0) } else { 1_000 }
}

/// Refuses a POST that is not JSON or whose client takes no JSON.
pub(super) fn check_post(headers: &HeaderMap, accepts: Accepts) -> Result<(), Refusal> {
    let essence =
        headers.get(&CONTENT_TYPE).map(HeaderValue::as_bytes).and_then(|v| v.split(|b| *b == b';').next());
    if !essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"application/json")) {
        return Err(Refusal::invalid_request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON: send `Content-Type: application/json`",
        ));
    }
    if !accepts.json {
        return Err(Refusal::invalid_request(
            StatusCode::NOT_ACCEPTABLE,
            "answers are JSON or events: send `Accept: application/json, text/event-stream`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_matches_by_name_and_only_as_a_whole() {
        for host in ["localhost", "LOCALHOST:8080", "localhost:1"] {
            assert!(host_matches("localhost", host), "{host}");
        }
        for host in [
            "localhost.evil.test",
            "evil.test",
            "localhost:",
            "localhost:x",
            "a@localhost",
            "localhost:80:80",
        ] {
            assert!(!host_matches("localhost", host), "{host}");
        }
        assert!(host_matches("[::1]", "[::1]:8080") && host_matches("[::1]", "[::1]"));
        assert!(host_matches("a.test:8443", "a.test:8443") && !host_matches("a.test:8443", "a.test:80"));
    }

    #[test]
    fn an_origin_matches_with_its_scheme_and_port() {
        assert!(origin_matches("http://localhost:*", "http://localhost:3000"));
        assert!(origin_matches("http://localhost:*", "http://localhost"));
        assert!(origin_matches("https://a.test", "https://a.test"));
        for origin in ["https://localhost:3000", "http://localhost.evil.test", "null", ""] {
            assert!(!origin_matches("http://localhost:*", origin), "{origin}");
        }
        assert!(!origin_matches("https://a.test", "https://a.test:444"));
    }

    #[test]
    fn what_weighs_more_or_else_comes_first_is_preferred() {
        let prefers_events = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(value));
            accepts(&headers).events_first
        };
        for events in [
            "text/event-stream, application/json",
            "application/json;q=0.9, text/event-stream",
            "application/json; q=0.25, text/event-stream; q=0.5",
        ] {
            assert!(prefers_events(events), "{events}");
        }
        for json in [
            "application/json, text/event-stream",
            "text/event-stream;q=0.99, application/json",
            "*/*",
            "text/event-stream",
        ] {
            assert!(!prefers_events(json), "{json}");
        }
    }

    #[test]
    fn a_client_says_what_it_takes() {
        let accepted = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(value));
            let accepts = accepts(&headers);
            (accepts.json, accepts.events)
        };
        assert_eq!(accepted("text/event-stream, application/json"), (true, true));
        assert_eq!(accepted("Application/JSON;q=0.9"), (true, false));
        assert_eq!(accepted("*/*"), (true, true));
        assert_eq!(accepted("text/html"), (false, false));
        let nothing_said = Accepts { json: true, events: false, events_first: false };
        assert_eq!(accepts(&HeaderMap::new()), nothing_said);
    }
}

//! To where an HTTP+SSE server wants its messages posted.
//!
//! The server may name a whole address or one relative to that of its stream
//! (RFC 3986, section 5.2). Only path and query of it are used, so whatever it says,
//! messages go over connections to the configured address.
//!
//! Invariants:
//! - Another origin (RFC 6454) is refused, not read as a path of this one.
//! - No error repeats the address: it names a session.

use http::uri::{PathAndQuery, Scheme};
use http::{Uri, uri::Authority};

pub(super) const NO_ADDRESS: &str = "an `endpoint` that is no address";
const OTHER_ORIGIN: &str = "an `endpoint` at another origin than the configured address";

const MAX_BYTES: usize = 8 * 1024;

/// The path and query that `endpoint` means on a stream from `base`.
///
/// # Errors
///
/// Why it means none, in words that do not repeat it.
pub(super) fn resolve(base: &Uri, endpoint: &str) -> Result<PathAndQuery, String> {
    let is_plain = !endpoint.is_empty()
        && endpoint.len() <= MAX_BYTES
        && endpoint.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if !is_plain {
        return Err(NO_ADDRESS.into());
    }
    let endpoint = endpoint.split('#').next().unwrap_or_default();
    let target = match (scheme(endpoint), endpoint.strip_prefix("//")) {
        (Some(_), _) => same_origin(base, endpoint)?,
        (None, Some(_)) => {
            same_origin(base, &format!("{}:{endpoint}", base.scheme_str().unwrap_or_default()))?
        }
        (None, None) => relative(base.path(), endpoint),
    };
    target.parse().map_err(|_| NO_ADDRESS.into())
}

/// The scheme that `text` begins with, if it does (RFC 3986, section 3.1).
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    is_scheme.then_some(scheme)
}

/// Path and query of the address `text`, which must have the origin of `base`.
fn same_origin(base: &Uri, text: &str) -> Result<String, String> {
    let uri: Uri = text.parse().map_err(|_| NO_ADDRESS.to_owned())?;
    let origin = |uri: &Uri| {
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        Some((uri.scheme()?.clone(), authority.host().to_ascii_lowercase(), port(uri.scheme()?, authority)?))
    };
    match (origin(base), origin(&uri)) {
        (Some(ours), Some(theirs)) if ours == theirs => Ok(match uri.query() {
            Some(query) => format!("{}?{query}", uri.path()),
            None => uri.path().to_owned(),
        }),
        _ => Err(OTHER_ORIGIN.into()),
    }
}

fn port(scheme: &Scheme, authority: &Authority) -> Option<u16> {
    let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    // A port that is none is not the usual one.
    let text = authority.as_str();
    let has_port = text.strip_prefix(authority.host()).is_some_and(|rest| rest.len() > 1);
    if has_port { authority.port_u16() } else { Some(usual) }
}

/// `reference` without an authority, as it reads on a page at `base`.
fn relative(base: &str, reference: &str) -> String {
    let (path, query) = match reference.find('?') {
        Some(at) => reference.split_at(at),
        None => (reference, ""),
    };
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = match path {
        "" => return format!("{base}{query}"),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{folder}/{path}"),
    };
    format!("{}{query}", without_dots(&path))
}

/// `path` without the segments `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        if matches!(*segment, "." | "..") {
            if *segment == ".." {
                kept.pop();
            }
            if at + 1 == segments.len() {
                kept.push("");
            }
        } else {
            kept.push(segment);
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(base: &str, endpoint: &str) -> Result<String, String> {
        let base = base.parse().expect("an address");
        resolve(&base, endpoint).map(|target| target.as_str().to_owned())
    }

    #[test]
    fn an_endpoint_is_read_relative_to_the_stream() {
        let base = "https://mcp.example.test/a/sse?key=1";
        for (endpoint, target) in [
            ("/messages/?session_id=7", "/messages/?session_id=7"),
            ("messages?session_id=7", "/a/messages?session_id=7"),
            ("?session_id=7", "/a/sse?session_id=7"),
            ("./messages", "/a/messages"),
            ("../messages", "/messages"),
            ("../../../messages/..", "/"),
            ("/a/./b/../c", "/a/c"),
            ("/messages?next=../x//y", "/messages?next=../x//y"),
            ("/messages#part", "/messages"),
            ("/messages:7?at=a:b", "/messages:7?at=a:b"),
            ("https://mcp.example.test/messages", "/messages"),
            ("HTTPS://MCP.example.test:443/messages", "/messages"),
            ("https://mcp.example.test?s=7", "/?s=7"),
            ("//mcp.example.test/messages", "/messages"),
        ] {
            assert_eq!(resolved(base, endpoint).as_deref(), Ok(target), "{endpoint}");
        }
        assert_eq!(resolved("http://127.0.0.1:4201", "m").as_deref(), Ok("/m"));
        assert_eq!(resolved("http://[::1]:1/sse", "http://[::1]:1/m").as_deref(), Ok("/m"));
    }

    #[test]
    fn another_origin_is_refused_and_not_repeated() {
        for endpoint in [
            "https://evil.example.test/messages?hunter2",
            "//evil.example.test/messages?hunter2",
            "http://mcp.example.test/messages?hunter2",
            "https://mcp.example.test:8443/messages?hunter2",
            "https://mcp.example.test@evil.example.test/hunter2",
            "https://hunter2@mcp.example.test/messages",
            "https://mcp.example.test.evil.test/hunter2",
            "ftp://mcp.example.test/hunter2",
            "mailto:hunter2",
        ] {
            assert_eq!(
                resolved("https://mcp.example.test/sse", endpoint),
                Err(OTHER_ORIGIN.into()),
                "{endpoint}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("/{}", "x".repeat(MAX_BYTES));
        for endpoint in
            ["", " /m", "/m\n", "/\u{e9}", "\\\\evil\\m", "/\\evil", "https://", "http:///m", &long]
        {
            let refused = resolved("https://mcp.example.test/sse", endpoint);
            assert_eq!(refused, Err(NO_ADDRESS.into()), "{endpoint}");
        }
    }
}

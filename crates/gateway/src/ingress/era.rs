//! Which era a request is of.
//!
//! Clients of 2025-11-25 and before open a session with `initialize`; from
//! 2026-07-28 on each request says of itself what it is (MCP 2026-07-28,
//! basic/versioning). One endpoint serves both, so each request is looked at by
//! itself: it is modern if its `_meta` names a version or its header names a
//! modern one, and that wins over a session id that came along. This module
//! only tells the eras apart; what a modern request must carry is in `modern`.
//!
//! It is pure, so that strangers' bytes can be thrown at it by the million.

use quaymaster_core::rpc::Message;

use super::params::{Meta, Params};
use super::refusal::Refusal;
use super::revision::Revision;

/// The first modern version, and the one that we speak.
pub const MODERN: &str = "2026-07-28";

/// Every version that we speak, newest first.
pub const SUPPORTED: [&str; 5] = {
    let [newest, june, march, oldest] = Revision::ALL;
    [MODERN, newest.as_str(), june.as_str(), march.as_str(), oldest.as_str()]
};

/// The headers that decide how a request is read. On stdio there are none.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestHead<'a> {
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<&'a str>,
    /// `Mcp-Session-Id`.
    pub session: Option<&'a str>,
    /// `Mcp-Method`.
    pub method: Option<&'a str>,
    /// `Mcp-Name`.
    pub name: Option<&'a str>,
}

/// How a request is to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// By itself: 2026-07-28.
    Modern,
    /// Within a session: 2025-11-25 and before.
    Legacy,
}

/// A message with its era, and what was read to tell it.
#[derive(Debug)]
pub struct Detected<'a> {
    /// The era.
    pub era: Era,
    pub(super) params: Params<'a>,
    pub(super) meta: Meta<'a>,
}

/// Tells the era of `message`, which came with `head`.
///
/// # Errors
///
/// `-32602` if `params` or `_meta` cannot be read.
pub fn detect<'a>(head: &RequestHead<'_>, message: &Message<'a>) -> Result<Detected<'a>, Refusal> {
    let params = match message {
        Message::Request { params, .. } | Message::Notification { params, .. } => Params::read(*params)?,
        Message::Response { .. } => Params::default(),
    };
    let meta = Meta::read(params.meta)?;
    let modern = meta.protocol_version.is_some() || head.protocol_version.is_some_and(is_modern);
    let era = if modern { Era::Modern } else { Era::Legacy };
    Ok(Detected { era, params, meta })
}

/// Whether `version` is a date from the first modern version on.
pub fn is_modern(version: &str) -> bool {
    let is_date = version.len() == 10
        && version.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_date && version >= MODERN
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quaymaster_core::rpc;

    use super::*;

    fn era(header: Option<&str>, session: Option<&str>, body: &str) -> Result<Era, String> {
        let head = RequestHead { protocol_version: header, session, ..RequestHead::default() };
        let message = rpc::parse(body.as_bytes()).map_err(|e| e.message)?;
        detect(&head, &message).map(|d| d.era).map_err(|r| r.message)
    }

    const BARE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    const NAMED: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"1900-01-01"}}}"#;

    #[test]
    fn a_request_that_names_a_version_is_modern_whatever_its_headers() {
        assert_eq!(era(None, None, NAMED), Ok(Era::Modern));
        assert_eq!(era(Some("2025-06-18"), Some("ses_1"), NAMED), Ok(Era::Modern));
    }

    #[test]
    fn a_modern_header_wins_over_a_stray_session() {
        assert_eq!(era(Some("2026-07-28"), Some("ses_1"), BARE), Ok(Era::Modern));
        assert_eq!(era(Some("2027-01-01"), None, BARE), Ok(Era::Modern));
    }

    #[test]
    fn anything_else_is_legacy() {
        for header in
            [None, Some("2025-11-25"), Some(""), Some("zzzz-zz-zz"), Some("2026-07-28 "), Some("DRAFT")]
        {
            assert_eq!(era(header, None, BARE), Ok(Era::Legacy), "{header:?}");
        }
    }

    #[test]
    fn a_version_of_the_wrong_type_is_still_modern() {
        let body = NAMED.replace(r#""1900-01-01""#, "null");
        assert_eq!(era(None, None, &body), Ok(Era::Modern));
    }

    #[test]
    fn a_meta_that_cannot_be_read_is_refused() {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":7}}"#;
        assert_eq!(era(None, None, body), Err("`_meta` must be an object".into()));
    }

    proptest! {
        #[test]
        fn no_message_makes_the_detection_panic(
            header in proptest::option::of(".{0,12}"),
            meta in ".{0,40}",
            bytes in prop::collection::vec(any::<u8>(), 0..96),
        ) {
            let head = RequestHead { protocol_version: header.as_deref(), ..RequestHead::default() };
            let wrapped = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"_meta":{meta}}}}}"#);
            for text in [wrapped.as_bytes(), &bytes] {
                if let Ok(message) = rpc::parse(text) {
                    let _ = detect(&head, &message);
                }
            }
        }
    }
}

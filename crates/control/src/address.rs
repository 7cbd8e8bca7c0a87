//! Addresses that a credential may be sent to.
//!
//! Invariant: `https` anywhere, `http` on the loopback interface alone; never a
//! user or a password in an address.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::Scheme;

/// Reads an address that the gateway may connect to.
///
/// # Errors
///
/// Says what is wrong; never repeats the text, which may hold a password.
pub fn address(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|_| "not a URL such as `https://mcp.example.test/mcp`".to_owned())?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err("not a URL such as `https://mcp.example.test/mcp`".into());
    };
    if authority.as_str().contains('@') {
        return Err("a user or password does not belong in an address".into());
    }
    if *scheme == Scheme::HTTPS || (*scheme == Scheme::HTTP && is_loopback(authority.host())) {
        return Ok(uri);
    }
    Err("must be `https://`; `http://` is for loopback addresses (127.0.0.1, [::1], localhost) alone".into())
}

/// Whether `text` is an address that travels unencrypted, on this machine alone.
pub(crate) fn is_plain(text: &str) -> bool {
    address(text).is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTP))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<Ipv4Addr>().is_ok_and(|a| a.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|a| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for good in [
            "https://mcp.example.test/mcp",
            "https://mcp.example.test:8443/a?tenant=b",
            "http://127.0.0.1:4201/mcp",
            "http://127.9.9.9/mcp",
            "http://localhost:1/mcp",
            "http://LOCALHOST/mcp",
            "http://[::1]:4201/mcp",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "http://mcp.example.test/mcp",
            "http://127.0.0.1.example.test/mcp",
            "http://localhost.example.test/mcp",
            "http://10.0.0.1/mcp",
            "http://[::2]/mcp",
            "http://0.0.0.0/mcp",
            "ftp://localhost/mcp",
            "/mcp",
            "mcp.example.test",
            "",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let error = address("https://ada:hunter2@mcp.example.test/mcp").expect_err("a password");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

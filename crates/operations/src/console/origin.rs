//! Where a page is: under which host a browser sees the console, and whether a form came from there.
//!
//! A browser says where a form comes from (`Origin`, RFC 6454, and `Sec-Fetch-Site`, W3C Fetch
//! Metadata), and no page of another can make it say otherwise. What says neither was sent by no
//! browser of today, and is refused.

use std::net::IpAddr;
use std::time::Duration;

use http::header::{COOKIE, HOST, HeaderName, ORIGIN};
use http::request::Parts;

static FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The host under which a browser sees the console.
#[derive(Debug)]
pub(super) struct Place {
    host: String,
}

/// What a browser keeps for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Who is logged in. Sent with requests from our own pages alone.
    Session,
    /// The log-in that was begun at an issuer. Sent also when the issuer sends the browser back.
    Login,
}

impl Place {
    /// The host that a request names once.
    pub(super) fn of(head: &Parts) -> Option<Self> {
        let mut hosts = head.headers.get_all(HOST).iter();
        let host = hosts.next()?.to_str().ok()?.to_ascii_lowercase();
        (hosts.next().is_none() && !host.is_empty()).then_some(Self { host })
    }

    /// Whether a browser says that a page from here sent this.
    pub(super) fn sent_by_us(&self, head: &Parts) -> bool {
        let mut sites = head.headers.get_all(&FETCH_SITE).iter();
        let is_other = sites.any(|site| site != "same-origin");
        let mut origins = head.headers.get_all(ORIGIN).iter();
        let origin = origins.next().and_then(|origin| origin.to_str().ok());
        let is_ours = origin.is_some_and(|origin| {
            let origin = origin.to_ascii_lowercase();
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            host == Some(&self.host)
        });
        is_ours && origins.next().is_none() && !is_other
    }

    /// Whether a browser says that no page of another led it here: one of ours did, or a person.
    pub(super) fn was_not_led_here(head: &Parts) -> bool {
        let mut sites = head.headers.get_all(&FETCH_SITE).iter();
        sites.all(|site| site == "same-origin" || site == "none")
    }

    /// The host, as the browser names it.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Beyond this machine the cookie travels over TLS alone: a proxy in front does that.
    fn is_loopback(&self) -> bool {
        let name = match self.host.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => self.host.split(':').next(),
        };
        let name = name.unwrap_or_default();
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The cookie's name. With `__Host-` no other host can set it (RFC 6265bis, section 4.1.3.2).
    fn cookie_name(&self, keeps: Keeps) -> &'static str {
        match (keeps, self.is_loopback()) {
            (Keeps::Session, true) => "quaymaster",
            (Keeps::Session, false) => "__Host-quaymaster",
            (Keeps::Login, true) => "quaymaster-login",
            (Keeps::Login, false) => "__Host-quaymaster-login",
        }
    }

    /// What the browser kept; empty if there is nothing.
    pub(super) fn kept(&self, head: &Parts, keeps: Keeps) -> String {
        let all = head.headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let own = pairs.find(|(name, _)| *name == self.cookie_name(keeps));
        own.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }

    /// A `Set-Cookie` for `value`; one of no time is put away.
    pub(super) fn cookie(&self, keeps: Keeps, value: &str, lifetime: Duration) -> String {
        let secure = if self.is_loopback() { "" } else { "; Secure" };
        let site = match keeps {
            Keeps::Session => "Strict",
            Keeps::Login => "Lax",
        };
        let (name, seconds) = (self.cookie_name(keeps), lifetime.as_secs());
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={site}{secure}")
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("a request").into_parts().0
    }

    fn is_ours(headers: &[(&str, &str)]) -> bool {
        let head = head(&[&[("host", "127.0.0.1:8090")], headers].concat());
        Place::of(&head).expect("a host").sent_by_us(&head)
    }

    #[test]
    fn a_form_comes_from_our_own_origin_or_is_refused() {
        assert!(is_ours(&[("origin", "http://127.0.0.1:8090"), ("sec-fetch-site", "same-origin")]));
        assert!(is_ours(&[("origin", "http://127.0.0.1:8090")]));
        let others: [&[(&str, &str)]; 7] = [
            &[],
            &[("sec-fetch-site", "same-origin")],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:8080")],
            &[("origin", "http://127.0.0.1:8090.evil.test")],
            &[("origin", "http://127.0.0.1:8090"), ("sec-fetch-site", "cross-site")],
            &[("origin", "http://127.0.0.1:8090"), ("origin", "http://evil.test")],
        ];
        for other in others {
            assert!(!is_ours(other), "{other:?}");
        }
    }

    #[test]
    fn beyond_this_machine_the_cookie_is_for_tls_alone() {
        let cookie_for = |host, keeps| {
            let head = head(&[("host", host)]);
            Place::of(&head).expect("a host").cookie(keeps, "v", Duration::from_secs(9))
        };
        let cookie = |host| cookie_for(host, Keeps::Session);
        assert_eq!(
            cookie_for("approvals.example.test", Keeps::Login),
            "__Host-quaymaster-login=v; Path=/; Max-Age=9; HttpOnly; SameSite=Lax; Secure"
        );
        for host in ["127.0.0.1:8090", "localhost", "[::1]:8090"] {
            assert_eq!(cookie(host), "quaymaster=v; Path=/; Max-Age=9; HttpOnly; SameSite=Strict", "{host}");
        }
        for host in ["approvals.example.test", "127.0.0.1.example.test:80"] {
            let expected = "__Host-quaymaster=v; Path=/; Max-Age=9; HttpOnly; SameSite=Strict; Secure";
            assert_eq!(cookie(host), expected, "{host}");
        }
    }
}

//! How a client learns where to get a token (RFC 9728), and what a refusal tells it (RFC 6750).
//!
//! Invariant: what is said of a place depends on its form alone. Whether there is such a
//! workspace or server cannot be learnt from it.

use std::fmt::Write as _;

use quaymaster_core::ErrorCode;
use quaymaster_core::setting::Slug;
use serde_json::{Map, Value, json};

use super::checked::IdentitySettings;

/// Where the documents are (RFC 9728, section 3).
pub const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";
/// The endpoint of everything in the default workspace.
const ENDPOINT: &str = "/mcp";

/// The gateway as a protected resource.
#[derive(Debug)]
pub struct Protection {
    public_url: String,
    issuers: Vec<String>,
    /// Every scope that is needed for something.
    scopes: Vec<String>,
    /// The scope to begin with, if all issuers have the same.
    base: Option<String>,
}

impl Protection {
    pub(super) fn of(settings: &IdentitySettings) -> Option<Self> {
        let rules = || settings.issuers.iter().map(|issuer| &issuer.scopes);
        let mut scopes: Vec<String> = Vec::new();
        for scope in rules().flat_map(|rules| rules.all()) {
            if !scopes.iter().any(|known| known == scope) {
                scopes.push(scope.to_owned());
            }
        }
        let base = rules().next()?.base.clone();
        Some(Self {
            public_url: settings.public_url.clone()?,
            issuers: settings.issuers.iter().map(|issuer| issuer.issuer.clone()).collect(),
            scopes,
            base: base.filter(|base| rules().all(|rules| rules.base.as_ref() == Some(base))),
        })
    }

    /// Whether `audience` is this gateway, its endpoint, or the one at `path`.
    pub(super) fn is_audience(&self, audience: &str, path: &str) -> bool {
        audience
            .strip_prefix(self.public_url.as_str())
            .is_some_and(|rest| rest.is_empty() || rest == ENDPOINT || rest == path)
    }

    /// The document about the resource at `path`, such as `/mcp`; the gateway itself at the empty path.
    pub fn metadata(&self, path: &str) -> String {
        let mut document = Map::from_iter([
            ("resource".to_owned(), Value::from(format!("{}{path}", self.public_url))),
            ("authorization_servers".to_owned(), json!(self.issuers)),
            ("bearer_methods_supported".to_owned(), json!(["header"])),
            ("resource_name".to_owned(), json!("Quaymaster")),
        ]);
        if !self.scopes.is_empty() {
            document.insert("scopes_supported".to_owned(), json!(self.scopes));
        }
        Value::Object(document).to_string()
    }

    /// The value of `WWW-Authenticate` for a refusal at `path`; `scope` names all that is needed.
    pub fn challenge(&self, path: &str, code: ErrorCode, scope: Option<&str>) -> String {
        let path = if is_plain_path(path) { path } else { "" };
        let mut challenge = format!("Bearer resource_metadata=\"{}{METADATA_PATH}{path}\"", self.public_url);
        let error = match code {
            ErrorCode::AuthInvalid => Some("invalid_token"),
            ErrorCode::AuthScope => Some("insufficient_scope"),
            _ => None,
        };
        let scope = scope.or(self.base.as_deref());
        for (name, value) in [("error", error), ("scope", scope)] {
            if let Some(value) = value {
                // Writing to a text cannot fail.
                let _ = write!(challenge, ", {name}=\"{value}\"");
            }
        }
        challenge
    }
}

/// Whether a path has nothing but names in it, so that it can stand in a header and in a document.
pub fn is_plain_path(path: &str) -> bool {
    let mut names = path.split('/');
    names.next() == Some("") && names.all(|name| Slug::parse(name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protection() -> Protection {
        Protection {
            public_url: "https://gateway.example.test".into(),
            issuers: vec!["https://login.example.test".into()],
            scopes: vec!["use".into(), "write".into()],
            base: Some("use".into()),
        }
    }

    #[test]
    fn an_audience_is_the_gateway_its_endpoint_or_exactly_this_one() {
        let is_ours = |audience: &str| protection().is_audience(audience, "/w/sales/mcp");
        for good in ["", "/mcp", "/w/sales/mcp"] {
            assert!(is_ours(&format!("https://gateway.example.test{good}")), "{good}");
        }
        for bad in ["/", "/mcp/", "/w/lab/mcp", "/w/sales", ".evil.test/mcp", ":443/mcp", "/MCP"] {
            assert!(!is_ours(&format!("https://gateway.example.test{bad}")), "{bad}");
        }
        for bad in ["", "http://gateway.example.test/mcp", "HTTPS://gateway.example.test/mcp", "/mcp"] {
            assert!(!is_ours(bad), "{bad}");
        }
    }

    #[test]
    fn a_challenge_says_where_to_ask_for_what() {
        let protection = protection();
        assert_eq!(
            protection.challenge("/w/sales/mcp", ErrorCode::AuthMissing, None),
            "Bearer resource_metadata=\"https://gateway.example.test/.well-known/oauth-protected-resource/w/sales/mcp\", \
             scope=\"use\""
        );
        let scope = protection.challenge("/mcp", ErrorCode::AuthScope, Some("use write"));
        assert!(scope.ends_with("error=\"insufficient_scope\", scope=\"use write\""), "{scope}");
        let odd = protection.challenge("/w/\"x/mcp", ErrorCode::AuthInvalid, None);
        assert!(odd.starts_with("Bearer resource_metadata=\"https://gateway.example.test/.well-known/oauth-protected-resource\","), "{odd}");
    }
}

//! What is done with what was found.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Refusal;
use crate::kind::Kind;
use crate::scope::{CLOSE, OPEN, Scope};

/// What is done with data of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is told and left as it is.
    Allow,
    /// It is taken out; what kind it was is left: `⟦email⟧`.
    Drop,
    /// All of it but what tells nothing by itself is covered: `a**@example.com`. As long as before.
    Mask,
    /// A hash with the tenant's key stands for it: `email#9f86d081884c7d65`.
    Hash,
    /// Something less exact stands for it: a year for a date, a net for an address.
    Generalise,
    /// A placeholder stands for it that a tool can be handed: `⟦email:7f3a9c21b04e⟧`.
    Tokenise,
}

impl Action {
    /// The action as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Drop => "drop",
            Self::Mask => "mask",
            Self::Hash => "hash",
            Self::Generalise => "generalise",
            Self::Tokenise => "tokenise",
        }
    }
}

/// What stands in the place of `value`; nothing if it stays.
pub(crate) fn replacement(
    action: Action,
    kind: Kind,
    value: &str,
    scope: &Scope<'_>,
) -> Result<Option<String>, Refusal> {
    Ok(match action {
        Action::Allow => None,
        Action::Drop => Some(dropped(kind)),
        Action::Mask => Some(mask(kind, value)),
        Action::Hash => Some(scope.hash(kind, value)),
        Action::Generalise => Some(generalise(kind, value).unwrap_or_else(|| dropped(kind))),
        Action::Tokenise => {
            let placeholder = scope.placeholder(kind, value);
            if let Some(vault) = scope.vault {
                let kept = vault.keep(&placeholder, value);
                kept.map_err(|error| Refusal::Vault { reason: error.to_string() })?;
            }
            Some(placeholder.to_string())
        }
    })
}

fn dropped(kind: Kind) -> String {
    format!("{OPEN}{kind}{CLOSE}")
}

/// `value` with as many characters, of which few are left.
fn mask(kind: Kind, value: &str) -> String {
    let letters = value.chars().filter(|c| c.is_alphanumeric()).count();
    // Of a short value nothing is left: the rest could be guessed.
    let tail = match kind {
        _ if kind.is_secret() => return "*".repeat(value.chars().count()),
        _ if letters < 8 => 0,
        Kind::CreditCard | Kind::Iban | Kind::BankAccount | Kind::Phone => 4,
        Kind::Email => return mask_email(value),
        Kind::PersonName => return mask_name(value),
        _ => 0,
    };
    let mut at = 0;
    let cover = |c: char| {
        at += usize::from(c.is_alphanumeric());
        if c.is_alphanumeric() && at <= letters - tail { '*' } else { c }
    };
    value.chars().map(cover).collect()
}

fn mask_email(value: &str) -> String {
    let Some((local, domain)) = value.rsplit_once('@') else { return "*".repeat(value.chars().count()) };
    let covered = local.chars().enumerate().map(|(at, c)| if at == 0 { c } else { '*' });
    covered.chain(['@']).chain(domain.chars()).collect()
}

fn mask_name(value: &str) -> String {
    let mut previous = ' ';
    let cover = |c: char| {
        let is_first = !previous.is_alphanumeric();
        previous = c;
        if is_first || !c.is_alphanumeric() { c } else { '*' }
    };
    value.chars().map(cover).collect()
}

/// Something less exact than `value`, where that can be told without knowing more.
fn generalise(kind: Kind, value: &str) -> Option<String> {
    match kind {
        Kind::DateOfBirth => year(value).map(str::to_owned),
        Kind::Age => decade(value),
        Kind::Ip => network(value),
        Kind::Email => value.rsplit_once('@').map(|(_, domain)| format!("*@{domain}")),
        Kind::Gps => Some(rounded(value)),
        Kind::PostalCode => {
            let kept: String = value.chars().take(2).collect();
            (value.chars().count() > 3).then(|| format!("{kept}{}", "*".repeat(value.chars().count() - 2)))
        }
        Kind::Address => region(value).map(str::to_owned),
        _ => None,
    }
}

fn year(value: &str) -> Option<&str> {
    let mut parts = value.split(|c: char| !c.is_ascii_digit());
    parts.find(|part| part.len() == 4 && (part.starts_with("19") || part.starts_with("20")))
}

fn decade(value: &str) -> Option<String> {
    let digits: String = value.chars().filter(char::is_ascii_digit).take(3).collect();
    let age: u32 = digits.parse().ok()?;
    let from = age / 10 * 10;
    Some(format!("{from}-{}", from + 9))
}

fn network(value: &str) -> Option<String> {
    match value.trim().parse().ok()? {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Some(format!("{a}.{b}.{c}.0"))
        }
        std::net::IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Some(std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string())
        }
    }
}

/// Numbers with one decimal, which is some ten kilometres.
fn rounded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut decimals = None;
    for c in value.chars() {
        decimals = match (c, decimals) {
            ('.', None) => Some(0),
            (c, Some(count)) if c.is_ascii_digit() => Some(count + 1),
            _ => None,
        };
        if decimals.is_none_or(|count| count < 2) {
            out.push(c);
        }
    }
    out
}

/// The last part of an address, if it is more than one street and has no number.
fn region(value: &str) -> Option<&str> {
    let last = value.rsplit([',', '\n']).map(str::trim).find(|part| !part.is_empty())?;
    let is_region = value.contains([',', '\n']) && !last.bytes().any(|byte| byte.is_ascii_digit());
    is_region.then_some(last)
}

/// What stands in the place of a number in JSON, as JSON.
pub(crate) fn number_replacement(
    action: Action,
    kind: Kind,
    token: &str,
    scope: &Scope<'_>,
) -> Result<Option<Cow<'static, str>>, Refusal> {
    if action == Action::Drop {
        return Ok(Some(Cow::Borrowed("null")));
    }
    if action == Action::Generalise {
        let general = match kind {
            Kind::Age => token.parse::<u32>().ok().map(|age| (age / 10 * 10).to_string()),
            Kind::Gps => {
                Some(rounded(token)).filter(|text| !text.ends_with('.') && !text.contains(['e', 'E']))
            }
            Kind::DateOfBirth => year(token).map(str::to_owned),
            _ => None,
        };
        return Ok(Some(general.map_or(Cow::Borrowed("null"), Cow::Owned)));
    }
    let text = replacement(action, kind, token, scope)?;
    Ok(text.map(|text| {
        let mut json = String::with_capacity(text.len() + 2);
        quaymaster_core::json::write_string(&mut json, &text);
        Cow::Owned(json)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_leave_little_and_keep_the_length() {
        for (kind, value, masked) in [
            (Kind::CreditCard, "4111 1111 1111 1111", "**** **** **** 1111"),
            (Kind::Email, "ada.lovelace@example.com", "a***********@example.com"),
            (Kind::PersonName, "Ada Lovelace", "A** L*******"),
            (Kind::Phone, "+49 30 901820", "+** ** **1820"),
            (Kind::Phone, "555-01", "***-**"),
            (Kind::SecretAws, "AKIAIOSFODNN7", "*************"),
            (Kind::Ssn, "536-90-4399", "***-**-****"),
        ] {
            assert_eq!(mask(kind, value), masked);
            assert_eq!(masked.chars().count(), value.chars().count());
        }
    }

    #[test]
    fn what_is_generalised_is_less_exact() {
        for (kind, value, general) in [
            (Kind::DateOfBirth, "1980-03-12", Some("1980")),
            (Kind::DateOfBirth, "12 March 1980", Some("1980")),
            (Kind::Age, "42", Some("40-49")),
            (Kind::Ip, "192.168.17.4", Some("192.168.17.0")),
            (Kind::Ip, "2001:db8:1:2::3", Some("2001:db8:1::")),
            (Kind::Gps, "48.85837, 2.29448", Some("48.8, 2.2")),
            (Kind::Address, "12 High Street, Oxford, England", Some("England")),
            (Kind::Address, "12 High Street", None),
            (Kind::CreditCard, "4111111111111111", None),
        ] {
            assert_eq!(generalise(kind, value).as_deref(), general, "{value}");
        }
    }
}

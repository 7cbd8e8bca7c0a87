//! What of a client's file may be a secret, and the name it gets as one.
//!
//! In doubt a value is a secret: a reference too many costs a person a minute, a
//! secret in a file under version control cannot be taken back.

use secrecy::{ExposeSecret as _, SecretString};

use super::read::Held;

/// Words in the name of a variable or an option whose value is a secret.
const SECRET_WORDS: [&str; 12] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASS",
    "PWD",
    "CREDENTIAL",
    "AUTH",
    "COOKIE",
    "PIN",
    "DSN",
    "SESSION",
    "BEARER",
];

/// Values that cannot be secrets.
const HARMLESS: [&str; 19] = [
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "debug",
    "info",
    "warn",
    "warning",
    "error",
    "trace",
    "stdio",
    "http",
    "json",
    "production",
    "development",
    "test",
    "utf-8",
];

/// How tokens of well-known services begin.
const TOKEN_BEGINNINGS: [&str; 14] = [
    "sk-",
    "sk_",
    "pk_",
    "rk_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xox",
    "AKIA",
    "eyJ",
    "npm_",
    "qmt_",
];

/// A secret that a draft refers to.
pub(super) struct Needed {
    /// Its name, as in `${secret:NAME}`.
    pub(super) name: String,
    /// What it is for, and what it has to hold where that is not plain.
    pub(super) purpose: String,
    /// What the client's file holds; for asking the server alone, never written.
    pub(super) held: Held,
}

/// Whether the value of a variable may be written as it is.
pub(super) fn is_harmless(name: &str, value: &str) -> bool {
    let is_number = value.len() <= 5 && value.bytes().all(|b| b.is_ascii_digit());
    let is_path = value.starts_with('/')
        && !value.contains("//")
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
        && !value.split('/').any(is_unguessable);
    let is_word = HARMLESS.iter().any(|word| value.eq_ignore_ascii_case(word));
    value.is_empty() || (!has_secret_name(name) && (is_word || is_number || is_path))
}

fn has_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| upper.contains(word))
}

/// Which of a program's arguments hold what looks like a secret.
pub(super) fn suspicious(args: &[String]) -> Vec<usize> {
    let mut before = "";
    let mut found = Vec::new();
    for (at, arg) in args.iter().enumerate() {
        // `--api-key VALUE`; what begins with `-` is an option of its own.
        let follows_name = before.starts_with('-') && !before.contains('=') && has_secret_name(before);
        if looks_secret(arg) || (follows_name && !arg.starts_with('-')) {
            found.push(at);
        }
        before = arg;
    }
    found
}

fn looks_secret(arg: &str) -> bool {
    let plain = without_references(arg);
    let named = plain.split(['{', ',', '&', '?', ';']).any(|part| {
        part.split_once(['=', ':']).is_some_and(|(name, value)| {
            let value = value.trim_matches([' ', '"', '\'', '}']);
            let value = value.strip_prefix("Bearer").unwrap_or(value);
            has_secret_name(name) && !value.is_empty() && !value.starts_with("//")
        })
    });
    let in_url = plain.split_once("://").is_some_and(|(_, rest)| {
        let mut parts = rest.split(['/', '?', '#']);
        parts.next().is_some_and(|authority| authority.contains('@')) || parts.any(is_unguessable)
    });
    let value = plain.rsplit(['=', ' ']).next().unwrap_or_default();
    let is_token = TOKEN_BEGINNINGS.iter().any(|begin| value.starts_with(begin)) && value.len() >= 16;
    // The name of a package may be long and have digits too, but hardly without a hyphen or a point.
    let is_made_up = is_unguessable(value)
        && (value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            || value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
    named || in_url || is_token || is_made_up
}

/// `text` without references such as `${NAME}`, which hold no secret.
fn without_references(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('}').map_or("", |(_, rest)| rest))
}

/// Whether a part of an address or a path is made so that nobody guesses it.
pub(super) fn is_unguessable(segment: &str) -> bool {
    let has = |is: fn(&u8) -> bool| segment.as_bytes().iter().any(is);
    segment.len() >= 20 && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

/// The variable that `text` is wholly a reference to, as in `${NAME}` or `${env:NAME}`.
pub(super) fn variable(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    let name = inner.strip_prefix("env:").unwrap_or(inner);
    let name = name.split(":-").next().unwrap_or(name);
    is_secret_name(name).then_some(name)
}

/// Whether a secret can have this name.
pub(super) fn is_secret_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'))
}

/// The secret for what `connector` calls `name`: the connector's name goes before it, so
/// that two servers with an `API_KEY` do not get one secret.
pub(super) fn name_for(connector: &str, name: &str) -> String {
    let upper = |text: &str| -> String {
        let one = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        text.chars().map(one).collect()
    };
    let (connector, name) = (upper(connector), upper(name));
    if name.starts_with(&connector) { name } else { format!("{connector}_{name}") }
}

/// What a value is, with the variables in it looked up; `None` if one of them is not set.
pub(super) fn expanded(held: &Held, look_up: &dyn Fn(&str) -> Option<SecretString>) -> Option<SecretString> {
    match held {
        Held::Variable(name) => look_up(name),
        Held::BearerOf(name) => Some(format!("Bearer {}", look_up(name)?.expose_secret()).into()),
        Held::Text(text) => {
            let (mut plain, mut rest) = (String::new(), text.expose_secret());
            while let Some((before, after)) = rest.split_once("${") {
                let (name, after) = after.split_once('}')?;
                let value = look_up(name.strip_prefix("env:").unwrap_or(name))?;
                plain.push_str(before);
                plain.push_str(value.expose_secret());
                rest = after;
            }
            plain.push_str(rest);
            Some(plain.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_doubt_a_value_is_a_secret() {
        for (name, value) in [
            ("LOG_LEVEL", "debug"),
            ("PORT", "8080"),
            ("ROOT", "/srv/files"),
            ("API_KEY", ""),
            ("DRY_RUN", "True"),
        ] {
            assert!(is_harmless(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("API_KEY", "true"),
            ("PIN", "1234"),
            ("CODE", "123456"),
            ("HOOK", "https://hooks.example.test/T000/B000"),
            ("ROOT", "//ada:hunter2@share"),
            ("USER_NAME", "ada"),
            ("ROOT", "$HOME"),
            ("PLACE", "/0123456789abcdef0123"),
        ] {
            assert!(!is_harmless(name, value), "{name}={value}");
        }
    }

    #[test]
    fn secrets_among_arguments_are_found_by_their_option_their_form_or_their_place_in_a_url() {
        let args = |list: &[&str]| suspicious(&list.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(args(&["--api-key", "hunter2", "--verbose"]), [1]);
        assert_eq!(args(&["--api-key=hunter2", "--root", "/srv"]), [0]);
        assert_eq!(args(&["postgres://ada:hunter2@db/x", "https://db.example.test/mcp"]), [0]);
        assert_eq!(args(&["ghp_0123456789abcdef", "--header", "X-Auth: hunter2"]), [0, 2]);
        assert_eq!(args(&["--token-file", "-v", "-y", "server", "--flag=sk-0123456789abcdef"]), [4]);
        assert_eq!(args(&["--header", "Authorization:${AUTH}", "Authorization: Bearer ${AUTH}"]), [0; 0]);
        assert_eq!(
            args(&["{\"name\": \"x\", \"token\": \"hunter2\"}", "https://a.test/?apikey=hunter2"]),
            [0, 1]
        );
        assert_eq!(
            args(&[
                "https://a.test/s/0123456789abcdef0123/mcp",
                "0123456789abcdef0123",
                "server-postgres-next-2"
            ]),
            [0, 1]
        );
        assert_eq!(args(&["run", "-e", "GITHUB_TOKEN", "-i", "https://auth.example.test/mcp"]), [0; 0]);
    }

    #[test]
    fn a_secret_is_named_after_its_connector_and_its_variable() {
        assert_eq!(name_for("github", "GITHUB_TOKEN"), "GITHUB_TOKEN");
        assert_eq!(name_for("issue-desk", "X-Api-Key"), "ISSUE_DESK_X_API_KEY");
        assert_eq!(variable("${env:A_KEY}"), Some("A_KEY"));
        assert_eq!(variable("${A_KEY:-none}"), Some("A_KEY"));
        assert_eq!((variable("Bearer ${A}"), variable("${input:a}")), (None, None));
    }

    #[test]
    fn references_in_a_value_are_looked_up() {
        let look_up = |name: &str| (name == "A").then(|| SecretString::from("x"));
        let of = |held: Held| expanded(&held, &look_up).map(|s| s.expose_secret().to_owned());
        assert_eq!(of(Held::Text("Bearer ${env:A}!".into())).as_deref(), Some("Bearer x!"));
        assert_eq!(of(Held::BearerOf("A".into())).as_deref(), Some("Bearer x"));
        assert_eq!(of(Held::Text("${input:A}".into())), None);
        assert_eq!(of(Held::Variable("B".into())), None);
    }
}

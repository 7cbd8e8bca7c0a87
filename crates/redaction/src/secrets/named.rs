//! Secrets that have no form of their own: what stands behind a word such as `api_key`.
//!
//! The word, at most a few characters of the name's rest, a sign that gives a value, and a value that
//! looks drawn and not typed. What refers to a secret (`${NAME}`, `<token>`) is none.

use crate::checksum::entropy;
use crate::hit::{Confidence, Hit, before, byte, part};
use crate::kind::Kind;

/// Most bytes of a name after the word, and of the sign with its spaces and quotes.
const MAX_NAME: usize = 32;
const MAX_SIGN: usize = 12;
/// Longest value.
const MAX_VALUE: usize = 200;

/// What a word says of the value behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A password, which may be a word.
    Password,
    /// A key or token, which was drawn.
    Key,
    /// Of AWS: forty characters.
    Aws,
    /// A provider: a value of its length and alphabet is a key.
    Provider,
}

const PASSWORDS: &str = "password|passwd|passphrase|passwort|kennwort|mot de passe|mot_de_passe|contraseña|contrasena|\
    wachtwoord|senha|haslo|hasło|pwd";

const KEYS: &str = "api_key|apikey|api-key|api key|api_token|apitoken|access_key|access-key|accesskey|access_token|\
    access-token|accesstoken|auth_token|auth-token|authtoken|secret|token|client_key|private_key|privatekey|private-key|\
    encryption_key|signing_key|master_key|credential|creds|auth_key|authkey|session_key|deploy_key|license_key|\
    app_key|appkey|service_key|webhook_url|passkey|account_key|salt|client_id|oauth|bearer";

const PROVIDERS: &str = "adafruit|adobe|airtable|algolia|alibaba|asana|atlassian|beamer|bitbucket|bittrex|cisco|clickhouse|\
    cloudflare|codecov|cohere|coinbase|confluent|contentful|curl|databricks|datadog|deepgram|discord|dropbox|droneci|\
    easypost|etsy|facebook|fastly|finicity|finnhub|flickr|flutterwave|freemius|freshbooks|gitter|gocardless|heroku|\
    hubspot|intercom|intra42|jfrog|jira|kraken|kubernetes|kucoin|launchdarkly|linear|linkedin|lob|looker|mailchimp|\
    mailgun|mapbox|mattermost|meraki|messagebird|message-bird|message_bird|confluence|bintray|microsoft|netlify|newrelic|new_relic|new-relic|notion|nytimes|okta|\
    openai|plaid|privateai|rapidapi|sendbird|sendgrid|sendinblue|sentry|settlemint|shippo|sidekiq|snyk|sonar|square|\
    squarespace|stability|sumo|telegram|travis|trello|twilio|twitch|twitter|typeform|yandex|zendesk|artifactory|\
    segment|pagerduty|opsgenie|mixpanel|amplitude|auth0|stripe|paypal|sonarqube|vercel|bugsnag|rollbar|pusher|ably|\
    cypress|lokalise|webflow|wrike|zapier|zoom|anthropic|maxmind|octopus|polymarket";

const AWS: &str =
    "aws_secret|aws-secret|awssecret|secretaccesskey|secret_access_key|secret access key|aws_access_key";

/// The words of the automaton.
pub(super) fn words() -> impl Iterator<Item = (Word, &'static str)> {
    let of = |word, texts: &'static str| texts.split('|').map(move |text| (word, text));
    let all = [(Word::Password, PASSWORDS), (Word::Key, KEYS), (Word::Provider, PROVIDERS), (Word::Aws, AWS)];
    all.into_iter().flat_map(move |(word, texts)| of(word, texts))
}

/// The secret behind the word at `start..end`.
pub(super) fn behind(text: &[u8], start: usize, end: usize, word: Word) -> Option<Hit> {
    let is_part_of_word =
        byte(text, end).is_ascii_lowercase() && byte(text, end) != b's' && word != Word::Provider;
    if is_part_of_word && word == Word::Password {
        return None;
    }
    let is_inside = before(text, start).is_ascii_alphabetic() && !byte(text, start).is_ascii_uppercase();
    if word == Word::Provider && is_inside {
        return None;
    }
    let sign = name_end(text, end)?;
    let from = value_start(text, sign)?;
    let (from, to) = value(text, from)?;
    let written = part(text, from, to);
    // `password=${PASSWORD}` and `token: <your token>` say where a secret goes.
    let kind = judge(written, word, part(text, start, sign))?;
    let detector = match word {
        Word::Password => "secret.password",
        Word::Aws => "secret.aws_secret",
        Word::Key => "secret.named",
        Word::Provider => "secret.of_provider",
    };
    Some(Hit { start: from, end: to, kind, detector, confidence: Confidence::Strong })
}

/// Where the name ends in which the word stands.
fn name_end(text: &[u8], at: usize) -> Option<usize> {
    let rest = part(text, at, text.len().min(at + MAX_NAME));
    let is_name = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b' ' | b'\t' | b'[' | b']')
    };
    let length = rest.iter().take_while(|byte| is_name(byte)).count();
    (length < MAX_NAME).then_some(at + length)
}

/// Where the value begins: behind a sign that gives one, with quotes and spaces.
fn value_start(text: &[u8], at: usize) -> Option<usize> {
    let rest = part(text, at, text.len().min(at + MAX_SIGN));
    let is_around =
        |byte: &u8| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'`' | b'\\' | b'(' | b')' | b'[' | b'{');
    let is_sign = |byte: &u8| matches!(byte, b'=' | b':' | b'>' | b',' | b'|' | b'?');
    let length = rest.iter().take_while(|byte| is_around(byte) || is_sign(byte)).count();
    let signs = rest.get(..length)?;
    (signs.iter().any(is_sign) && length < MAX_SIGN).then_some(at + length)
}

fn value(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let quote = text.get(from.checked_sub(1)?).copied().filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    let rest = part(text, from, text.len().min(from + MAX_VALUE + 1));
    let ends = |byte: &u8| match quote {
        Some(quote) => *byte == quote || byte.is_ascii_control() || *byte == b'\\',
        None => {
            byte.is_ascii_whitespace()
                || byte.is_ascii_control()
                || matches!(byte, b'"' | b'\'' | b'`' | b';' | b',' | b'&' | b')' | b'}' | b'<' | b'\\')
        }
    };
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    (length <= MAX_VALUE).then_some((from, from + length))
}

fn judge(written: &[u8], word: Word, name: &[u8]) -> Option<Kind> {
    if is_reference(written) {
        return None;
    }
    let length = written.len();
    match word {
        Word::Password => {
            let has = |test: fn(&u8) -> bool| written.iter().any(test);
            let mixed =
                has(u8::is_ascii_digit) || has(u8::is_ascii_punctuation) || has(u8::is_ascii_uppercase);
            let is_one =
                (4..=128).contains(&length) && mixed && !written.contains(&b' ') && entropy(written) > 1.5;
            is_one.then_some(Kind::SecretPassword)
        }
        Word::Aws => (length == 40 && entropy(written) >= 3.0).then_some(Kind::SecretAws),
        Word::Key => {
            let has = |word: &[u8]| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
            // `credentialsId: <UUID>` says which secret, and is none; a host is where one is used.
            let is_id = name.to_ascii_lowercase().ends_with(b"id") && is_uuid(written);
            let is_host = written.contains(&b'.') && written.iter().all(|b| is_host_character(*b));
            let is_secret = is_random(written) && length >= 10 && !is_id && !is_host;
            (is_secret && !has(b"public") && !has(b"version")).then_some(Kind::SecretGeneric)
        }
        Word::Provider => {
            let is_token = written.iter().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=' | b'/' | b'+' | b'.' | b':')
            });
            (length >= 15 && is_token && is_random(written) && !written.starts_with(b"http"))
                .then_some(Kind::SecretGeneric)
        }
    }
}

fn is_uuid(written: &[u8]) -> bool {
    let lengths = written.split(|byte| *byte == b'-').map(<[u8]>::len);
    lengths.eq([8, 4, 4, 4, 12]) && written.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}

fn is_host_character(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':')
}

/// What stands for a secret without being one.
fn is_reference(written: &[u8]) -> bool {
    let starts =
        [&b"$"[..], b"{{", b"<", b"%", b"process.", b"os.", b"env.", b"config.", b"http://", b"https://"];
    let has = |needle: &[u8]| written.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle));
    let words = [
        &b"example"[..],
        b"xxxx",
        b"placeholder",
        b"changeme",
        b"your_",
        b"your-",
        b"redacted",
        b"****",
        b"...",
        b"\xe2\x9f\xa6",
    ];
    starts.iter().any(|start| written.starts_with(start)) || words.iter().any(|word| has(word))
}

/// Whether `written` was drawn: it has digits and letters, and says much for its length.
pub(crate) fn is_random(written: &[u8]) -> bool {
    let digits = written.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = written.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let is_hex = written.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let least = match written.len() {
        ..=15 => 2.8,
        _ if is_hex => 2.6,
        16..=24 => 3.1,
        _ => 3.4,
    };
    let is_token = written.iter().all(u8::is_ascii_graphic);
    is_token && digits >= 1 && letters >= 2 && entropy(written) >= least
}

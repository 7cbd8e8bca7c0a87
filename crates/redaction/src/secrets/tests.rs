//! Secrets are found by their form or their name; what stands for one is not.

use super::*;

/// A body that looks drawn. Tokens are put together here so that no scanner takes this file for a leak.
fn drawn(alphabet: &str, length: usize) -> String {
    let characters: Vec<char> = alphabet.chars().collect();
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        characters[(state >> 8) as usize % characters.len()]
    };
    (0..length).map(next).collect()
}

const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";

fn found(text: &str) -> Vec<(String, Kind)> {
    let mut hits = Vec::new();
    find(text.as_bytes(), &mut hits);
    crate::hit::settle(&mut hits);
    hits.iter().map(|hit| (text[hit.start..hit.end].to_owned(), hit.kind)).collect()
}

#[test]
fn every_form_is_found_in_a_sentence_and_not_inside_a_word() {
    for form in FORMS {
        let alphabet = match form.alphabet {
            Alphabet::Hex => HEX,
            Alphabet::Upper => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            _ => ALNUM,
        };
        let token = format!("{}{}", form.prefix, drawn(alphabet, form.least));
        let spoken = found(&format!("use {token} now"));
        assert!(spoken.iter().any(|(text, _)| *text == token), "{} {token}: {spoken:?}", form.detector);
        assert!(!found(&format!("usex{token}")).iter().any(|(_, kind)| *kind == form.kind), "{token}");
    }
}

#[test]
fn patterns_are_found_whole() {
    let jwt = format!("eyJ{}.eyJ{}.{}", drawn(ALNUM, 30), drawn(ALNUM, 60), drawn(ALNUM, 43));
    let slack = format!(
        "https://hooks.slack.com/services/T{}/B{}/{}",
        drawn("0123456789AB", 10),
        drawn("0123456789AB", 10),
        drawn(ALNUM, 24)
    );
    let telegram = format!("123456789:AA{}", drawn(ALNUM, 33));
    let key =
        format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", drawn(ALNUM, 300));
    for (secret, kind) in [
        (jwt, Kind::SecretJwt),
        (slack, Kind::SecretSlack),
        (telegram, Kind::SecretTelegram),
        (key, Kind::SecretPrivateKey),
    ] {
        assert_eq!(found(&format!("see {secret} there")), [(secret, kind)]);
    }
}

#[test]
fn what_stands_behind_a_telling_name_is_found() {
    let key = drawn(ALNUM, 40);
    for (text, kind) in [
        (format!("aws_secret_access_key = {key}"), Kind::SecretAws),
        (format!("API_KEY: '{key}'"), Kind::SecretGeneric),
        (format!("\"clientSecret\": \"{key}\""), Kind::SecretGeneric),
        (format!("datadog_app = {}", drawn(HEX, 40)), Kind::SecretGeneric),
        ("password=hunter2".to_owned(), Kind::SecretPassword),
        ("Passwort: Sommer2024!".to_owned(), Kind::SecretPassword),
    ] {
        let hits = found(&text);
        assert_eq!(hits.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), [kind], "{text}");
        assert!(text.contains(&hits[0].0) && !hits[0].0.contains(['\'', '"', ' ']));
    }
}

#[test]
fn what_only_speaks_of_secrets_is_none() {
    for text in [
        "password=${DATABASE_PASSWORD}",
        "token: <your-token-here>",
        "Your password must be at least 8 characters",
        "the secret of a good soup: time",
        "api_key = os.environ['KEY']",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "next page token comes with the result",
        "key: value",
        "secret: true",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

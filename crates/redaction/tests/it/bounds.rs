//! Texts that are made to take long, or much room, do not.

use quaymaster_redaction::Refusal;

use crate::{engine, redact};

const BYTES: usize = 150_000;

/// A text of the same piece again and again. If any detector went back over it for each piece, this would
/// not end while somebody waits.
#[test]
fn no_piece_that_is_repeated_takes_longer_than_its_length() {
    let pieces = [
        "a@b.co ",
        "@",
        "://",
        "a:",
        "phone:",
        "name=",
        "⟦",
        "⟦email:",
        "1 ",
        "1-",
        "1.",
        "(1)",
        "+1",
        "eyJ",
        " eyJ",
        "eyJ.",
        "-----BEGIN PRIVATE KEY-----",
        "password=",
        "api_key ",
        "curl -u ",
        "Bearer ",
        "a,b\n",
        "|a|\n",
        "{",
        "[",
        "{\"a\":",
        "%40",
        "A1 ",
        "DE89 ",
        "a::",
        "00-",
        "Aa ",
        "12 Aa ",
        "Aastraße 1",
        "ada@example.com,",
        "xoxb-",
        "YWRhQGV4YW1wbGUuY29tIGFkYUBl ",
        "\u{200b}",
        "=",
    ];
    let keys = crate::Keys::new();
    for piece in pieces {
        let text = piece.repeat(BYTES / piece.len());
        let _ = engine().redact_text(&text, &keys.scope());
        let quoted = serde_json::to_string(&text).expect("JSON");
        let _ = redact(&engine(), &quoted);
    }
}

#[test]
fn many_names_and_long_ones_are_told_in_bounds() {
    let long = format!(r#"{{"{}":["ada@example.com","bo@example.com"]}}"#, "n".repeat(100_000));
    let findings = redact(&engine(), &long).expect("released").findings;
    assert!(findings.len() == 2 && findings.iter().all(|finding| finding.path.len() < 1_100));
    let many: Vec<String> = (0..20_000).map(|n| format!(r#""field{n}":{n}"#)).collect();
    assert!(redact(&engine(), &format!("{{{}}}", many.join(","))).is_ok());
}

#[test]
fn more_findings_than_are_kept_track_of_refuse_the_text() {
    let text = format!("[{}]", vec![r#""a@b.co""#; 100_001].join(","));
    assert_eq!(redact(&engine(), &text).map(|_| ()), Err(Refusal::TooMany { max: 100_000 }));
}

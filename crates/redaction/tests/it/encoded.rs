//! What stands in a string in another form is looked into, up to a limit, or refused.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use quaymaster_redaction::Refusal;

use crate::{configured, engine, redact};

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("JSON")
}

#[test]
fn json_in_a_string_stays_json_in_a_string() {
    let inner = r#"{"customer":{"name":"Ada"},"n":1.0}"#;
    let text = format!(r#"{{"payload":{}}}"#, quoted(inner));
    let redacted = redact(&engine(), &text).expect("released");
    let outer: serde_json::Value = serde_json::from_str(&redacted.text).expect("JSON");
    let inner: serde_json::Value =
        serde_json::from_str(outer["payload"].as_str().expect("a string")).expect("JSON");
    assert!(inner["customer"]["name"].as_str().is_some_and(|name| name.starts_with("⟦person_name:")));
    let finding = &redacted.findings[0];
    assert_eq!((finding.path.as_str(), finding.start, finding.end), ("/payload", 21, 24));
    let lines = quoted("{\"email\":\"a@x.org\"}\n{\"email\":\"b@x.org\"}\n");
    assert_eq!(redact(&engine(), &lines).expect("released").findings.len(), 2);
}

#[test]
fn base64_is_written_as_it_was_read() {
    for coding in [STANDARD, URL_SAFE_NO_PAD] {
        let token = coding.encode("{\"user\":{\"email\":\"ada@example.com\"},\"note\":\"größers\"}");
        let redacted = redact(&engine(), &quoted(&format!("data {token} end"))).map(|r| r.text.into_owned());
        let redacted = redacted.expect("released");
        let token = redacted.trim_matches('"').split(' ').nth(1).expect("a token").to_owned();
        let inner = String::from_utf8(coding.decode(token).expect("Base64")).expect("text");
        assert!(
            inner.starts_with("{\"user\":{\"email\":\"⟦email:") && inner.ends_with("größers\"}"),
            "{inner}"
        );
    }
}

#[test]
fn percent_encoding_and_look_alike_characters_hide_nothing() {
    let redacted =
        redact(&engine(), r#"{"url":"https://x.org/s?mail=ada%40example.com&n=1"}"#).expect("released");
    assert!(
        redacted.text.contains("mail=%E2%9F%A6email%3A") && redacted.text.contains("&n=1"),
        "{}",
        redacted.text
    );
    let finding = &redacted.findings[0];
    assert_eq!((finding.start, finding.end), (21, 38));
    for hidden in [
        "ada@exam\u{200b}ple.com",
        "０６ １２ ３４ ５６ ７８",
        "536\u{2011}90\u{2011}4399",
        "01\u{a0}42\u{a0}68\u{a0}53\u{a0}00",
    ] {
        let text = quoted(&format!("see {hidden} there"));
        assert!(!redact(&engine(), &text).expect("released").text.contains(hidden), "{hidden}");
    }
}

#[test]
fn what_was_cut_off_or_has_too_many_layers_is_refused() {
    let cut = format!(r#"{{"log":{}}}"#, quoted(r#"{"email":"ada@example.com","na"#));
    assert_eq!(redact(&engine(), &cut).map(|_| ()), Err(Refusal::Truncated { path: "/log".into() }));
    let template = quoted("{name} has [1] message");
    assert!(redact(&engine(), &template).is_ok());
    let mut deep = r#"{"email":"ada@example.com"}"#.to_owned();
    for _ in 0..4 {
        deep = quoted(&deep);
        deep = format!(r#"{{"a":{deep}}}"#);
        deep = deep.clone();
    }
    assert!(!redact(&engine(), &deep).expect("released").text.contains("ada@"));
    let deeper = format!(r#"{{"a":{}}}"#, quoted(&deep));
    assert_eq!(redact(&engine(), &deeper).map(|_| ()), Err(Refusal::TooDeep { path: "/a".into(), max: 4 }));
}

#[test]
fn binary_content_goes_by_its_media_type() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1_024).collect();
    let image = format!(r#"{{"type":"image","data":"{}","mimeType":"image/png"}}"#, STANDARD.encode(&bytes));
    assert_eq!(redact(&engine(), &image).map(|_| ()), Err(Refusal::Binary { path: "/data".into() }));
    let lets = configured(r#"{"binary":{"allow":["image/*"]}}"#);
    assert_eq!(redact(&lets, &image).expect("released").text, image);
    let url = quoted(&format!("data:image/png;base64,{}", STANDARD.encode(&bytes)));
    assert!(redact(&lets, &url).is_ok() && redact(&engine(), &url).is_err());
    let drops = configured(r#"{"binary":{"otherwise":"drop"}}"#);
    let dropped = redact(&drops, &image).expect("released");
    assert_eq!(dropped.text, r#"{"type":"image","data":"","mimeType":"image/png"}"#);
}

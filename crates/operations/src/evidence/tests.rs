//! The forms as they were reviewed.

use super::*;

const RECORD: &str = r#"{"actor":{"authentication":"token","id":"hmac-sha256:00ff","roles":["analyst"],"token":"tok_1"},"agent":{"client":"codex/1"},"call":"call_1","code":"policy.denied","config":"cfg_1","decision":{"effect":"deny","errors":0,"policies":["freeze"]},"duration_us":1234,"effect":"write","event":"call.refused","seq":7,"session":"ses_1","status":"failed","time":"2026-11-21T10:00:00.000042Z","tool":{"connector":"support-desk","name":"desk_\"]\\close","version":"1.0.0"},"trace":"0af7651916cd43dd8448eb211c80319c","v":1,"workspace":"sales","writer":"wrt_1"}"#;
const BARE: &str =
    r#"{"event":"writer.started","seq":0,"time":"2026-11-21T10:00:00.000000Z","v":1,"writer":"wrt_1"}"#;

#[test]
fn the_forms_are_as_they_were_reviewed() {
    let forms = [Form::JsonLines, Form::Ocsf, Form::Syslog];
    let written = [RECORD, BARE].map(|record| forms.map(|form| form.write(record.as_bytes())).join("\n"));
    insta::assert_snapshot!(unversioned(&written.join("\n\n")));
    let batch = otlp::request([RECORD, BARE].into_iter().map(str::as_bytes));
    let batch: Value = serde_json::from_str(&unversioned(&batch)).expect("JSON");
    insta::assert_json_snapshot!(batch);
}

/// The text without the version of the program, with which it changes.
fn unversioned(text: &str) -> String {
    text.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"(version)\"")
}

/// What the schema of OCSF 1.9 requires of API Activity.
#[test]
fn every_event_has_what_its_class_requires() {
    let required = [
        "activity_id",
        "category_uid",
        "class_uid",
        "metadata",
        "severity_id",
        "time",
        "type_uid",
        "actor",
        "api",
        "src_endpoint",
    ];
    for record in [RECORD, BARE, "{}"] {
        let event: Value = serde_json::from_str(&Form::Ocsf.write(record.as_bytes())).expect("JSON");
        for name in required {
            assert!(event.get(name).is_some_and(|value| !value.is_null()), "{name} of {record}");
        }
        let (class, activity) = (event["class_uid"].as_u64(), event["activity_id"].as_u64());
        assert_eq!(
            event["type_uid"].as_u64(),
            class.zip(activity).map(|(class, activity)| class * 100 + activity)
        );
        assert!(event["api"]["operation"].is_string() && event["metadata"]["product"]["name"].is_string());
        assert!(event["actor"]["invoked_by"].is_string(), "one of those that an actor needs");
        assert_eq!(event["raw_data"], record, "the record is there whole");
    }
}

#[test]
fn no_text_breaks_out_of_a_line_or_a_parameter_of_syslog() {
    let line = Form::Syslog.write(RECORD.as_bytes());
    assert!(line.contains(r#"tool="desk_\"\]\\close""#), "{line}");
    assert!(
        !line.contains('\n')
            && line.starts_with("<109>1 2026-11-21T10:00:00.000042Z - quaymaster - call.refused [")
    );
    let framed = syslog::framed(&line);
    let (length, rest) = framed.split_once(' ').expect("a length");
    assert_eq!(length.parse(), Ok(rest.len()));
}

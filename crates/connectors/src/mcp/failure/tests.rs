//! What a caller is told of each failure, and when a call may be repeated.

use std::fmt::Write as _;

use quaymaster_core::rpc;

use super::*;

fn every_failure() -> Vec<Failure> {
    let status = |code: u16, retry_after: Option<u64>| Failure::Status {
        status: StatusCode::from_u16(code).expect("a status"),
        retry_after: retry_after.map(Duration::from_secs),
    };
    vec![
        Failure::NotDelivered("connection refused".into()),
        Failure::Rejected { status: StatusCode::NOT_FOUND },
        Failure::Rejected { status: StatusCode::BAD_REQUEST },
        status(302, None),
        status(401, None),
        status(403, None),
        status(413, None),
        status(429, Some(7)),
        status(500, None),
        status(503, Some(7)),
        Failure::Broken("connection reset".into()),
        Failure::Malformed("both `result` and `error`".into()),
        Failure::Unsupported("the tool asks for input".into()),
        Failure::TooLarge { limit_bytes: 1024 },
        Failure::Rpc { code: -32602, message: "no such region".into() },
        Failure::Rpc { code: -32601, message: "no such method".into() },
        Failure::Rpc { code: -32000, message: "no".into() },
        Failure::Incapable { required: InputAbilities::of(quaymaster_core::InputMethod::Sample) },
        Failure::Timeout { sent: true },
        Failure::Timeout { sent: false },
        Failure::Cancelled { sent: true },
        Failure::Cancelled { sent: false },
        Failure::Down { auth_required: false, retry_after: Duration::from_secs(3) },
        Failure::Down { auth_required: true, retry_after: Duration::from_secs(3) },
        Failure::Missing("`/srv/desk` cannot be started".into()),
        Failure::BreakerOpen { retry_after: Duration::from_secs(3) },
        Failure::Quarantined { retry_after: Some(Duration::from_secs(3)) },
        Failure::Quarantined { retry_after: None },
        Failure::Overloaded,
        Failure::Ended,
    ]
}

#[test]
fn each_failure_has_a_code_for_reads_and_one_for_writes() {
    let mut table = String::new();
    for failure in every_failure() {
        let of = |effect| {
            let again = if failure.may_be_repeated(effect) { " (repeated once)" } else { "" };
            let error = failure.clone().into_call_error(effect);
            let after = error.retry_after.map_or(String::new(), |d| format!(" after {d:?}"));
            format!("{error}, retry {:?}{after}{again}", error.retry)
        };
        let (read, write) = (of(Effect::Read), of(Effect::Write));
        let _ = writeln!(table, "{failure:?}\n    read:  {read}\n    write: {write}");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn only_what_no_answer_came_to_counts_against_a_server() {
    let counted: Vec<String> = every_failure()
        .into_iter()
        .filter(|failure| failure.verdict(None) == Verdict::Failed)
        .map(|failure| failure.reason())
        .collect();
    let expected = [
        "connection refused",
        "the server answers with HTTP status 404",
        "the server answers with HTTP status 400",
        "the server answers with HTTP status 500",
        "the server answers with HTTP status 503",
        "connection reset",
        "no answer in time",
        "no answer in time",
    ];
    assert_eq!(counted, expected);
    assert_eq!(Failure::Broken(String::new()).verdict(Some(7)), Verdict::Ended(7));
}

#[test]
fn a_write_that_may_have_been_seen_is_never_repeated() {
    for failure in every_failure() {
        let provably_unseen =
            matches!(failure, Failure::NotDelivered(_) | Failure::Rejected { status: StatusCode::NOT_FOUND });
        for effect in [Effect::Write, Effect::Destructive] {
            assert_eq!(failure.may_be_repeated(effect), provably_unseen, "{failure:?}");
        }
    }
}

#[test]
fn of_a_write_that_was_begun_no_failure_says_more_than_is_known() {
    for failure in every_failure() {
        let read = failure.clone().into_error_of_begun(Effect::Read);
        assert_eq!(read.code, failure.clone().into_call_error(Effect::Read).code, "{failure:?}");
        for effect in [Effect::Write, Effect::Destructive] {
            let error = failure.clone().into_error_of_begun(effect);
            let told = (error.code, error.retry, error.retry_after, error.upstream_message);
            let unknown = (ErrorCode::UpstreamOutcomeUnknown, quaymaster_core::Retry::Never, None, None);
            assert_eq!(told, unknown, "{failure:?}");
        }
    }
}

#[test]
fn what_an_upstream_says_is_kept_for_release_and_is_in_no_message_and_no_log() {
    for code in [-32602, -32601, -32000, 7] {
        let failure = Failure::Rpc { code, message: "ada's\u{1b}[31m salary is 7".into() };
        assert!(!failure.reason().contains("salary"), "{}", failure.reason());
        let error = failure.into_call_error(Effect::Read);
        assert_eq!(error.upstream_message.as_deref(), Some("ada's[31m salary is 7"));
        let source = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
        let told = format!("{error} {error:?} {} {:?} {source}", error.public_message, error.hint);
        assert!(!told.contains("salary"), "{told}");
    }
}

#[test]
fn what_quotes_an_unreadable_answer_is_cut_off() {
    let error = rpc::parse(br#""ada's salary is 7""#).expect_err("no message");
    let reason = Failure::unreadable(&error).reason();
    assert_eq!(reason, "not a JSON-RPC message");
}

#[test]
fn an_answer_of_another_kind_leaves_the_outcome_of_a_write_unknown() {
    let failure = Failure::Unsupported("the tool started a task".into());
    for (effect, code) in [
        (Effect::Read, ErrorCode::UpstreamError),
        (Effect::Write, ErrorCode::UpstreamOutcomeUnknown),
        (Effect::Destructive, ErrorCode::UpstreamOutcomeUnknown),
    ] {
        assert_eq!(failure.clone().into_call_error(effect).code, code, "{effect:?}");
        assert!(!failure.may_be_repeated(effect), "{effect:?}");
    }
}

#[test]
fn what_an_upstream_says_is_shortened_and_cleaned() {
    assert_eq!(shown("a\u{1b}[31mb\r\nc\u{202e}d\u{200b}"), "a[31mb cd");
    let long = shown(&"ä".repeat(500));
    assert_eq!(long.chars().count(), SHOWN_CHARS + 1);
    assert!(long.ends_with('…'));
}

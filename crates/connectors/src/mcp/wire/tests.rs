//! What is written to servers, and what is read of them.

use super::*;

#[test]
fn requests_of_both_eras_have_their_form() {
    let members = [r#""name":"echo","arguments":"#, r#"{"text":"x"}"#];
    let requests = [
        request(7, "tools/call", &members, Manner::plain(Era::Legacy("2025-06-18"))),
        request(
            7,
            "tools/call",
            &members,
            Manner { wants_progress: true, ..Manner::plain(Era::Legacy("2025-06-18")) },
        ),
        request(7, "tools/call", &members, Manner { wants_progress: true, ..Manner::plain(Era::Modern) }),
        request(
            7,
            "tools/call",
            &members,
            Manner { traceparent: Some("00-a-b-01"), ..Manner::plain(Era::Legacy("2025-06-18")) },
        ),
        request(
            7,
            "tools/call",
            &members,
            Manner { traceparent: Some("00-a-b-01"), wants_progress: true, ..Manner::plain(Era::Modern) },
        ),
        request(8, "tools/list", &[], Manner::plain(Era::Modern)),
        request(9, "tools/list", &[], Manner::plain(Era::Legacy("2025-06-18"))),
        request(2, "initialize", &[INITIALIZE], Manner::plain(Era::Legacy(PROPOSED))),
        cancelled(7),
    ];
    for request in &requests {
        assert!(rpc::parse(request.as_bytes()).is_ok(), "{request}");
    }
    insta::assert_snapshot!(requests.join("\n").replace(env!("CARGO_PKG_VERSION"), "0.0.0"));
}

#[test]
fn the_constants_name_the_revisions_they_are_for() {
    assert!(MODERN_META.contains(MODERN));
    assert!(INITIALIZE.contains(PROPOSED));
    assert!(LEGACY.contains(&PROPOSED));
}

#[test]
fn only_a_complete_result_for_our_id_is_a_result() {
    let cases = [
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"resultType":"complete","big":123456789012345678901234567890}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true,"content":[]}}"#,
        r#"{"jsonrpc":"2.0","id":"7","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":8,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":"done"}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","inputRequests":{}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"task","taskId":"t"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"later\u001b[0m"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":null}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":5}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"result\u0054ype":"task","taskId":"t"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","resultType":"task"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no\nsuch region"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":null}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#,
        r#"[{"jsonrpc":"2.0","id":7,"result":{}}]"#,
        "",
    ];
    let report: Vec<String> = cases
        .iter()
        .map(|case| match answer((*case).into(), 7) {
            Ok(settled) => format!("{case}\n    result {}", settled.result.get()),
            Err(failure) => format!("{case}\n    {failure:?}"),
        })
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn bytes_that_are_not_utf8_are_no_answer() {
    let answer = answer(Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":\"\xff\"}}"), 7);
    assert!(matches!(answer, Err(Failure::Malformed(_))));
}

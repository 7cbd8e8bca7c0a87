//! Sessions and connections that are lost, found and ended.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::scripted::{End, Reply, Scripted, definitions, event, legacy, modern, text};
use super::*;

/// A legacy server that forgets its session after each `lives` calls and answers then with `status`.
fn forgetful(lives: usize, status: u16) -> impl Fn(&scripted::Seen) -> Reply + Send + Sync {
    let sessions = AtomicUsize::new(0);
    let left = AtomicUsize::new(0);
    let body = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"No valid session ID"},"id":null}"#;
    let inner = legacy(&["go"], |seen| seen.result(text("done")));
    move |seen| {
        let session = format!("s-{}", sessions.load(Ordering::SeqCst));
        match seen.method() {
            "initialize" => {
                left.store(lives, Ordering::SeqCst);
                let session = format!("s-{}", sessions.fetch_add(1, Ordering::SeqCst) + 1);
                inner(seen).with("mcp-session-id", &session)
            }
            "tools/call" => {
                let lost =
                    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err();
                if lost || seen.header("mcp-session-id") != Some(&session) {
                    return Reply::status(status, body);
                }
                inner(seen)
            }
            _ => inner(seen),
        }
    }
}

#[tokio::test]
async fn a_lost_session_is_opened_again_and_the_call_is_sent_once_more() {
    for status in [404, 400] {
        let server = Scripted::serve(forgetful(1, status)).await;
        let connector = started(server.spec(&["go"])).await;
        for (mut call, retries) in [(read("go"), 0), (read("go"), 1)] {
            assert_eq!(call.text(&connector).await, "done", "{status}");
            assert_eq!(call.retries, retries, "{status}");
        }
        // A 400 that speaks of a session may be about the call, so only a read is sent again.
        let (said, calls) = if status == 404 { ("done", 5) } else { ("upstream.outcome_unknown", 4) };
        let mut call = write("go");
        let told = call.on(&connector).await.map(|result| result["content"][0]["text"].to_string());
        assert!(told.unwrap_or_else(|error| error).contains(said), "{status}");
        assert_eq!(server.count("tools/call"), calls);
        eventually("it is opened again", async || server.count("initialize") == 3).await;
    }
}

#[tokio::test]
async fn a_session_that_is_lost_at_once_again_is_not_tried_a_third_time() {
    let server = Scripted::serve(forgetful(0, 404)).await;
    let connector = started(server.spec(&["go"])).await;
    let mut call = write("go");
    assert_eq!(call.code(&connector).await, "upstream.unavailable");
    assert_eq!((call.retries, server.count("tools/call")), (1, 2));
}

#[tokio::test]
async fn one_session_serves_all_calls_and_is_closed_at_the_end() {
    let server = Scripted::serve(legacy(&["go"], |seen| seen.result(text(seen.tool())))).await;
    let spec = {
        let mut spec = server.spec(&["go"]);
        spec["server"]["headers"] = json!({"Authorization": "${secret:API_KEY}"});
        spec
    };
    let connector = started(spec).await;
    let calls = (0..30).map(|_| {
        let connector = Arc::clone(&connector);
        tokio::spawn(async move { read("go").text(&connector).await })
    });
    for call in futures_util::future::join_all(calls).await {
        assert_eq!(call.expect("no panic"), "go");
    }
    connector.shutdown().await;
    assert_eq!(server.count("initialize"), 1);
    let requests = server.requests.lock().expect("no panic").clone();
    let last = requests.last().expect("requests");
    assert_eq!((last.verb.as_str(), last.header("mcp-session-id")), ("DELETE", Some("s-1")));
    for seen in &requests {
        assert_eq!(seen.header("authorization"), Some("Bearer hunter2"), "{}", seen.method());
        assert_eq!(seen.header("origin"), None);
        let in_session = !matches!(seen.method(), "initialize" | "server/discover");
        assert_eq!(seen.header("mcp-session-id").is_some(), in_session, "{}", seen.method());
        let version = match seen.method() {
            "initialize" => None,
            "server/discover" => Some("2026-07-28"),
            _ => Some("2025-06-18"),
        };
        assert_eq!(seen.header("mcp-protocol-version"), version, "{}", seen.method());
    }
    let mut call = read("go");
    assert_eq!(call.code(&connector).await, "gateway.shutting_down");
    assert_eq!(connector.state().health, Health::Stopped);
}

#[tokio::test]
async fn a_server_without_tls_does_not_pass_for_one_with_it() {
    let server = Scripted::serve(legacy(&["go"], |seen| seen.result(text("done")))).await;
    let url = server.url().replace("http://", "https://");
    let connector = started(spec(json!({"transport": "http", "url": url}), &["go"])).await;
    assert_eq!(connector.state().health, Health::Unreachable, "{:?}", connector.state());
    assert!(server.requests.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_modern_call_mirrors_its_body_in_headers() {
    let server =
        Scripted::serve(modern(&["go"], |seen| seen.result(text("done")).with("x-request-id", "r-7"))).await;
    let connector = started(server.spec(&["go"])).await;
    let mut call = read("go").with(json!({"a": 1}));
    assert_eq!(call.text(&connector).await, "done");
    assert_eq!(call.upstream_ids, ["r-7"]);
    let seen = server.seen("tools/call").pop().expect("the call");
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "go"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let mut params = object(seen.message["params"].clone());
    params["_meta"]["io.modelcontextprotocol/clientInfo"]["version"] = json!("0.0.0");
    insta::assert_json_snapshot!(params);
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let server = Scripted::serve(legacy(&["go"], |seen| seen.result(text("first")))).await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(read("go").text(&connector).await, "first");
    let (address, tools) = (server.address, connector.tools());
    server.stop().await;
    let waiting = Arc::clone(&connector);
    let waiting = tokio::spawn(async move {
        let mut call = write("go");
        (call.text(&waiting).await, call.retries)
    });
    eventually("the loss is noticed", async || connector.state().health == Health::Unreachable).await;
    let server = Scripted::serve_at(address, legacy(&["go"], |seen| seen.result(text("second")))).await;
    assert_eq!(waiting.await.expect("no panic"), ("second".to_owned(), 1));
    assert_eq!((server.count("initialize"), server.count("tools/call")), (1, 1));
    assert!(!tools.has_changed().expect("the connector is there"), "the same tools are declared once");
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_its_tools_stay_declared() {
    let server = Scripted::serve(legacy(&["go"], |seen| seen.result(text("done")))).await;
    let connector = connector_with(server.spec(&["go"]), Pace { patience: Duration::ZERO, ..QUICK });
    connector.start();
    assert_eq!(connector.ready(PATIENCE).await.health, Health::Ready);
    server.stop().await;
    for mut call in [read("go"), write("go")] {
        assert_eq!(call.code(&connector).await, "upstream.unavailable");
    }
    eventually("the state tells", async || connector.state().health == Health::Unreachable).await;
    assert_eq!(declared(&connector), ["up_go"]);
}

#[tokio::test]
async fn what_a_server_refuses_or_does_not_speak_is_told_by_its_state() {
    let version = |version: &'static str| {
        move |seen: &scripted::Seen| match seen.method() {
            "initialize" => seen.result(json!({"protocolVersion": version, "capabilities": {}})),
            "server/discover" => Reply::status(400, ""),
            _ => Reply::status(202, ""),
        }
    };
    let discovered = |versions: Value| {
        move |seen: &scripted::Seen| match seen.method() {
            "server/discover" => seen.result(json!({"supportedVersions": versions, "capabilities": {}})),
            _ => Reply::status(400, ""),
        }
    };
    let health = async |server: Scripted| {
        let connector = started(server.spec(&["go"])).await;
        let state = connector.state();
        format!("{}: {}", state.health.as_str(), state.reason)
    };
    let report = [
        health(Scripted::serve(|_| Reply::status(401, "")).await).await,
        health(Scripted::serve(|_| Reply::status(403, "")).await).await,
        health(Scripted::serve(|_| Reply::status(404, "")).await).await,
        health(Scripted::serve(|_| Reply::status(200, "<html>").with("content-type", "text/html")).await)
            .await,
        health(Scripted::serve(version("2099-01-01")).await).await,
        health(Scripted::serve(version("1.0\u{1b}[0m")).await).await,
        health(Scripted::serve(discovered(json!(["2027-01-01"]))).await).await,
        health(Scripted::serve(discovered(json!(["2025-06-18"]))).await).await,
        health(Scripted::serve(legacy(&["other"], |_| Reply::Never)).await).await,
    ];
    insta::assert_snapshot!(report.join("\n"));
}

#[tokio::test]
async fn credentials_that_are_refused_are_told_to_the_caller() {
    let server = Scripted::serve(|_| Reply::status(401, "")).await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(read("go").code(&connector).await, "upstream.auth_required");
}

#[tokio::test]
async fn all_pages_are_read_and_what_is_wrong_is_left_out_with_a_warning() {
    let pages = |seen: &scripted::Seen| {
        let object = json!({"type": "object"});
        match seen.message["params"]["cursor"].as_str() {
            None => json!({"nextCursor": "a\"b", "tools": [
                {"name": "first", "title": "First", "description": "Says first.", "inputSchema": object,
                 "outputSchema": {"type": "object"}, "icons": [{"src": "data:,"}],
                 "annotations": {"readOnlyHint": true}, "execution": {"taskSupport": "required"}},
                {"name": "twice", "inputSchema": object},
                {"name": "unasked", "inputSchema": object},
                "no tool",
                {"title": "nameless"}
            ]}),
            Some("a\"b") => json!({"tools": [
                {"name": "twice", "inputSchema": object},
                {"name": "no_schema"},
                {"name": "array", "inputSchema": {"type": "array"}},
                {"name": "bad_header", "inputSchema": {"type": "object", "properties":
                    {"a": {"type": "array", "x-mcp-header": "A"}}}},
                {"name": "change", "inputSchema": {"type": "object", "properties":
                    {"id": {"type": "string"}, "key": {"type": "string"}, "source": {"type": "string"}}}}
            ]}),
            Some(_) => json!({}),
        }
    };
    let inner = modern(&[], |_| Reply::Never);
    let server = Scripted::serve(move |seen| match seen.method() {
        "tools/list" => seen.result(pages(seen)),
        _ => inner(seen),
    })
    .await;
    let names = ["change", "first", "twice", "no_schema", "array", "bad_header", "missing"];
    let mut spec = server.spec(&names);
    spec["prefix"] = json!("");
    let change = &mut spec["tools"][0];
    change["effect"] = json!("write");
    change["rename"] = json!("change_it");
    change["description"] = json!("Changes it.");
    change["idempotency"] = json!({"from": ["id"], "argument": "key"});
    change["fixed"] = json!({"source": "gateway"});
    let connector = started(spec).await;
    let mut report = format!("{:#?}\n", connector.state());
    for tool in connector.tools().borrow().iter() {
        let _ = writeln!(report, "{tool:#?}");
    }
    insta::assert_snapshot!(report);
}

#[tokio::test]
async fn a_tool_that_does_not_know_an_argument_of_its_configuration_is_left_out() {
    let names = ["good", "from", "key", "fixed", "default", "bare"];
    let inner = legacy(&[], |_| Reply::Never);
    let server = Scripted::serve(move |seen| match seen.method() {
        "tools/list" => {
            let properties = json!({"id": {"type": "string"}, "key": {"type": "string"}});
            let schema = json!({"type": "object", "properties": properties, "required": ["other"]});
            let mut tools: Vec<Value> =
                names.iter().map(|name| json!({"name": name, "inputSchema": schema})).collect();
            tools[5]["inputSchema"] = json!({"type": "object"});
            seen.result(json!({"tools": tools}))
        }
        _ => inner(seen),
    })
    .await;
    let mut spec = server.spec(&names);
    for tool in spec["tools"].as_array_mut().expect("tools") {
        tool["effect"] = json!("write");
        tool["idempotency"] = json!({"from": ["id"], "argument": "key"});
    }
    spec["tools"][1]["idempotency"]["from"] = json!(["id", "other"]);
    spec["tools"][2]["idempotency"]["argument"] = json!("other");
    spec["tools"][3]["fixed"] = json!({"other": 1});
    spec["tools"][4]["defaults"] = json!({"other": 1});
    let connector = started(spec).await;
    assert_eq!(declared(&connector), ["up_good"]);
    let state = connector.state();
    assert_eq!(state.health, Health::Degraded);
    insta::assert_snapshot!(state.reason.replace("; ", "\n"));
}

/// A server that answers each call with HTTP 404 and `body`, to which it gives the id of the request.
async fn not_found(body: Value) -> Scripted {
    let call = move |seen: &scripted::Seen| {
        let mut body = body.clone();
        body["jsonrpc"] = json!("2.0");
        body["id"] = seen.message["id"].clone();
        Reply::status(404, &body.to_string())
    };
    Scripted::serve(legacy(&["go"], call)).await
}

#[tokio::test]
async fn an_answer_with_404_is_an_answer_and_leaves_the_session() {
    let error = json!({"code": -32000, "message": "no such ticket"});
    let cases = [
        (json!({"error": error}), ["upstream.error", "upstream.error"]),
        (json!({"result": text("done")}), ["upstream.error", "upstream.outcome_unknown"]),
        (json!({"result": {"resultType": "task"}}), ["upstream.error", "upstream.outcome_unknown"]),
    ];
    for (body, codes) in cases {
        let server = not_found(body.clone()).await;
        let connector = started(server.spec(&["go"])).await;
        for (mut call, code) in [read("go"), write("go")].into_iter().zip(codes) {
            assert_eq!(call.code(&connector).await, code, "{body}");
            assert_eq!(call.retries, 0, "{body}");
        }
        assert_eq!(server.count("tools/call"), 2, "{body}");
        eventually("it is asked for its tools again", async || server.count("tools/list") > 1).await;
        assert!(connector.state().health.is_up(), "{body}");
        assert_eq!(server.count("initialize"), 1, "{body}");
    }
}

#[tokio::test]
async fn a_listing_without_an_end_is_given_up() {
    for endless in [json!({"tools": [], "nextCursor": "same"}), json!({"tools": "none"})] {
        let inner = legacy(&[], |_| Reply::Never);
        let page = endless.clone();
        let server = Scripted::serve(move |seen| match seen.method() {
            "tools/list" => seen.result(page.clone()),
            _ => inner(seen),
        })
        .await;
        let connector = started(server.spec(&["go"])).await;
        let state = connector.state();
        assert_eq!(state.health, Health::Unreachable);
        assert!(state.reason.starts_with("`tools/list` gives"), "{state:?}");
    }
}

#[tokio::test]
async fn a_changed_list_is_read_again() {
    for is_modern in [false, true] {
        let grown = Arc::new(AtomicBool::new(false));
        let notice = event(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
        let (call, list, session) = (Arc::clone(&grown), Arc::clone(&grown), AtomicBool::new(false));
        let (old, new) = (legacy(&[], |_| Reply::Never), modern(&[], |_| Reply::Never));
        let server = Scripted::serve(move |seen| match (seen.verb.as_str(), seen.method()) {
            ("POST", "tools/list") if list.load(Ordering::SeqCst) => {
                seen.result(json!({"tools": definitions(&["grow", "late"])}))
            }
            ("POST", "tools/list") => seen.result(json!({"tools": definitions(&["grow"])})),
            ("POST", "tools/call") => {
                call.store(true, Ordering::SeqCst);
                let answer = json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": text("grown")});
                Reply::Stream { parts: vec![event(&answer)], end: End::Ends }
            }
            ("POST", "initialize") => {
                let capabilities = json!({"tools": {"listChanged": true}});
                seen.result(json!({"protocolVersion": "2025-06-18", "capabilities": capabilities}))
            }
            ("POST", "server/discover") if is_modern => {
                let capabilities = json!({"tools": {"listChanged": true}});
                seen.result(json!({"supportedVersions": ["2026-07-28"], "capabilities": capabilities}))
            }
            // The stream tells of the change when it is opened for the second time.
            ("GET", _) | ("POST", "subscriptions/listen") => {
                let again = session.swap(true, Ordering::SeqCst);
                if again {
                    return Reply::Stream { parts: vec![notice.clone()], end: End::Stays };
                }
                call.store(true, Ordering::SeqCst);
                Reply::Stream { parts: vec!["retry: 1\n\n".into(), notice.clone()], end: End::Ends }
            }
            _ if is_modern => new(seen),
            _ => old(seen),
        })
        .await;
        let connector = started(server.spec(&["grow", "late"])).await;
        let mut tools = connector.tools();
        let seen = tools.wait_for(|tools| tools.len() == 2);
        assert!(tokio::time::timeout(PATIENCE, seen).await.is_ok(), "modern: {is_modern}");
        assert_eq!(declared(&connector), ["up_grow", "up_late"]);
    }
}

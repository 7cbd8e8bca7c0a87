//! Against `tests/upstream/everything.mjs`, which the MCP conformance suite accepts.

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::*;

const TOOLS: [&str; 8] = [
    "test_simple_text",
    "test_error_handling",
    "test_tool_with_progress",
    "test_elicitation",
    "test_reconnection",
    "test_x_mcp_header",
    "test_input_required_result_elicitation",
    "test_trigger_tool_change",
];

/// The server, which speaks `era`, and its address.
async fn everything(era: &str) -> (Child, String) {
    let mut command = Command::new(node());
    command.arg(upstream("everything.mjs")).env("PORT", "0").env("ERA", era);
    let mut server =
        command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn().expect("Node starts");
    let mut lines = BufReader::new(server.stdout.take().expect("a pipe")).lines();
    let line = lines.next_line().await.expect("readable").expect("a line");
    let url = line.strip_prefix("upstream on ").expect("the address").to_owned();
    (server, url)
}

pub(super) async fn connected_to(era: &str, spec_of: impl Fn(&str) -> Value) -> (Child, Arc<McpConnector>) {
    let (server, url) = everything(era).await;
    (server, started(spec_of(&url)).await)
}

async fn connected(era: &str, setting: &str) -> (Child, Arc<McpConnector>) {
    let (server, url) = everything(era).await;
    let spec = spec(json!({"transport": "http", "url": url, "era": setting}), &TOOLS);
    let connector = connector_with(spec, Pace { patience: Duration::ZERO, ..QUICK });
    connector.start();
    connector.ready(PATIENCE).await;
    (server, connector)
}

#[tokio::test]
async fn the_era_is_found_and_modern_is_preferred() {
    for (era, setting, revision) in [
        ("legacy", "auto", "2025-11-25"),
        ("modern", "auto", "2026-07-28"),
        ("both", "auto", "2026-07-28"),
        ("both", "legacy", "2025-11-25"),
        ("both", "modern", "2026-07-28"),
    ] {
        let (_server, connector) = connected(era, setting).await;
        assert_eq!(connector.state().revision, Some(revision), "{era} {setting}: {:?}", connector.state());
        assert_eq!(
            read("test_simple_text").text(&connector).await,
            "This is a simple text response for testing."
        );
        let result = read("test_error_handling").on(&connector).await.expect("an error result is a result");
        assert_eq!(result["isError"], true);
        connector.shutdown().await;
    }
}

#[tokio::test]
async fn an_era_that_the_server_does_not_speak_is_told() {
    let (_server, connector) = connected("legacy", "modern").await;
    assert_eq!(connector.state().health, Health::Incompatible, "{:?}", connector.state());
    assert_eq!(read("test_simple_text").code(&connector).await, "upstream.unavailable");
    let (_server, connector) = connected("modern", "legacy").await;
    assert_eq!(connector.state().health, Health::Unreachable, "{:?}", connector.state());
}

#[tokio::test]
async fn a_session_carries_progress_and_refuses_what_the_server_asks_of_us() {
    let (_server, connector) = connected("legacy", "auto").await;
    assert_eq!(connector.state().health, Health::Degraded);
    let reports = Arc::new(Reports::default());
    let mut call = read("test_tool_with_progress");
    call.progress = Some(Arc::clone(&reports) as Arc<dyn ProgressSink>);
    call.on(&connector).await.expect("a result");
    assert_eq!(
        reports.seen(),
        ["0 of Some(Number(100)), None", "50 of Some(Number(100)), None", "100 of Some(Number(100)), None"]
    );
    let mut asking = read("test_elicitation").with(json!({"message": "who?"}));
    assert!(asking.text(&connector).await.starts_with("Client request failed: there is no call"));
    // The server closes the stream in the middle, and the answer is fetched from where it broke.
    let mut reconnecting = write("test_reconnection");
    assert_eq!(reconnecting.text(&connector).await, "Reconnection test completed successfully.");
    assert_eq!(reconnecting.retries, 0);
}

#[tokio::test]
async fn a_modern_server_gets_its_headers_and_its_input_requests_are_told() {
    let (_server, connector) = connected("modern", "auto").await;
    for region in ["EMEA", "Zürich — 世界", " padded ", "=?base64?x?=", "two\nlines"] {
        let mut call =
            read("test_x_mcp_header").with(json!({"region": region, "priority": 3, "verbose": true}));
        assert_eq!(call.text(&connector).await, format!("region {region}"));
    }
    let error = read("test_input_required_result_elicitation").on(&connector).await;
    assert_eq!(
        error,
        Err("client.capability: the call needs to ask something that this client cannot be asked".into())
    );
    let reports = Arc::new(Reports::default());
    let mut call = read("test_tool_with_progress");
    call.progress = Some(Arc::clone(&reports) as Arc<dyn ProgressSink>);
    call.on(&connector).await.expect("a result");
    assert_eq!(reports.seen().len(), 3);
}

#[tokio::test]
async fn only_configured_tools_are_declared_and_called() {
    let (_server, connector) = connected("legacy", "auto").await;
    let expected: Vec<String> = TOOLS[..5].iter().map(|name| format!("up_{name}")).collect();
    assert_eq!(declared(&connector), expected);
    assert!(
        connector.state().reason.contains("does not offer `test_x_mcp_header`"),
        "{:?}",
        connector.state()
    );
    assert_eq!(read("test_sampling").code(&connector).await, "gateway.internal");
}

#[tokio::test]
async fn calls_at_once_share_the_connection_and_get_their_own_answers() {
    for era in ["legacy", "modern"] {
        let (_server, url) = everything(era).await;
        let connector =
            started(spec(json!({"transport": "http", "url": url}), &["json_schema_2020_12_tool"])).await;
        let calls = (0..40).map(|n| {
            let connector = Arc::clone(&connector);
            tokio::spawn(async move {
                let mut call =
                    read("json_schema_2020_12_tool").with(json!({"name": format!("n{n}"), "email": "x"}));
                (n, call.text(&connector).await)
            })
        });
        for call in futures_util::future::join_all(calls).await {
            let (n, text) = call.expect("no panic");
            assert_eq!(text, format!(r#"called with {{"email":"x","name":"n{n}"}}"#));
        }
    }
}

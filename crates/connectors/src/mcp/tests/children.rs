//! Servers as child processes: `tests/upstream/stdio.mjs`.

use std::fmt::Write as _;

use rustix::process::{Pid, test_kill_process};

use super::offers::Person;
use super::*;

const TOOLS: &[&str] = &[
    "echo",
    "environment",
    "where",
    "era",
    "crash",
    "crash_first",
    "never",
    "pids",
    "progress",
    "grow",
    "late",
    "ask",
    "cancelled",
    "watched",
    "touch",
    "other_id",
    "text_id",
    "both",
    "twice",
    "no_object",
    "not_utf8",
    "noise",
    "large",
    "huge",
    "refuse",
    "input",
    "mimic",
];

pub(super) fn server(args: &[&str]) -> Value {
    let script = upstream("stdio.mjs");
    let args: Vec<&str> = std::iter::once(script.as_str()).chain(args.iter().copied()).collect();
    json!({"transport": "stdio", "command": node(), "args": args})
}

pub(super) async fn child(mode: &str) -> Arc<McpConnector> {
    started(spec(server(&[mode]), TOOLS)).await
}

/// Whether the process has ended; a grandchild is not ours to reap.
fn is_dead(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit(") ").next().and_then(|rest| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

/// Whether the process has ended and was reaped.
fn is_gone(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).expect("a process id")).is_err()
}

/// The process ids of the server and of a child of its own.
async fn pids(connector: &McpConnector) -> [i32; 2] {
    let pids: Value = serde_json::from_str(&read("pids").text(connector).await).expect("JSON");
    ["own", "child"].map(|name| i32::try_from(pids[name].as_i64().expect("a number")).expect("a process id"))
}

#[tokio::test]
async fn the_era_is_found_over_standard_streams() {
    for (mode, era, revision) in [
        ("legacy", "session", "2025-06-18"),
        ("modern", "2026-07-28", "2026-07-28"),
        ("fragile", "session", "2025-06-18"),
    ] {
        let connector = child(mode).await;
        assert_eq!(connector.state().revision, Some(revision), "{mode}: {:?}", connector.state());
        assert_eq!(read("era").text(&connector).await, era);
        connector.shutdown().await;
    }
}

#[tokio::test]
async fn the_environment_is_what_the_file_names() {
    let mut server = server(&["legacy"]);
    server["env"] = json!({"LEVEL": "info", "GREETING": "${secret:GREETING}"});
    server["inheritEnv"] = json!(["PATH"]);
    server["workingFolder"] = json!("tmp");
    let connector = started(spec(server, TOOLS)).await;
    let environment: Value = serde_json::from_str(&read("environment").text(&connector).await).expect("JSON");
    let path = std::env::var_os("PATH").expect("a PATH");
    let expected = json!({"LEVEL": "info", "GREETING": "morning", "PATH": path.to_str()});
    assert_eq!(environment, expected);
    assert_eq!(read("where").text(&connector).await, "/tmp");
}

#[tokio::test]
async fn the_whole_process_group_is_gone_after_a_shutdown() {
    let connector = child("legacy").await;
    let pids = pids(&connector).await;
    connector.shutdown().await;
    assert!(is_gone(pids[0]), "the server is reaped when `shutdown` returns");
    eventually("its child is killed", async || is_dead(pids[1])).await;
    assert_eq!(read("echo").code(&connector).await, "gateway.shutting_down");
}

#[tokio::test]
async fn the_whole_process_group_is_gone_after_a_drop() {
    let connector = child("legacy").await;
    let pids = pids(&connector).await;
    drop(connector);
    eventually("the group is gone", async || is_gone(pids[0]) && is_dead(pids[1])).await;
}

#[test]
fn the_whole_process_group_is_killed_even_when_the_runtime_is_gone() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (connector, pids) = runtime.block_on(async {
        let connector = child("legacy").await;
        let pids = pids(&connector).await;
        (connector, pids)
    });
    drop(runtime);
    drop(connector);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(eventually("both are killed", async || pids.into_iter().all(is_dead)));
}

#[tokio::test]
async fn a_child_that_does_not_want_to_leave_is_killed() {
    let mut spec = spec(server(&["deaf"]), TOOLS);
    spec["server"]["era"] = json!("legacy");
    let connector = connector_with(spec, Pace { handshake: Duration::from_millis(500), ..QUICK });
    connector.start();
    let state = connector.ready(PATIENCE).await;
    assert_eq!((state.health, state.reason.as_str()), (Health::Unreachable, "no answer in time"));
    connector.shutdown().await;
}

#[tokio::test]
async fn a_crashed_server_is_started_again() {
    let connector = child("legacy").await;
    let first = pids(&connector).await;
    let mut crashing = write("crash");
    assert_eq!(crashing.code(&connector).await, "upstream.outcome_unknown");
    assert_eq!(crashing.retries, 0);
    let second = pids(&connector).await;
    assert_ne!(first[0], second[0]);
    eventually("nothing is left of the first", async || is_gone(first[0]) && is_dead(first[1])).await;
    let mut crashing = read("crash");
    assert_eq!(crashing.code(&connector).await, "upstream.unavailable");
    assert_eq!(crashing.retries, 1);
    assert_eq!(read("echo").with(json!({"a": 1})).text(&connector).await, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_read_whose_answer_was_lost_with_the_server_is_sent_once_more_and_a_write_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    for (mut call, retries, mode) in [(read("crash_first"), 1, "read"), (write("crash_first"), 0, "write")] {
        let starts = folder.path().join(mode);
        let connector = started(spec(server(&["elsewhere", starts.to_str().expect("UTF-8")]), TOOLS)).await;
        let outcome = call.on(&connector).await;
        assert_eq!(call.retries, retries, "{mode}: {outcome:?}");
        match mode {
            "read" => assert_eq!(outcome.expect("a result")["content"][0]["text"], "start 2"),
            _ => assert!(outcome.expect_err("unknown").starts_with("upstream.outcome_unknown")),
        }
        assert_eq!(read("crash_first").text(&connector).await, "start 2", "{mode}: it is up again");
    }
}

#[tokio::test]
async fn calls_under_way_fail_when_the_server_crashes() {
    let connector = child("legacy").await;
    let (mut waiting, mut crashing) = (write("never"), write("crash"));
    let (waiting, crashing) = tokio::join!(waiting.code(&connector), crashing.code(&connector));
    assert_eq!([waiting, crashing], ["upstream.outcome_unknown", "upstream.outcome_unknown"]);
}

#[tokio::test]
async fn servers_that_do_not_shake_hands_are_unreachable_or_incompatible() {
    let mut report = String::new();
    for mode in ["exit", "silent", "future", "chatty"] {
        let pace = Pace { probe: Duration::from_millis(300), handshake: Duration::from_secs(1), ..QUICK };
        let connector = connector_with(spec(server(&[mode]), TOOLS), pace);
        connector.start();
        let state = connector.ready(PATIENCE).await;
        let _ = writeln!(report, "{mode}: {} {}", state.health.as_str(), state.reason);
        connector.shutdown().await;
    }
    insta::assert_snapshot!(report);
}

#[tokio::test]
async fn what_cannot_be_started_is_told() {
    let missing = json!({"transport": "stdio", "command": "/nonexistent/server"});
    let connector = started(spec(missing, &["echo"])).await;
    let state = connector.state();
    assert_eq!(state.health, Health::Missing);
    assert!(state.reason.starts_with("`/nonexistent/server` cannot be started: No such file"), "{state:?}");
}

#[tokio::test]
async fn no_broken_line_is_a_success_for_anyone() {
    let connector = child("legacy").await;
    let mut report = String::new();
    for tool in ["both", "no_object", "large", "huge", "refuse", "input"] {
        for mut call in [read(tool), write(tool)] {
            let outcome = call.on(&connector).await.expect_err(tool);
            let _ = writeln!(report, "{tool} {}, retries {}: {outcome}", call.effect.as_str(), call.retries);
        }
    }
    insta::assert_snapshot!(report);
    assert_eq!(read("twice").text(&connector).await, "first");
    assert_eq!(read("noise").text(&connector).await, "after the noise");
    assert_eq!(read("echo").with(json!({"a": 1})).text(&connector).await, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_line_that_cannot_be_given_to_a_call_leaves_it_without_an_answer() {
    let mut spec = spec(server(&["legacy"]), TOOLS);
    spec["limits"]["timeout"] = json!("200ms");
    let connector = started(spec).await;
    for tool in ["other_id", "text_id", "not_utf8", "never"] {
        assert_eq!(read(tool).code(&connector).await, "upstream.timeout", "{tool}");
        assert_eq!(write(tool).code(&connector).await, "upstream.outcome_unknown", "{tool}");
    }
    assert!(connector.state().health.is_up());
}

#[tokio::test]
async fn arguments_with_line_breaks_stay_one_message() {
    let connector = child("legacy").await;
    let raw = "{\r\n  \"note\": \"two\\nlines\",\n  \"n\": 1\n}";
    let raw = quaymaster_core::Raw::read(raw).expect("JSON");
    let mut call = read("echo");
    call.arguments = Arguments::parse(Some(raw)).expect("arguments");
    assert_eq!(call.text(&connector).await, r#"{"n":1,"note":"two\nlines"}"#);
}

#[tokio::test]
async fn what_a_child_tells_and_asks_is_taken() {
    for mode in ["legacy", "modern"] {
        let connector = child(mode).await;
        let reports = Arc::new(Reports::default());
        let mut call = read("progress");
        call.progress = Some(Arc::clone(&reports) as Arc<dyn ProgressSink>);
        assert_eq!(call.text(&connector).await, "done");
        assert_eq!(reports.seen(), ["1 of Some(Number(2)), None", "2 of Some(Number(2)), None"]);
        let answers = if mode == "legacy" { "[{},-32601]" } else { "[-32600,-32600]" };
        assert_eq!(read("ask").text(&connector).await, answers);
        let mut tools = connector.tools();
        assert_eq!(read("grow").text(&connector).await, "grown");
        let grown = tools.wait_for(|tools| tools.len() == TOOLS.len());
        assert!(tokio::time::timeout(PATIENCE, grown).await.is_ok(), "{mode}");
    }
}

#[tokio::test]
async fn what_a_modern_child_must_not_ask_is_put_to_nobody() {
    for (mode, answer, asked) in [("legacy", r#"[{"roots":[]}]"#, 1), ("modern", "[-32600]", 0)] {
        let connector = child(mode).await;
        let person = Person::who_says(json!({"roots": []}));
        let mut call = Call { input: Some(Arc::clone(&person) as Arc<dyn InputPort>), ..read("ask") }
            .with(json!({"methods": ["roots/list"]}));
        assert_eq!(call.text(&connector).await, answer);
        assert_eq!(person.asked().lines().count(), asked);
    }
}

#[tokio::test]
async fn a_broken_request_of_a_child_is_no_answer_to_ours_of_the_same_number() {
    let connector = child("legacy").await;
    assert_eq!(write("mimic").text(&connector).await, "-32600");
}

#[tokio::test]
async fn a_child_hears_that_a_call_is_taken_back() {
    let connector = child("legacy").await;
    for (mut call, code) in [(read("never"), "call.cancelled"), (write("never"), "upstream.outcome_unknown")]
    {
        let cancel = call.cancel.clone();
        // The answer to a later call shows that the earlier one is with the server.
        let cancelling = async {
            read("echo").on(&connector).await.expect("a result");
            cancel.cancel();
        };
        assert_eq!(tokio::join!(call.code(&connector), cancelling).0, code);
    }
    let cancelled: Value = serde_json::from_str(&read("cancelled").text(&connector).await).expect("JSON");
    assert_eq!(cancelled.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn many_calls_over_one_pair_of_streams_get_their_own_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let starts = folder.path().join("starts");
    let connector = started(spec(server(&["elsewhere", starts.to_str().expect("UTF-8")]), TOOLS)).await;
    let calls = (0..200).map(|n| {
        let connector = Arc::clone(&connector);
        tokio::spawn(async move { (n, read("echo").with(json!({"n": n})).text(&connector).await) })
    });
    for call in futures_util::future::join_all(calls).await {
        let (n, text) = call.expect("no panic");
        assert_eq!(text, format!(r#"{{"n":{n}}}"#));
    }
    assert_eq!(std::fs::read_to_string(starts).expect("a file").lines().count(), 1);
}

#[tokio::test]
async fn a_program_that_is_not_the_one_that_was_pinned_is_not_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let starts = folder.path().join("starts");
    let starts_path = starts.display().to_string();
    let script = upstream("stdio.mjs");
    let hash = |path: &str| crate::mcp::pinned::hash(Path::new(path)).expect("a hash");
    let pinned = |sha256: String| {
        let mut server = server(&["legacy", &starts_path]);
        server["pinned"] = json!([{"path": script, "sha256": sha256}]);
        spec(server, &["echo"])
    };
    let good = started(pinned(hash(&script))).await;
    assert_eq!(good.state().health, Health::Ready, "{:?}", good.state());
    good.shutdown().await;
    assert!(starts.exists(), "a start leaves a trace");
    std::fs::remove_file(&starts).expect("removed");

    let bad = started(pinned("0".repeat(64))).await;
    let state = bad.state();
    assert_eq!(state.health, Health::Quarantined);
    assert!(state.reason.contains("stdio.mjs is not what was pinned: its hash is "), "{}", state.reason);
    assert!(!starts.exists(), "it was never started");
    bad.shutdown().await;
}

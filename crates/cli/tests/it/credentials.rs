//! No credential crosses the gateway, and none is written down.

use serde_json::json;

use crate::gateway::Demo;

#[test]
fn no_credential_crosses_the_gateway() {
    let mut demo = Demo::start();
    for (token, tool, arguments) in [
        (&demo.analyst, "metrics_monthly_revenue", json!({"from": "2026-01-01", "to": "2026-04-01"})),
        (&demo.support, "desk_get_ticket", json!({"ticket_id": "nothing"})),
        (
            &demo.support,
            "desk_create_support_escalation",
            json!({"account_id": "ACC-0007", "severity": "low", "summary": "Private words 4711"}),
        ),
        (&demo.support, "no_such_tool", json!({"secret": "Private words 4711"})),
    ] {
        let _ = demo.call(token, tool, &arguments);
    }
    let _ = demo.call("qmt_not-a-token-at-all", "metrics_monthly_revenue", &json!({}));
    let tokens = [demo.analyst.clone(), demo.support.clone(), "qmt_not-a-token-at-all".into()];
    demo.terminate();

    let log = demo.log();
    assert!(
        log.contains("call.closed") && log.contains("metrics_monthly_revenue"),
        "calls are logged: {log}"
    );
    for token in &tokens {
        assert!(!log.contains(token.as_str()), "a token is in the log");
    }
    assert!(!log.contains("Private words"), "an argument is in the log");
    for file in files_below(&demo.folder) {
        let bytes = std::fs::read(&file).expect("a file");
        for token in &tokens {
            assert!(!contains(&bytes, token.as_bytes()), "a token is in {}", file.display());
        }
        if file.starts_with(demo.folder.join("data")) {
            assert!(!contains(&bytes, b"Private words"), "an argument is in {}", file.display());
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

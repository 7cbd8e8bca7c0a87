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

const DESK_KEY: &str = "desk-key-5f1c9a77-never-to-be-seen";

#[test]
fn the_credential_of_an_upstream_reaches_its_child_and_nothing_else() {
    let mut demo = Demo::start();
    demo.terminate();
    let file = demo.folder.join("connectors/support-desk.yaml");
    let text = std::fs::read_to_string(&file).expect("the connector");
    let with_secret = "transport: stdio\n    env: { DESK_KEY: \"${secret:QUAYMASTER_TEST_DESK_KEY}\" }\n";
    std::fs::write(&file, text.replace("transport: stdio\n", with_secret)).expect("written");
    let environment = [("QUAYMASTER_TEST_DESK_KEY", DESK_KEY)];
    let mut demo = Demo::start_with(&demo.folder, "127.0.0.1:0", &environment);

    let mut replies = vec![format!("{:?}", demo.tools(&demo.support))];
    let mut call = |tool: &str, arguments: serde_json::Value| {
        replies.push(format!("{:?}", demo.call(&demo.support, tool, &arguments)));
    };
    call("desk_search_tickets", json!({"limit": 1}));
    call("desk_get_ticket", json!({"ticket_id": "nothing"}));
    call("desk_get_ticket", json!({"ticket_id": 5}));
    let children = demo.children();
    let [child] = children[..] else { panic!("one child: {children:?}") };
    only_the_credential_is_given_to(child, &[&demo.analyst, &demo.support]);
    // A child that dies under a call, and calls after it.
    crate::gateway::signal(child, rustix::process::Signal::KILL);
    call("desk_search_tickets", json!({"limit": 1}));
    call("desk_search_tickets", json!({"limit": 2}));
    let audit = demo.run(&["audit", "tail", "-n", "1000", "--json"]);
    demo.terminate();

    for reply in replies.iter().chain([&audit.output, &audit.complaint, &demo.log()]) {
        assert!(!reply.contains(DESK_KEY), "the credential was shown: {reply}");
    }
    assert!(demo.log().contains("call.closed"), "calls are logged");
    for file in files_below(&demo.folder) {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(!contains(&bytes, DESK_KEY.as_bytes()), "the credential is in {}", file.display());
    }
}

/// The child's environment has its credential, and nothing of it has a client's token.
fn only_the_credential_is_given_to(child: u32, tokens: &[&str]) {
    let read = |name: &str| std::fs::read(format!("/proc/{child}/{name}")).expect("the child");
    let (environment, command) = (read("environ"), read("cmdline"));
    assert!(
        contains(&environment, format!("DESK_KEY={DESK_KEY}").as_bytes()),
        "the child has its credential"
    );
    assert!(!contains(&command, DESK_KEY.as_bytes()), "anybody on the machine can read a command line");
    assert!(
        !contains(&environment, b"QUAYMASTER_TEST_DESK_KEY"),
        "the gateway's own environment stays there"
    );
    for token in tokens {
        let given = contains(&environment, token.as_bytes()) || contains(&command, token.as_bytes());
        assert!(!given, "a client's token was given to the child");
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

//! The route of one server, and lists in pages, whose cursors outlive a rotation of the keys.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::gateway::{BINARY, Demo, eventually};

fn list(demo: &Demo, path: &str, token: &str, params: &Value) -> Value {
    demo.ask_at(path, token, ("tools/list", ""), params).expect("an answer")
}

fn names(answer: &Value) -> Vec<String> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().filter_map(|tool| tool["name"].as_str().map(ToOwned::to_owned)).collect()
}

#[test]
fn a_client_of_one_server_is_pointed_at_its_route_and_calls_it_by_the_names_that_it_knows() {
    let demo = Demo::start();
    let of_desk = names(&list(&demo, "/s/support-desk", &demo.analyst, &json!({})));
    let with_prefix: Vec<String> = of_desk.iter().map(|name| format!("desk_{name}")).collect();
    let all = demo.tools(&demo.analyst);
    let expected: Vec<String> = all.iter().filter(|name| name.starts_with("desk_")).cloned().collect();
    assert!(!expected.is_empty() && expected.len() < all.len(), "{all:?}");
    assert_eq!(with_prefix, expected);

    let params = json!({"name": "search_tickets", "arguments": {"limit": 1}});
    let asked = ("tools/call", "search_tickets");
    let called = demo.ask_at("/w/sales/s/support-desk", &demo.analyst, asked, &params).expect("an answer");
    let direct = demo.call(&demo.analyst, "desk_search_tickets", &json!({"limit": 1})).expect("a result");
    assert_eq!(called["result"]["structuredContent"], direct["structuredContent"], "{called}");
    let audit_id = &called["result"]["_meta"]["dev.quaymaster/audit_id"];
    let records: Vec<Value> = demo.records().into_iter().filter(|r| r["call"] == *audit_id).collect();
    assert_eq!(records.len(), 2, "{audit_id}");
    for record in records {
        assert_eq!(
            (&record["tool"]["name"], &record["route"]),
            (&json!("desk_search_tickets"), &json!("support-desk"))
        );
    }

    for nowhere in ["/s/nowhere", "/w/sales/s/nowhere"] {
        assert_eq!(names(&list(&demo, nowhere, &demo.analyst, &json!({}))), [""; 0]);
    }
    assert_eq!(list(&demo, "/s/support-desk/", &demo.analyst, &json!({}))["error"], "not_found");
}

#[test]
fn standard_streams_lead_to_one_server_where_one_is_named() {
    let mut demo = Demo::start();
    demo.terminate();
    let stdio = |server: &str| {
        let mut command = Command::new(BINARY);
        command.args(["stdio", "--server", server, "-c"]).arg(&demo.folder);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary")
    };
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
    let mut child = stdio("support-desk");
    writeln!(child.stdin.take().expect("a pipe"), "{request}").expect("written");
    let done = child.wait_with_output().expect("ended");
    let answer: Value = serde_json::from_slice(&done.stdout).expect("an answer");
    assert!(names(&answer).contains(&"search_tickets".to_owned()), "{answer}");

    let refused = stdio("nowhere").wait_with_output().expect("ended");
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("the configuration has no connector `nowhere`"), "{complaint}");
}

/// The number of the key that sealed a handle: its second to fifth byte, in base64url.
fn key_of(handle: &str) -> u32 {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = |digit: u8| ALPHABET.iter().position(|other| *other == digit).expect("base64url") as u64;
    let first = handle.bytes().take(8).fold(0, |bits, digit| bits << 6 | value(digit));
    // Six bytes, of which the first is the form and the last is sealed.
    u32::try_from(first >> 8 & 0xffff_ffff).expect("four bytes")
}

#[test]
fn keys_are_rotated_while_the_gateway_serves_and_what_was_handed_out_still_opens() {
    let demo = Demo::start();
    let settings = demo.folder.join("quaymaster.yaml");
    let text = fs::read_to_string(&settings).expect("the settings");
    let title = "sales: { title: Sales and support";
    assert!(text.contains(title), "{text}");
    fs::write(&settings, text.replace(title, &format!("{title}, catalogue: {{ pageSize: 2 }}")))
        .expect("written");
    let first = || list(&demo, "/mcp", &demo.analyst, &json!({}));
    let cursor = || first()["result"]["nextCursor"].as_str().map(ToOwned::to_owned);
    eventually("pages", || cursor().is_some());
    let before = cursor().expect("more");
    assert_eq!(key_of(&before), 1);

    let rotated = demo.run(&["keys", "rotate"]);
    assert_eq!(
        (rotated.code, rotated.output.as_str()),
        (0, "key 2 seals from now on\n"),
        "{}",
        rotated.complaint
    );
    eventually("the gateway seals with the new key", || cursor().is_some_and(|cursor| key_of(&cursor) == 2));
    let page = |cursor: &str| names(&list(&demo, "/mcp", &demo.analyst, &json!({"cursor": cursor})));
    let after = cursor().expect("more");
    assert_eq!(page(&before), page(&after), "both lead on from the same place");
    let all: Vec<String> = names(&first()).into_iter().chain(page(&before)).collect();
    assert!(all.is_sorted() && all.len() == 4, "{all:?}");

    let listed = demo.run(&["keys", "list", "--json"]);
    let keys: Vec<Value> =
        listed.output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(keys.iter().map(|key| &key["id"]).collect::<Vec<_>>(), [2, 1]);
    assert!(demo.records().iter().any(|record| record["event"] == "key.rotated"));
    let ring = fs::read_to_string(demo.folder.join("data/handles.json")).expect("the ring");
    let ring: Value = serde_json::from_str(&ring).expect("JSON");
    let told = [rotated.output, listed.output, demo.run(&["keys", "list"]).output, demo.log()].concat();
    for key in ring["keys"].as_array().expect("keys") {
        assert!(!told.contains(key["secret"].as_str().expect("a secret")), "a secret is shown");
    }
}

//! A secret that nobody else has stands in every place where one can be. Then everything happens that can
//! happen, and whatever came out is looked through for it: as it is, in base64, in hexadecimal, URL-encoded.
//!
//! `places` puts them there and plays the systems that they are for, which repeat what they are sent wherever
//! they can; `traces` knows how a secret looks and where it may not be.

mod places;
mod texts;
mod traces;

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use self::places::{CALLER, Places};
use self::traces::Traces;
use crate::configuration::Database;
use crate::gateway::{Demo, eventually};

#[test]
fn no_secret_leaves_whatever_happens() {
    everything_happens(None);
}

#[test]
fn no_secret_leaves_whatever_happens_on_postgresql() {
    everything_happens(Some(&Database::create("canary")));
}

fn everything_happens(database: Option<&Database>) {
    let mut demo = Demo::start();
    demo.terminate();
    let places = Places::prepare(&demo.folder, database.map(|database| database.url.as_str()));
    let mut traces = Traces::new(&places);
    let run = |demo: &Demo, traces: &mut Traces, arguments: &[&str], input: &str| {
        let (code, said) = places.run(&demo.folder, arguments, input);
        traces.add(&format!("`quaymaster {}`", arguments.join(" ")), said.as_bytes());
        (code, said)
    };
    let valid = run(&demo, &mut traces, &["check"], "");
    assert_eq!(valid.0, 0, "{}", valid.1);
    let put = ["credentials", "put", "--connector", "personal", "--subject", "support@example.test"];
    let stored = run(&demo, &mut traces, &put, &places.of("caller token"));
    assert_eq!(stored.0, 0, "{}", stored.1);

    let mut demo = Demo::start_with(&demo.folder.clone(), "127.0.0.1:0", &places.environment());
    Places::have_keys(&demo.folder, &mut traces);
    for token in [&demo.analyst, &demo.support, &demo.manager] {
        traces.watch_for("a bearer token", token.as_bytes());
    }
    calls(&demo, &mut traces);
    for arguments in [
        &["audit", "tail", "-n", "1000", "--json"][..],
        &["audit", "query", "--json"],
        &["audit", "export", "--format", "jsonl"],
        &["audit", "export", "--format", "ocsf"],
        &["audit", "verify", "--json"],
        &["credentials", "list", "--json"],
        &["credentials", "list"],
        &["keys", "list", "--json"],
        &["keys", "rotate"],
        &["tools", "list", "--json"],
        &["upstreams", "--json"],
        &["upstreams"],
        &["check", "--json"],
        &["check", "--connect", "--json"],
        &["check", "--without-secrets"],
        &["policy", "explain", "--actor", "analyst@example.test", "--role", "analyst", "--tool", "echo_go"],
        &["approvals", "list", "--json"],
        &["call", "echo_go", "how=result"],
        &["schema", "config"],
    ] {
        let (code, said) = run(&demo, &mut traces, arguments, "");
        assert_eq!(
            code,
            0,
            "{arguments:?}: {}",
            said.lines().filter(|line| !line.contains("Z TRACE")).collect::<Vec<_>>().join("\n")
        );
    }
    // A change of the secrets' own, a configuration that is not valid, and one that is.
    demo.signal(Signal::HUP);
    eventually("it was read again", || demo.log().matches("config.applied").count() >= 1);
    let settings = demo.folder.join("quaymaster.yaml");
    let good = fs::read_to_string(&settings).expect("the settings");
    let literal = format!("{good}localUsers: {{ password: {} }}\n", places.of("literal"));
    fs::write(&settings, literal).expect("written");
    let (code, said) = run(&demo, &mut traces, &["check"], "");
    assert!(code == 3 && said.contains("config.secret_literal"), "{said}");
    run(&demo, &mut traces, &["check", "--json"], "");
    eventually("it was refused", || demo.log().contains("config.refused"));
    fs::write(&settings, good).expect("written");
    calls(&demo, &mut traces);
    demo.kill();
    let log = fs::read(demo.folder.with_extension("log")).expect("the log");
    traces.add("the log of what was killed", &log);
    traces.add("a gateway that serves, and its metrics", places.served(&demo.folder).as_bytes());
    let mut demo = Demo::start_with(&demo.folder.clone(), "127.0.0.1:0", &places.environment());
    calls(&demo, &mut traces);
    demo.terminate();
    traces.add("the log", demo.log().as_bytes());
    places.were_used(&demo.log());
    traces.add_files(&demo.folder, places.own_files());
    if let Some(database) = database {
        traces.add("the dump of the database", database.dump().as_bytes());
    }
    traces.conclude();
}

/// Calls that succeed, fail, are refused, wait for an agreement; by whom it is for, and by whom it is not.
fn calls(demo: &Demo, traces: &mut Traces) {
    let mut add = |what: &str, reply: Result<Value, Value>| {
        let reply = reply.unwrap_or_else(|error| error).to_string();
        traces.add(what, reply.as_bytes());
        reply
    };
    for token in [&demo.analyst, &demo.support] {
        add(
            "a list of tools",
            demo.ask_at("/mcp", token, ("tools/list", ""), &json!({})).map_err(|_| Value::Null),
        );
    }
    for how in ["result", "error", "failed", "status", "nothing"] {
        let reply = add(how, demo.call(&demo.analyst, "echo_go", &json!({"how": how})));
        assert!(
            how != "result" || reply.contains("[secret]"),
            "the server repeats what it was sent: {reply}"
        );
    }
    for tool in ["locked_go", "ring_go", "database_ask", "no_such_tool", "personal_go"] {
        add(tool, demo.call(&demo.analyst, tool, &json!({})));
    }
    let own = add(CALLER, demo.call(&demo.support, "personal_go", &json!({})));
    assert!(own.contains("[secret]"), "it was asked in the caller's name: {own}");
    let child = add("a child", demo.call(&demo.analyst, "child_go", &json!({})));
    assert!(child.contains("[secret]"), "the child has its secret: {child}");
    let critical = json!({"account_id": "ACC-0007", "severity": "critical", "summary": "All is lost"});
    add("a parked call", demo.call(&demo.support, "desk_create_support_escalation", &critical));
    add("an opaque token", demo.call("an-opaque-token-of-an-issuer", "echo_go", &json!({})));
}

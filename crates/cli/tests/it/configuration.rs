//! A configuration that changes while calls run.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::gateway::{Demo, eventually, signal};

#[test]
fn a_new_configuration_is_taken_over_and_a_broken_one_is_refused() {
    let demo = Demo::start();
    let policy = demo.folder.join("policies/escalations.cedar");
    let permitted = fs::read_to_string(&policy).expect("the policy");
    assert!(demo.tools(&demo.support).contains(&"desk_create_support_escalation".to_owned()));

    fs::write(&policy, "permit (principal, action, resource)").expect("written");
    eventually("the refusal in the log", || demo.log().contains("config.refused"));
    assert!(
        demo.tools(&demo.support).contains(&"desk_create_support_escalation".to_owned()),
        "the old one goes on"
    );

    fs::write(&policy, "").expect("written");
    let hidden = || !demo.tools(&demo.support).contains(&"desk_create_support_escalation".to_owned());
    eventually("the new configuration", hidden);
    let refused = demo.call(&demo.support, "desk_create_support_escalation", &json!({})).expect("a result");
    assert_eq!(refused["structuredContent"]["error"]["code"], "tool.not_found");

    fs::write(&policy, permitted).expect("written");
    eventually("the first configuration again", || !hidden());
    let events: Vec<String> =
        demo.records().iter().filter_map(|r| r["event"].as_str().map(ToOwned::to_owned)).collect();
    let count = |event: &str| events.iter().filter(|e| *e == event).count();
    assert_eq!((count("config.refused"), count("config.applied")), (1, 3), "{events:?}");
}

#[test]
fn a_changed_connector_keeps_the_others_connected() {
    let demo = Demo::start();
    let children = demo.children();
    let file = demo.folder.join("connectors/business-metrics.yaml");
    let text = fs::read_to_string(&file).expect("the connector");
    fs::write(&file, text.replace("name: monthly_revenue", "name: revenue_by_month")).expect("written");
    eventually("the renamed tool", || {
        demo.tools(&demo.analyst).contains(&"metrics_revenue_by_month".to_owned())
    });
    assert_eq!(demo.children(), children, "the ticketing server was not started again");
}

#[test]
fn a_call_that_runs_ends_on_its_old_connector_when_that_is_replaced() {
    let demo = Demo::start();
    let old = demo.children();
    let [child] = old[..] else { panic!("one child: {old:?}") };
    signal(child, Signal::STOP);
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| demo.call(&demo.analyst, "desk_search_tickets", &json!({"limit": 1})));
        eventually("the call is about to run", || {
            demo.records().iter().any(|record| record["event"] == "call.intent")
        });
        let file = demo.folder.join("connectors/support-desk.yaml");
        let text = fs::read_to_string(&file).expect("the connector");
        fs::write(&file, text.replace("timeout: 10s", "timeout: 11s")).expect("written");
        eventually("the new configuration", || demo.log().contains("a new configuration is at work"));
        signal(child, Signal::CONT);
        let result = calling.join().expect("joined").expect("a result");
        assert_eq!(result["structuredContent"]["total"], json!(1500), "{result}");
    });
    eventually("the old child is gone", || !demo.children().contains(&child));
    assert_eq!(demo.children().len(), 1, "the new one serves");
    let digests: Vec<_> = demo
        .records()
        .iter()
        .filter(|r| r["event"] == "config.applied")
        .map(|r| r["config_digest"].clone())
        .collect();
    let [first, second] = &digests[..] else { panic!("two configurations: {digests:?}") };
    assert!(first.as_str().is_some_and(|d| d.starts_with("sha256:")) && first != second, "{digests:?}");
}

#[test]
fn a_hang_up_starts_only_those_children_again_that_are_given_a_secret() {
    let mut demo = Demo::start();
    let kept = demo.children();
    demo.signal(Signal::HUP);
    eventually("the reload", || demo.log().contains("a new configuration is at work"));
    assert_eq!(demo.children(), kept, "no secret could have changed");
    demo.terminate();

    let file = demo.folder.join("connectors/support-desk.yaml");
    let text = fs::read_to_string(&file).expect("the connector");
    let with_secret = "transport: stdio\n    env: { DESK_KEY: \"${secret:QUAYMASTER_TEST_DESK_KEY}\" }\n";
    fs::write(&file, text.replace("transport: stdio\n", with_secret)).expect("written");
    let environment = [("QUAYMASTER_TEST_DESK_KEY", "some-key-or-other")];
    let demo = Demo::start_with(&demo.folder, "127.0.0.1:0", &environment);
    let before = demo.children();
    demo.signal(Signal::HUP);
    eventually("another child", || demo.children().len() == 1 && demo.children() != before);
}

#[test]
fn a_revoked_token_is_refused_by_the_gateway_that_runs() {
    let demo = Demo::start();
    let made = demo.run(&["token", "create", "--actor", "bo@example.test", "--role", "analyst", "--json"]);
    assert_eq!(made.code, 0, "{}", made.complaint);
    let made: serde_json::Value = serde_json::from_str(&made.output).expect("JSON");
    let (token, id) = (made["token"].as_str().expect("a token"), made["id"].as_str().expect("an id"));
    assert!(!demo.tools(token).is_empty());
    assert_eq!(demo.run(&["token", "revoke", id]).code, 0);
    let call = || demo.try_call(token, "metrics_monthly_revenue", &json!({}));
    eventually("the refusal", || call().is_ok_and(|answer| answer.get("error").is_some()));
    assert_eq!(demo.run(&["token", "revoke", id]).code, 1, "there is nothing left to revoke");
}

#[test]
fn the_same_installation_works_on_postgresql() {
    let mut demo = Demo::start();
    demo.terminate();
    let database = Database::create("whole");
    Database::store_of(&demo);
    let run = |arguments: &[&str]| database.run(&demo, arguments);
    let (code, output, complaint) =
        run(&["call", "metrics_monthly_revenue", "from=2026-01-01", "to=2026-04-01"]);
    assert_eq!(code, Some(0), "{output}{complaint}");
    assert!(!complaint.contains(&database.url));
    let (code, output, complaint) = run(&["audit", "verify", "--json"]);
    assert_eq!(code, Some(0), "{output}{complaint}");
    let found: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!((&found["events"]["call.intent"], &found["events"]["call.outcome"]), (&json!(1), &json!(1)));
}

#[test]
fn another_store_is_not_taken_for_the_log_that_was_signed() {
    let mut demo = Demo::start();
    demo.terminate();
    let (key, kept) = (demo.folder.join("data/audit.key"), demo.folder.join("data/audit.checkpoint"));
    let aside = [fs::read(&key).expect("a key"), fs::read(&kept).expect("a checkpoint")];
    let database = Database::create("signed");
    Database::store_of(&demo);
    fs::write(&kept, &aside[1]).expect("written");
    fs::write(&key, &aside[0]).expect("written");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("chmod");
    let create = ["token", "create", "--actor", "ada", "--role", "analyst"];
    let (code, _, complaint) = database.run(&demo, &create);
    assert!(code == Some(4) && complaint.contains("the store went back in time"), "{complaint}");
    assert!(complaint.contains("move the log's key and the file of its checkpoint away"), "{complaint}");
    let (code, output, _) = database.run(&demo, &["audit", "tail"]);
    assert_eq!((code, output.as_str()), (Some(0), ""), "nothing was written");
}

#[test]
fn a_store_on_postgresql_is_opened_with_the_key_that_sealed_it_alone() {
    let mut demo = Demo::start();
    demo.terminate();
    let database = Database::create("sealed");
    Database::store_of(&demo);
    let list = || database.run(&demo, &["token", "list"]);
    assert_eq!(list().0, Some(0));

    let (key, aside) = (demo.folder.join("data/seal.key"), demo.folder.join("aside"));
    fs::rename(&key, &aside).expect("moved");
    let (code, _, complaint) = list();
    assert!(code == Some(4) && complaint.contains("seal.key is missing, and the store"), "{complaint}");
    assert!(!key.exists(), "no new one was made");

    fs::copy(&aside, &key).expect("copied");
    fs::write(&key, [7; 32]).expect("written");
    let (code, _, complaint) = list();
    assert!(code == Some(4) && complaint.contains("seal.key is not the one that the store"), "{complaint}");

    fs::rename(&aside, &key).expect("restored");
    assert_eq!(list().0, Some(0));
}

/// A database of its own on the server that `scripts/postgres.sh start` starts.
pub(crate) struct Database {
    pub(crate) url: String,
    name: String,
}

impl Database {
    pub(crate) fn create(purpose: &str) -> Self {
        let name = format!("quaymaster_cli_{purpose}_{}", std::process::id());
        psql(&format!("CREATE DATABASE {name}"));
        let (server, _) = server()
            .rsplit_once('/')
            .map(|(s, d)| (s.to_owned(), d.to_owned()))
            .expect("a URL with a database");
        Self { url: format!("{server}/{name}"), name }
    }

    /// All that is in it, as SQL.
    pub(crate) fn dump(&self) -> String {
        let done = std::process::Command::new("pg_dump").arg(&self.url).output();
        let done = done.expect("pg_dump: install postgresql-client");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Makes the database that a command is run with the store of `demo`, which must not run.
    fn store_of(demo: &Demo) {
        let file = demo.folder.join("quaymaster.yaml");
        let text = fs::read_to_string(&file).expect("the settings");
        let on_postgres = "store: { engine: postgres, url: \"${secret:QUAYMASTER_TEST_STORE}\" }";
        fs::write(&file, text.replace("store: { engine: sqlite }", on_postgres)).expect("written");
        // Another store is another log: it gets a key of its own.
        for name in ["audit.key", "audit.checkpoint"] {
            fs::remove_file(demo.folder.join("data").join(name)).expect("removed");
        }
    }

    /// Runs a command in the folder of `demo`: exit code, output and complaint.
    fn run(&self, demo: &Demo, arguments: &[&str]) -> (Option<i32>, String, String) {
        let done = std::process::Command::new(crate::gateway::BINARY)
            .args(arguments)
            .current_dir(&demo.folder)
            .env("QUAYMASTER_TEST_STORE", &self.url)
            .output()
            .expect("the binary");
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        psql(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

#[expect(clippy::disallowed_methods, reason = "the test's server is named by the environment")]
fn server() -> String {
    std::env::var("QUAYMASTER_TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://quaymaster@127.0.0.1:54329/postgres".into())
}

fn psql(statement: &str) {
    let done = std::process::Command::new("psql")
        .args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", statement])
        .arg(server())
        .output();
    let done = done.expect("psql: install postgresql-client");
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "no PostgreSQL server for tests: run scripts/postgres.sh start\n{complaint}"
    );
}

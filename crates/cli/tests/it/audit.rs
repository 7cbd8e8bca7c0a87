//! The audit log by its commands: verified, proved, searched, erased, pruned.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::gateway::{BINARY, Demo, Ran, eventually, run_in};

fn ok(ran: Ran) -> String {
    assert_eq!(ran.code, 0, "{}{}", ran.output, ran.complaint);
    ran.output
}

fn parsed(ran: Ran) -> Value {
    serde_json::from_str(&ok(ran)).expect("JSON")
}

fn call(demo: &Demo) -> String {
    let arguments = json!({"from": "2026-01-01", "to": "2026-04-01"});
    let result = demo.call(&demo.analyst, "metrics_monthly_revenue", &arguments).expect("a result");
    result["_meta"]["dev.quaymaster/audit_id"].as_str().expect("an audit id").to_owned()
}

fn verify_proof(file: &Path, key: &str) -> (Option<i32>, String) {
    let done = Command::new(BINARY).args(["audit", "verify-proof", "--key", key]).arg(file).output();
    let done = done.expect("the binary");
    let said = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8(said).expect("UTF-8"))
}

/// The key of another log.
fn another_key() -> String {
    let mut other = Demo::start();
    other.terminate();
    ok(other.run(&["audit", "key"])).trim().to_owned()
}

#[test]
fn the_log_is_verified_by_the_key_that_was_told_at_the_first_start_and_by_no_other() {
    let mut demo = Demo::start();
    call(&demo);
    let key = ok(demo.run(&["audit", "key"])).trim().to_owned();
    assert!(demo.log().contains(&key), "its public half is told when it is made");
    let kept = ok(demo.run(&["audit", "checkpoint"]));
    let file = demo.folder.with_extension("checkpoint");
    fs::write(&file, &kept).expect("kept elsewhere");
    demo.terminate();
    let file = file.display().to_string();
    let verify = |arguments: &[&str]| demo.run(&[&["audit", "verify", "--json"], arguments].concat());
    let found = parsed(verify(&["--key", &key, "--checkpoint", &file]));
    assert_eq!((&found["intact"], &found["key"]), (&json!(true), &json!(key)));
    assert_eq!(found["signed"], found["records"], "the end of a gateway is signed as well");
    assert_eq!(found["open_writers"], json!([]));
    let refused = verify(&["--key", &another_key()]);
    assert_eq!(refused.code, 1);
    assert!(refused.output.contains("it is not signed by the key"), "{}", refused.output);
    assert_eq!(verify(&["--key", "no+key"]).code, 2);
    let secret = fs::read_to_string(demo.folder.join("data/audit.key")).expect("the key's file");
    let secret: Value = serde_json::from_str(&secret).expect("JSON");
    let secret = secret["secret"].as_str().expect("a secret");
    assert!(!demo.log().contains(secret) && !kept.contains(secret));
}

#[test]
fn a_call_is_proved_to_whoever_has_the_key_and_nothing_else() {
    let demo = Demo::start();
    let id = call(&demo);
    let key = ok(demo.run(&["audit", "key"])).trim().to_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("proofs").display().to_string();
    let told = ok(demo.run(&["audit", "proof", &id, "--out", &out, "--json"]));
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    drop(demo);
    for proof in told {
        let file = Path::new(proof["file"].as_str().expect("a file"));
        let (code, said) = verify_proof(file, &key);
        assert!(code == Some(0) && said.contains(&id), "{said}");
        let (code, said) = verify_proof(file, &another_key());
        assert!(code == Some(1) && said.contains("its checkpoint does not count"), "{said}");
        let text = fs::read_to_string(file).expect("the proof");
        let seq = proof["seq"].as_u64().expect("a number");
        fs::write(file, text.replacen(&format!("index {seq}"), &format!("index {}", seq - 1), 1))
            .expect("changed");
        let (code, said) = verify_proof(file, &key);
        assert!(code == Some(1) && said.contains("does not lead to the root that was signed"), "{said}");
    }
}

#[test]
fn a_store_that_was_rolled_back_is_found_at_the_next_start_and_by_whoever_verifies() {
    let mut demo = Demo::start();
    call(&demo);
    demo.terminate();
    let database = demo.folder.join("data/quaymaster.db");
    let copy = demo.folder.join("copy.db");
    fs::copy(&database, &copy).expect("a copy");
    ok(demo.run(&["token", "create", "--actor", "ada", "--role", "analyst"]));
    fs::copy(&copy, &database).expect("restored");
    let refused = demo.run(&["token", "create", "--actor", "ada", "--role", "analyst"]);
    assert_eq!(refused.code, 4);
    assert!(refused.complaint.contains("the store went back in time"), "{}", refused.complaint);
    let refused = demo.run(&["serve"]);
    assert!(refused.code == 4 && refused.complaint.contains("went back in time"), "{}", refused.complaint);
    let found = demo.run(&["audit", "verify"]);
    assert_eq!(found.code, 1);
    assert!(found.output.contains("the log was cut off, or went back in time"), "{}", found.output);
}

#[test]
fn a_log_without_its_key_is_not_gone_on_with() {
    let mut demo = Demo::start();
    demo.terminate();
    fs::remove_file(demo.folder.join("data/audit.key")).expect("removed");
    let refused = demo.run(&["token", "list"]);
    assert!(refused.code == 4 && refused.complaint.contains("audit.key is missing"), "{}", refused.complaint);
    let verified = demo.run(&["audit", "verify"]);
    assert!(verified.output.contains("no signature was checked"), "{}", verified.output);
}

#[test]
fn somebody_is_erased_and_nothing_else_is_lost() {
    let demo = Demo::start();
    let made = parsed(demo.run(&["token", "create", "--actor", "Ada@x.test", "--role", "analyst", "--json"]));
    let token = made["token"].as_str().expect("a token");
    let arguments = json!({"from": "2026-01-01", "to": "2026-04-01"});
    demo.call(token, "metrics_monthly_revenue", &arguments).expect("a result");
    let of = |name: &str| demo.run(&["audit", "query", "--actor", name, "--json"]).output.lines().count();
    assert!(of("Ada@x.test") >= 2);
    let erased = parsed(demo.run(&["audit", "erase", "--subject", "ada@X.test", "--json"]));
    assert!(
        erased["erased"].as_array().is_some_and(|names| names.contains(&json!("Ada@x.test"))),
        "{erased}"
    );
    assert_eq!(of("Ada@x.test"), 0);
    let found = parsed(demo.run(&["audit", "verify", "--json"]));
    assert_eq!((&found["intact"], &found["erased"]), (&json!(true), &json!(1)), "{found}");
    let replayed = parsed(demo.run(&["policy", "backtest", "--json"]));
    assert_eq!(replayed["not_replayable"]["erased"], json!(1), "{replayed}");
    let again = demo.run(&["audit", "erase", "--subject", "ada@x.test"]);
    assert!(again.output.contains("there is nothing of"), "{}", again.output);
    let call = || demo.try_call(token, "metrics_monthly_revenue", &arguments);
    eventually("the token goes with its bearer", || call().is_ok_and(|answer| answer.get("error").is_some()));
}

#[test]
fn records_are_found_by_their_words_and_told_in_order() {
    let demo = Demo::start();
    let id = call(&demo);
    let found =
        ok(demo.run(&["audit", "query", "--text", "MONTHLY_revenue", "--event", "call.intent", "--json"]));
    let last: Value = serde_json::from_str(found.lines().last().expect("a record")).expect("JSON");
    assert_eq!(last["call"], json!(id));
    let page = ok(demo.run(&["audit", "query", "--limit", "2"]));
    let next =
        page.lines().last().and_then(|line| line.strip_prefix("older ones: --before ")).expect("a place");
    let older = ok(demo.run(&["audit", "query", "--limit", "2", "--before", next, "--json"]));
    let seqs: Vec<u64> = older
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].as_u64().expect("a number"))
        .collect();
    let next: u64 = next.parse().expect("a number");
    assert_eq!(seqs, [next - 2, next - 1]);
    let told = ok(demo.run(&["audit", "timeline", "--actor", "analyst@example.test"]));
    let mine: Vec<&str> = told.lines().filter(|line| line.contains(&id)).collect();
    assert!(mine.len() == 2 && mine[0].contains("call.intent") && mine[1].contains("call.outcome"), "{told}");
    assert_eq!(demo.run(&["audit", "timeline"]).code, 2, "of whom or what has to be said");
}

#[test]
fn old_records_go_in_whole_tiles_and_the_log_says_so() {
    let demo = Demo::start();
    for _ in 0..140 {
        call(&demo);
    }
    let pruned = parsed(demo.run(&["audit", "prune", "--before", "2100-01-01T00:00:00Z", "--json"]));
    assert_eq!(pruned, json!({"minimum": 256}));
    let found = parsed(demo.run(&["audit", "verify", "--json"]));
    assert_eq!((&found["intact"], &found["minimum"]), (&json!(true), &json!(256)), "{found}");
    assert_eq!(found["events"]["audit.pruned"], json!(1));
    assert_eq!(demo.records()[0]["seq"], json!(256));
    call(&demo);
    let again = demo.run(&["audit", "prune", "--before", "2000-01-01T00:00:00Z"]);
    assert!(again.output.contains("nothing to take away"), "{}", again.output);
    assert!(run_in(&demo.folder, &["audit", "verify"]).code == 0);
}

#[test]
fn an_export_goes_on_where_the_one_before_ended() {
    let demo = Demo::start();
    call(&demo);
    let cursor = demo.folder.join("cursor").display().to_string();
    let export = |format: &str| ok(demo.run(&["audit", "export", "--format", format, "--cursor", &cursor]));
    let seqs = |lines: &str| {
        let seq =
            |line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].as_u64().expect("a number");
        lines.lines().map(seq).collect::<Vec<u64>>()
    };
    let first = seqs(&export("jsonl"));
    assert_eq!(first, (0..first.len() as u64).collect::<Vec<_>>());
    assert_eq!(export("jsonl"), "", "nothing is printed twice");
    let id = call(&demo);
    let more = export("ocsf");
    let event: Value = serde_json::from_str(more.lines().next().expect("an event")).expect("JSON");
    assert_eq!((&event["class_uid"], &event["api"]["request"]["uid"]), (&json!(6003), &json!(id)));
    assert_eq!(event["metadata"]["sequence"], json!(first.len()));
    call(&demo);
    assert!(export("syslog").lines().all(|line| line.starts_with("<110>1 ")));
    fs::write(&cursor, "many").expect("written");
    assert_eq!(demo.run(&["audit", "export", "--format", "jsonl", "--cursor", &cursor]).code, 2);
    assert_eq!(demo.run(&["audit", "export"]).code, 2, "how has to be said");
}

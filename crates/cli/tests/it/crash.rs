//! What is left after a power cut.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::gateway::{Demo, eventually};

/// A write that was answered.
struct Answered {
    audit_id: String,
    account: String,
    summary: String,
}

/// How many accounts the writes are spread over, so that each one's are on one page.
const ACCOUNTS: usize = 60;

#[test]
fn every_answered_write_has_its_records_after_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("demo");
    let mut demo = Demo::start_in(&path, "127.0.0.1:0");
    let (answered, begun) = write_until_killed(&demo);
    demo.kill();
    assert!(answered.len() > 40);

    let demo = Demo::start_in(&path, "127.0.0.1:0");
    let verified = demo.run(&["audit", "verify", "--json"]);
    assert_eq!(verified.code, 0, "{}{}", verified.output, verified.complaint);
    let events = events_by_call(&demo);
    for Answered { audit_id, .. } in &answered {
        let seen =
            events.get(audit_id).unwrap_or_else(|| panic!("{audit_id} was answered and has no record"));
        assert!(seen.contains("call.intent") && seen.contains("call.outcome"), "{audit_id}: {seen:?}");
    }
    let effects = effects_by_summary(&demo);
    for Answered { account, summary, .. } in &answered {
        let times = effects.get(&(account.clone(), summary.clone())).copied().unwrap_or(0);
        assert_eq!(times, 1, "`{summary}` was answered and took effect {times} times");
    }
    assert!(effects.values().all(|times| *times == 1), "nothing was done twice: {effects:?}");
    assert!(effects.len() <= begun, "{} effects of {begun} writes", effects.len());
}

/// Writes from many sides, each write another, until the gateway is killed under them. What was
/// answered, and how many were begun.
fn write_until_killed(demo: &Demo) -> (Vec<Answered>, usize) {
    let answered: Mutex<Vec<Answered>> = Mutex::default();
    let (begun, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _worker in 0..6 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let number = begun.fetch_add(1, Ordering::SeqCst);
                    // An error here is the power cut.
                    let Ok(write) = write(demo, number) else { return };
                    answered.lock().expect("a list").push(write);
                }
            });
        }
        let process = demo.process_id();
        let (answered, stop) = (&answered, &stop);
        scope.spawn(move || {
            eventually("a burst of answers", || answered.lock().expect("a list").len() > 40);
            rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("killed");
            stop.store(true, Ordering::SeqCst);
        });
    });
    (answered.into_inner().expect("a list"), begun.into_inner())
}

fn write(demo: &Demo, number: usize) -> std::io::Result<Answered> {
    let account = format!("ACC-{:04}", number % ACCOUNTS + 1);
    let summary = format!("Orders are refused, case {number}");
    let arguments = json!({"account_id": account, "severity": "low", "summary": summary});
    let answer = demo.try_call(&demo.support, "desk_create_support_escalation", &arguments)?;
    let result = &answer["result"];
    assert_eq!(result["isError"], json!(false), "{answer}");
    let audit_id = result["_meta"]["dev.quaymaster/audit_id"].as_str().expect("an audit id").to_owned();
    Ok(Answered { audit_id, account, summary })
}

fn events_by_call(demo: &Demo) -> HashMap<String, HashSet<String>> {
    let mut events: HashMap<String, HashSet<String>> = HashMap::new();
    for record in demo.records() {
        if let (Some(call), Some(event)) = (record["call"].as_str(), record["event"].as_str()) {
            events.entry(call.to_owned()).or_default().insert(event.to_owned());
        }
    }
    events
}

/// How often each escalation is there, by its account and summary: all of them, account by account.
fn effects_by_summary(demo: &Demo) -> HashMap<(String, String), u32> {
    let mut effects = HashMap::new();
    for number in 1..=ACCOUNTS {
        let account = format!("ACC-{number:04}");
        let arguments = json!({"account_id": account, "limit": 100});
        let listed = demo.call(&demo.support, "desk_list_escalations", &arguments).expect("a list");
        let page = &listed["structuredContent"];
        assert_eq!(page["truncated"], json!(false), "all of {account} are seen");
        for escalation in page["escalations"].as_array().expect("escalations") {
            let summary = escalation["summary"].as_str().expect("a summary").to_owned();
            *effects.entry((account.clone(), summary)).or_insert(0) += 1;
        }
    }
    effects
}

#[test]
fn a_write_that_is_sent_again_after_a_crash_takes_effect_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("demo");
    let mut demo = Demo::start_in(&path, "127.0.0.1:0");
    let arguments =
        json!({"account_id": "ACC-0007", "severity": "high", "summary": "Orders are refused since noon"});
    let create = |demo: &Demo| -> Value {
        let result =
            demo.call(&demo.support, "desk_create_support_escalation", &arguments).expect("a result");
        result["structuredContent"].clone()
    };
    let first = create(&demo);
    demo.kill();
    let demo = Demo::start_in(&path, "127.0.0.1:0");
    let again = create(&demo);
    assert_eq!(first["escalation_id"], again["escalation_id"]);
    assert_eq!((&first["repeated"], &again["repeated"]), (&json!(false), &json!(false)), "it is the receipt");
    let events: Vec<Value> = demo.records().iter().map(|record| record["event"].clone()).collect();
    assert!(events.contains(&json!("call.repeated")));
}

#[test]
fn at_the_end_children_are_gone_and_the_log_is_closed() {
    let mut demo = Demo::start();
    demo.call(&demo.analyst, "desk_search_tickets", &json!({"limit": 1})).expect("a result");
    let children = demo.children();
    assert!(!children.is_empty(), "the ticketing server runs as a child");
    demo.terminate();
    for child in children {
        assert!(
            !std::path::Path::new(&format!("/proc/{child}")).exists(),
            "process {child} outlived the gateway"
        );
    }
    let records = demo.records();
    assert_eq!(records.last().map(|r| r["event"].clone()), Some(json!("writer.stopped")));
}

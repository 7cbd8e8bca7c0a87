//! What is left after a power cut.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::gateway::{Demo, eventually};

#[test]
fn every_answered_write_has_its_records_after_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("demo");
    let mut demo = Demo::start_in(&path, "127.0.0.1:0");
    let answered: Mutex<Vec<String>> = Mutex::default();
    let (begun, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let killed = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        for worker in 0..6 {
            let (demo, answered, begun, stop) = (&demo, &answered, &begun, &stop);
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    begun.fetch_add(1, Ordering::SeqCst);
                    let summary = format!("Orders are refused, says worker {worker} for the {n}th time");
                    let arguments = json!({"account_id": "ACC-0007", "severity": "low", "summary": summary});
                    // An error here is the power cut.
                    let Ok(answer) =
                        demo.try_call(&demo.support, "desk_create_support_escalation", &arguments)
                    else {
                        return;
                    };
                    let id =
                        answer["result"]["_meta"]["dev.quaymaster/audit_id"].as_str().expect("an audit id");
                    answered.lock().expect("a list").push(id.to_owned());
                }
            });
        }
        let killed = Arc::clone(&killed);
        let (answered, stop) = (&answered, &stop);
        let process = demo.process_id();
        scope.spawn(move || {
            eventually("a burst of answers", || answered.lock().expect("a list").len() > 40);
            rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("killed");
            killed.store(true, Ordering::SeqCst);
            stop.store(true, Ordering::SeqCst);
        });
    });
    assert!(killed.load(Ordering::SeqCst));
    demo.kill();

    let demo = Demo::start_in(&path, "127.0.0.1:0");
    let verified = demo.run(&["audit", "verify", "--json"]);
    assert_eq!(verified.code, 0, "{}{}", verified.output, verified.complaint);
    let mut events: HashMap<String, HashSet<String>> = HashMap::new();
    for record in demo.records() {
        if let Some(call) = record["call"].as_str() {
            events
                .entry(call.to_owned())
                .or_default()
                .insert(record["event"].as_str().unwrap_or("").to_owned());
        }
    }
    let answered = answered.into_inner().expect("a list");
    assert!(answered.len() > 40);
    for call in &answered {
        let seen = events.get(call).unwrap_or_else(|| panic!("{call} was answered and has no record"));
        assert!(seen.contains("call.intent") && seen.contains("call.outcome"), "{call}: {seen:?}");
    }
    // Each answered write took effect exactly once: its content is its key.
    let listed = demo.call(&demo.support, "desk_list_escalations", &json!({"limit": 1})).expect("a list");
    let total = listed["structuredContent"]["total"].as_u64().expect("a total");
    let begun = begun.load(Ordering::SeqCst) as u64;
    assert!(
        (answered.len() as u64..=begun).contains(&total),
        "{} answered, {total} there, {begun} begun",
        answered.len()
    );
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
    assert_eq!((&first["repeated"], &again["repeated"]), (&json!(false), &json!(true)));
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

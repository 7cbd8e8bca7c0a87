//! Signals end every command in order, or make it read its configuration again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gateway::{BINARY, Demo, children_of, eventually, signal};

/// A folder with a demo's configuration that nobody serves.
fn folder() -> Demo {
    let mut demo = Demo::start();
    demo.terminate();
    demo
}

fn command(folder: &Path, arguments: &[&str]) -> Child {
    let mut process = Command::new(BINARY);
    process.args(arguments).arg("-c").arg(folder);
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    process.spawn().expect("the binary")
}

fn events(demo: &Demo) -> Vec<Value> {
    demo.records().iter().map(|record| record["event"].clone()).collect()
}

#[test]
fn standard_input_and_output_are_served_until_an_interrupt_and_reloaded_on_a_hang_up() {
    let demo = folder();
    let before = events(&demo).iter().filter(|event| **event == "config.applied").count();
    let mut process = command(&demo.folder, &["stdio"]);
    let mut input = process.stdin.take().expect("a pipe");
    let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    writeln!(input, "{ping}").expect("sent");
    let mut line = String::new();
    output.read_line(&mut line).expect("an answer");
    assert!(line.contains("result"), "{line}");
    signal(process.id(), Signal::HUP);
    let applied = || events(&demo).iter().filter(|event| **event == "config.applied").count();
    eventually("the configuration is read again", || applied() == before + 2);
    signal(process.id(), Signal::INT);
    let status = process.wait().expect("reaped");
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(events(&demo).last(), Some(&json!("writer.stopped")));
}

#[test]
fn an_interrupt_ends_a_command_that_calls_or_lists_in_order() {
    let demo = folder();
    for arguments in [&["tools", "list"][..], &["call", "desk_search_tickets"]] {
        let mut process = command(&demo.folder, arguments);
        eventually("a child of the command", || !children_of(&process).is_empty() || process_ended(&process));
        // Whatever it is at, it ends by itself and closes its log.
        signal(process.id(), Signal::INT);
        let status = process.wait().expect("reaped");
        assert!(status.code().is_some(), "{arguments:?} was killed by the signal: {status}");
        assert_eq!(events(&demo).last(), Some(&json!("writer.stopped")), "{arguments:?}");
    }
}

fn process_ended(process: &Child) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", process.id())).is_ok_and(|stat| stat.contains(") Z "))
}

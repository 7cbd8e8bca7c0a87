//! What is hidden and what does not exist are answered by the same work.
//!
//! Timings say nothing on a machine that does other things, so what is compared is how much is asked of
//! the allocator on the whole path of a call, its record in the audit included. Threads of the gateway
//! that do something else meanwhile only ever add to it, so the least of many calls counts.

use std::alloc::System;

use quaymaster_core::ErrorCode;
use quaymaster_gateway::Gateway;
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::installation::{folder, start};
use crate::large_catalogue::{call, change};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often each call is made.
const ROUNDS: usize = 60;

/// The least number of allocations, and of bytes, that each of `calls` took.
async fn work(gateway: &Gateway, calls: &[(&str, Value)]) -> Vec<(usize, usize)> {
    let mut least = vec![(usize::MAX, usize::MAX); calls.len()];
    // In turns, so that whatever changes meanwhile changes for all.
    for _ in 0..ROUNDS {
        for ((tool, arguments), least) in calls.iter().zip(&mut least) {
            let arguments = arguments.clone();
            let region = Region::new(ALLOCATOR);
            let reply = call(gateway, "lab", tool, arguments).await;
            let took = region.change();
            assert_eq!(reply.code, Some(ErrorCode::ToolNotFound), "{}", reply.result);
            *least = (least.0.min(took.allocations), least.1.min(took.bytes_allocated));
        }
    }
    least
}

#[tokio::test]
async fn what_is_hidden_takes_the_same_work_as_what_does_not_exist() {
    let folder = folder();
    change(folder.path(), "quaymaster.yaml", "lab: {}", "lab: { catalogue: { search: always } }");
    // One tool is hidden by its workspace, the other by a policy, and none has the third name.
    std::fs::write(
        folder.path().join("policies/none.cedar"),
        r#"@id("closed") forbid (principal, action, resource == Tool::"numbers_far");"#,
    )
    .expect("written");
    change(folder.path(), "connectors/numbers.yaml", "name: far", "name: afar");
    change(folder.path(), "policies/none.cedar", "numbers_far", "numbers_afar");
    change(folder.path(), "connectors/numbers.yaml", "name: near", "name: nigh");
    let gateway = start(folder.path()).await.expect("started");
    let names = ["numbers_nigh", "numbers_afar", "numbers_none"];
    let direct: Vec<(&str, Value)> = names.iter().map(|name| (*name, json!({"any": 1}))).collect();
    let by_name: Vec<(&str, Value)> =
        names.iter().map(|name| ("call_tool", json!({"name": name, "arguments": {"any": 1}}))).collect();
    for calls in [direct, by_name] {
        let [by_workspace, by_policy, unknown] = work(&gateway, &calls).await[..] else { panic!("three") };
        assert_eq!(by_workspace, unknown, "hidden by its workspace");
        assert_eq!(by_policy, unknown, "hidden by a policy");
        assert!(unknown.0 > 10, "something is measured: {unknown:?}");
    }
    gateway.shutdown().await;
}

//! What a sweep of sessions puts away, and what it spares.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Server, next_event, soon};
use super::harbour::Event;
use crate::ingress::http::HttpSettings;

/// After which a session is idle. A sweep comes at most a second after another.
const IDLE: Duration = Duration::from_secs(4);

/// As long as the shortest life that a task may have, and longer than a session lies idle.
const LATER: Duration = Duration::from_mins(1);

async fn begin(client: &mut Client, ttl: Duration) -> String {
    let call = json!({"name": "task", "task": {"ttl": u64::try_from(ttl.as_millis()).expect("short")}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
    let created = client.post(&call).await.json();
    created["result"]["task"]["taskId"].as_str().expect("a handle").to_owned()
}

fn fetch(id: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tasks/result", "params": {"taskId": id}})
}

#[tokio::test]
async fn a_session_that_waits_for_the_result_of_its_task_is_not_swept() {
    let keep_alive = Duration::from_millis(20);
    let settings = HttpSettings { session_idle: IDLE, keep_alive, ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let [mut waits, mut rests] = [server.client().await, server.client().await];
    waits.initialize("2025-11-25").await;
    rests.initialize("2025-11-25").await;
    // It has more than its handle says, so it does not come back when it was put away.
    let level =
        json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "debug"}});
    assert_eq!(rests.post(&level).await.status.as_u16(), 200);
    let id = begin(&mut waits, 2 * LATER).await;
    assert_eq!(soon(server.harbour.event()).await, Event::Began("task".into()));
    begin(&mut rests, LATER).await;
    assert_eq!(soon(server.harbour.event()).await, Event::Began("task".into()));

    // Its head comes when the wait has begun.
    let waiting = soon(waits.open("POST", &[], &fetch(&id).to_string())).await;
    let mut stream = waiting.into_body();
    server.harbour.clock.advance(LATER);
    // The sweep that takes the other task back has looked at the sessions before.
    assert_eq!(soon(server.harbour.event()).await, Event::Ended("task".into(), true));
    assert_eq!(rests.post(&level).await.status.as_u16(), 404, "one that waits for nothing is put away");
    server.harbour.release();
    let done = soon(next_event(&mut stream)).await.expect("a result");
    assert_eq!(done["result"]["structuredContent"]["handed"], "true", "{done}");
}

//! Clients that are slow or gone, and the end of the server.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Server, next_event, soon};
use super::harbour::Event;
use crate::ingress::http::HttpSettings;

const SHORT: Duration = Duration::from_millis(50);

async fn closed(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn half_a_head_does_not_hold_a_connection() {
    let server = Server::start(HttpSettings { head_wait: SHORT, ..HttpSettings::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    stream.write_all(b"POST /mcp HTTP/1.1\r\nhost: loc").await.expect("sent");
    closed(&mut stream).await;
}

#[tokio::test]
async fn half_a_body_does_not_hold_a_connection() {
    let server = Server::start(HttpSettings { body_wait: SHORT, ..HttpSettings::default() }).await;
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    let request = "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ana\r\n\
                   content-type: application/json\r\ncontent-length: 100\r\n\r\n{\"jsonrpc\"";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let answer = closed(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_a_connection() {
    let settings = HttpSettings { stall_wait: SHORT, max_connections: 1, ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "big"}});
    let unread = client.open("POST", &[], &body.to_string()).await;
    assert_eq!(server.harbour.event().await, Event::Began("big".into()));
    // The one connection that there may be becomes free again.
    soon(async {
        while !server.exchange(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n").await.contains("alive")
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(unread);
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_turned_away() {
    let settings = HttpSettings { max_connections: 1, ..HttpSettings::default() };
    let counters = settings.counters.clone();
    let server = Server::start(settings).await;
    let mut first = server.client().await;
    first.initialize("2025-11-25").await;
    let mut second = TcpStream::connect(server.address).await.expect("connected");
    let answer = closed(&mut second).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 503") && head.contains(&format!("length: {}", body.len())), "{head}");
    assert!(head.contains("retry-after: 1") && body.contains("gateway.overloaded"), "{answer}");
    let overloaded = counters.counts().find(|(code, _)| code.as_str() == "gateway.overloaded");
    assert_eq!(overloaded.map(|(_, n)| n), Some(1));
}

#[tokio::test]
async fn whoever_never_said_who_it_is_makes_room_for_whoever_does() {
    let settings = HttpSettings { max_connections: 3, ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(server.address).await.expect("connected"));
    }
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let answer = closed(&mut silent[0]).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("gateway.overloaded"), "{answer}");
    for _ in 0..6 {
        silent.push(TcpStream::connect(server.address).await.expect("connected"));
    }
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(client.post(&ping).await.status.as_u16(), 200, "it keeps its connection");
}

#[tokio::test]
async fn a_principal_has_no_more_connections_than_others_do_not_have() {
    let settings = HttpSettings { max_connections: 4, ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut clients = [server.client().await, server.client().await];
    let mut streams = Vec::new();
    for client in &mut clients {
        client.initialize("2025-11-25").await;
        streams.push(client.open("GET", &[], "").await);
    }
    let mut third = server.client().await;
    let refused = third.initialize("2025-11-25").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("1")));
    assert!(refused.text.contains("gateway.overloaded"), "{}", refused.text);
    let mut other = server.client().await;
    other.token = "bo";
    assert_eq!(other.initialize("2025-11-25").await.status.as_u16(), 200, "others go on");
    // One of its own on which nothing happens makes room.
    drop(streams);
    let [first, second] = clients;
    drop(second);
    soon(async {
        while third.initialize("2025-11-25").await.status.as_u16() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(first);
}

#[tokio::test]
async fn a_call_that_runs_is_answered_before_the_server_ends() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let mut listening = server.client().await;
    listening.session.clone_from(&client.session);
    let mut stream = listening.open("GET", &[], "").await.into_body();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hold"}});
    let waiting = client.post(&body);
    let mut waiting = std::pin::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("held"),
        event = server.harbour.event() => assert_eq!(event, Event::Began("hold".into())),
    }
    server.shutdown.cancel();
    assert!(soon(next_event(&mut stream)).await.is_none(), "streams of notifications end at once");
    server.harbour.release();
    let answer = soon(&mut waiting).await;
    assert_eq!(answer.json()["result"], json!({"content": []}));
    soon(server.running).await.expect("ended");
    assert_eq!(server.harbour.event().await, Event::Ended("hold".into(), false));
}

#[tokio::test]
async fn a_call_that_does_not_end_is_taken_back_when_the_drain_time_is_over() {
    let server = Server::start(HttpSettings { drain: SHORT, ..HttpSettings::default() }).await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hold"}});
    let waiting = client.post(&body);
    let mut waiting = std::pin::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("held"),
        event = server.harbour.event() => assert_eq!(event, Event::Began("hold".into())),
    }
    server.shutdown.cancel();
    assert_eq!(soon(&mut waiting).await.status.as_u16(), 200);
    soon(server.running).await.expect("ended");
    assert_eq!(server.harbour.event().await, Event::Ended("hold".into(), true));
}

#[tokio::test]
async fn a_call_whose_client_went_away_is_waited_for() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hold"}});
        let waiting = client.post(&body);
        let mut waiting = std::pin::pin!(waiting);
        tokio::select! {
            _ = &mut waiting => panic!("held"),
            event = server.harbour.event() => assert_eq!(event, Event::Began("hold".into())),
        }
    }
    client.vanish().await;
    server.shutdown.cancel();
    server.harbour.release();
    soon(server.running).await.expect("ended");
    assert_eq!(server.harbour.event().await, Event::Ended("hold".into(), false));
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let _silent = TcpStream::connect(server.address).await.expect("connected");
    server.shutdown.cancel();
    soon(server.running).await.expect("ended");
}

#[tokio::test]
async fn a_gateway_that_is_not_ready_says_why() {
    let server = Server::plain().await;
    let ask = || server.exchange(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let answer = soon(ask()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nready\n"), "{answer}");
    server.harbour.set_unready("the audit log cannot be written");
    let answer = soon(ask()).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("not ready: the audit log cannot be written\n"), "{answer}");
}

#[tokio::test]
async fn requests_of_one_connection_come_one_after_the_other() {
    let server = Server::plain().await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let one = |connection: &str| {
        format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ana\r\nconnection: {connection}\r\n\
             mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{ping}",
            ping.len()
        )
    };
    let both = one("keep-alive") + &one("close");
    let answer = soon(server.exchange(both.as_bytes())).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
}

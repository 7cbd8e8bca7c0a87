//! Connections that rest between two exchanges.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::client::{Server, next_event, soon};
use crate::ingress::http::HttpSettings;

async fn server() -> Server {
    let settings = HttpSettings { rest_after: Duration::from_millis(5), ..HttpSettings::default() };
    Server::start(settings).await
}

/// Long enough for a connection to rest, if it may.
async fn a_while() {
    sleep(Duration::from_millis(40)).await;
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn a_connection_goes_on_after_each_rest() {
    let server = server().await;
    let mut client = server.client().await;
    a_while().await;
    client.initialize("2025-11-25").await;
    for _ in 0..3 {
        a_while().await;
        let answer = client.post(&serde_json::from_str(PING).expect("JSON")).await;
        assert_eq!(answer.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn nothing_of_a_request_is_lost_that_comes_bit_by_bit_or_together_with_another() {
    let server = server().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let session = client.session.clone().expect("a session");
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ana\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-session-id: {session}\r\ncontent-length: {}\r\n\r\n{PING}",
        PING.len()
    );
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    for cut in [1, 10, request.len() - PING.len(), request.len() - 1] {
        let (one, other) = request.split_at(cut);
        stream.write_all(one.as_bytes()).await.expect("written");
        a_while().await;
        stream.write_all(other.as_bytes()).await.expect("written");
        assert_eq!(answers(&mut stream, 1).await, 1, "cut at {cut}");
        a_while().await;
    }
    stream.write_all(request.repeat(3).as_bytes()).await.expect("written");
    assert_eq!(answers(&mut stream, 3).await, 3);
    // One whole request and the beginning of the next.
    stream.write_all(format!("{request}{}", &request[..25]).as_bytes()).await.expect("written");
    assert_eq!(answers(&mut stream, 1).await, 1);
    a_while().await;
    stream.write_all(&request.as_bytes()[25..]).await.expect("written");
    assert_eq!(answers(&mut stream, 1).await, 1);
}

/// Reads until so many answers have come.
async fn answers(stream: &mut TcpStream, wanted: usize) -> usize {
    let mut text = String::new();
    soon(async {
        let mut buffer = [0; 4096];
        while text.matches(r#""result":{}}"#).count() < wanted {
            let length = stream.read(&mut buffer).await.expect("read");
            assert!(length > 0, "closed after {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    })
    .await;
    text.matches("HTTP/1.1 200 OK").count()
}

#[tokio::test]
async fn a_stream_that_is_open_does_not_rest() {
    let server = server().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let mut stream = client.open("GET", &[], "").await.into_body();
    a_while().await;
    server.harbour.change();
    assert!(soon(next_event(&mut stream)).await.is_some());
}

#[tokio::test]
async fn a_call_that_takes_long_is_answered() {
    let server = server().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hold"}});
    let (answer, ()) = tokio::join!(client.post(&call), async {
        a_while().await;
        server.harbour.release();
    });
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test]
async fn a_server_that_stops_does_not_wait_for_connections_that_rest() {
    let server = server().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    a_while().await;
    server.shutdown.cancel();
    soon(server.running).await.expect("it stopped");
}

#[tokio::test]
async fn a_connection_that_rests_too_long_is_closed() {
    let settings = HttpSettings {
        rest_after: Duration::from_millis(5),
        head_wait: Duration::from_millis(60),
        ..HttpSettings::default()
    };
    let server = Server::start(settings).await;
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    let mut buffer = [0; 16];
    assert_eq!(soon(stream.read(&mut buffer)).await.expect("read"), 0);
}

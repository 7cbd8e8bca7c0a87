//! The port of this machine to which a browser comes back (RFC 8252, sections 7.3 and 8.3).
//!
//! It reads the first line of a request and no more. Whether a request is the answer that is waited
//! for, its caller decides.
//!
//! Invariant: it is open on 127.0.0.1 alone, and as long as a log-in is waited for.

use std::io;
use std::time::Duration;

use quaymaster_control::identity::Returned;
use quaymaster_operations::console::Form;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Most bytes of the head of a request.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// How long one exchange may take.
const EXCHANGE: Duration = Duration::from_secs(5);
const PATH: &str = "/callback";

/// An open port.
#[derive(Debug)]
pub(super) struct Loopback {
    listener: TcpListener,
    port: u16,
}

/// What a browser brought.
#[derive(Debug)]
pub(super) struct Answer {
    stream: TcpStream,
    query: Form,
}

impl Loopback {
    /// Opens a port that the system chooses.
    pub(super) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// Where the browser comes back to.
    pub(super) fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// The next request for [`Loopback::redirect_uri`]. Others are answered here.
    pub(super) async fn answer(&mut self) -> io::Result<Answer> {
        loop {
            let (mut stream, _) = self.listener.accept().await?;
            let Ok(Some(target)) = timeout(EXCHANGE, target(&mut stream)).await else { continue };
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            if path == PATH {
                return Ok(Answer { stream, query: Form::parse(query) });
            }
            say(&mut stream, "404 Not Found", "There is no such page.").await;
        }
    }
}

impl Answer {
    /// Of which log-in it says to be.
    pub(super) fn state(&self) -> Option<&str> {
        self.query.once("state")
    }

    /// All that it says.
    pub(super) fn returned(&self) -> Returned<'_> {
        let query = &self.query;
        Returned {
            state: query.once("state"),
            code: query.once("code"),
            issuer: query.once("iss"),
            error: query.once("error"),
        }
    }

    /// Tells whoever sits before the browser that it counts.
    pub(super) async fn accept(mut self, text: &str) {
        say(&mut self.stream, "200 OK", text).await;
    }

    /// Tells them that it does not.
    pub(super) async fn refuse(mut self, text: &str) {
        say(&mut self.stream, "400 Bad Request", text).await;
    }
}

/// The target of a GET request, whose head was read to its end; none if it is none.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if bytes.len() > MAX_HEAD_BYTES || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(bytes).ok()?;
    let mut line = head.lines().next()?.split(' ');
    let is_get = line.next() == Some("GET");
    let target = line.next().filter(|_| is_get);
    target.map(ToOwned::to_owned)
}

/// Answers with a line of text, which no browser takes for anything else.
async fn say(stream: &mut TcpStream, status: &str, text: &str) {
    let length = text.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n\
         cache-control: no-store\r\nreferrer-policy: no-referrer\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{text}\n"
    );
    // A browser that went away is told nothing.
    let _ = timeout(EXCHANGE, async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn knock(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        text
    }

    #[tokio::test]
    async fn whatever_knocks_the_answer_is_found_and_parameters_that_stand_twice_are_none() {
        let mut loopback = Loopback::open().await.expect("a port");
        let port = loopback.port;
        assert_eq!(loopback.redirect_uri(), format!("http://127.0.0.1:{port}/callback"));
        let browser = tokio::spawn(async move {
            let others = [
                knock(port, "GET /favicon.ico HTTP/1.1\r\n\r\n").await,
                knock(port, "POST /callback?state=s HTTP/1.1\r\n\r\n").await,
                knock(port, "nonsense\r\n\r\n").await,
            ];
            let target = "/callback?state=s%2D1&code=c&iss=http%3A%2F%2Fa.test&code=d";
            (others, knock(port, &format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n")).await)
        });
        let answer = loopback.answer().await.expect("an answer");
        assert_eq!(answer.state(), Some("s-1"));
        let Returned { code, issuer, error, .. } = answer.returned();
        assert_eq!((code, issuer, error), (None, Some("http://a.test"), None));
        answer.accept("Done.").await;
        let (others, answer) = browser.await.expect("a browser");
        assert!(others[0].starts_with("HTTP/1.1 404"), "{}", others[0]);
        assert_eq!([&others[1], &others[2]], ["", ""]);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nDone.\n"), "{answer}");
    }
}

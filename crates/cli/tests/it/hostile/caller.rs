//! A client that says over HTTP what it is told to, by hand.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// How long any answer may take. Nothing is said of how long it does take.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// What [`Caller::call`] says of a response that no reader with a limit for depth takes.
pub(super) const UNREADABLE: &str = "nested too deep for a client";

/// Somebody with a token.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) address: String,
    pub(super) token: String,
}

/// A response that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) text: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) =
            text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other(format!("cut: {text}")))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {head}")))?;
        Ok(Self { status, head: head.to_owned(), text: body.to_owned() })
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The message that is the body, or the last of its events; null if there is none.
    pub(super) fn message(&self) -> Value {
        let mut events = self.text.lines().filter_map(|line| line.strip_prefix("data: {"));
        match events.next_back() {
            Some(event) => serde_json::from_str(&format!("{{{event}")).unwrap_or_default(),
            None => serde_json::from_str(&self.text).unwrap_or_default(),
        }
    }
}

/// What became of a call: nothing for an answer, or the code of the failure.
pub(super) fn code(message: &Value) -> String {
    let places = ["/result/structuredContent/error/code", "/error/data/code"];
    let code = places.iter().find_map(|place| message.pointer(place)?.as_str());
    match (code, message.get("result")) {
        (Some(code), _) => code.to_owned(),
        (None, Some(_)) => String::new(),
        (None, None) => message.to_string(),
    }
}

/// The parameters of a request of 2026-07-28.
pub(super) fn modern(mut params: Value) -> Value {
    let meta = [
        ("io.modelcontextprotocol/protocolVersion", json!("2026-07-28")),
        ("io.modelcontextprotocol/clientInfo", json!({"name": "hostile", "version": "1"})),
        ("io.modelcontextprotocol/clientCapabilities", json!({})),
    ];
    for (name, value) in meta {
        if params["_meta"].get(name).is_none() {
            params["_meta"][name] = value;
        }
    }
    params
}

impl Caller {
    /// The text of a request, with these headers besides the usual ones.
    pub(super) fn request(&self, verb: &str, headers: &[(&str, &str)], body: &str) -> String {
        let headers: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = headers.concat();
        format!(
            "{verb} /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len(),
        )
    }

    /// The text of a request of 2026-07-28.
    pub(super) fn modern_request(&self, id: u64, method: &str, params: Value) -> String {
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": modern(params)});
        let mut headers = vec![("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
        if !name.is_empty() {
            headers.push(("Mcp-Name", name.as_str()));
        }
        self.request("POST", &headers, &body.to_string())
    }

    /// A connection with a limit for every wait.
    pub(super) fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends a request on a connection of its own and reads all of the response.
    pub(super) fn send(&self, request: &str) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        stream.write_all(request.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        Answer::parse(&bytes)
    }

    /// Makes a request of 2026-07-28.
    pub(super) fn ask(&self, method: &str, params: Value) -> io::Result<Answer> {
        self.send(&self.modern_request(1, method, params))
    }

    /// What becomes of a call; see [`code`].
    pub(super) fn call(&self, tool: &str, arguments: &Value) -> String {
        match self.ask("tools/call", json!({"name": tool, "arguments": arguments})) {
            Ok(answer) if answer.status == 200 && answer.message().is_null() => UNREADABLE.to_owned(),
            Ok(answer) => code(&answer.message()),
            Err(error) => format!("no answer: {error}"),
        }
    }

    /// The names of the tools, and the servers that are not up with their states.
    pub(super) fn list(&self) -> (Vec<String>, Vec<(String, String)>) {
        let message = self.ask("tools/list", json!({})).expect("an answer").message();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tools = message["result"]["tools"].as_array().expect("tools");
        let missing = message["result"]["_meta"]["com.quaymaster/missingUpstreams"].as_array();
        (
            tools.iter().map(|tool| text(&tool["name"])).collect(),
            missing.into_iter().flatten().map(|m| (text(&m["name"]), text(&m["state"]))).collect(),
        )
    }
}

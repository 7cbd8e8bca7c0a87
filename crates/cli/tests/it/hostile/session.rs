//! A legacy client's session, by hand.

use std::io::{self, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::caller::{Answer, Caller};

/// A session that was opened.
pub(super) struct Session {
    pub(super) caller: Caller,
    pub(super) id: String,
}

/// The text of the request that opens a session.
pub(super) fn opening(caller: &Caller) -> String {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "hostile", "version": "1"}
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    caller.request("POST", &[], &body.to_string())
}

impl Session {
    pub(super) fn open(caller: &Caller) -> Self {
        let answer = caller.send(&opening(caller)).expect("an answer");
        let id = answer.header("mcp-session-id").unwrap_or_else(|| panic!("no session: {answer:?}"));
        Self { caller: caller.clone(), id: id.to_owned() }
    }

    /// The same session in the hands of somebody else.
    pub(super) fn stolen_by(&self, thief: &Caller) -> Self {
        Self { caller: thief.clone(), id: self.id.clone() }
    }

    /// The text of a request in the session.
    pub(super) fn request(&self, verb: &str, body: &str) -> String {
        let headers = [("Mcp-Session-Id", self.id.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
        self.caller.request(verb, &headers, body)
    }

    pub(super) fn send(&self, verb: &str, body: &Value) -> io::Result<Answer> {
        self.caller.send(&self.request(verb, &body.to_string()))
    }

    /// The text of a call.
    pub(super) fn call(&self, id: u64, tool: &str, arguments: &Value) -> String {
        let params = json!({"name": tool, "arguments": arguments});
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        self.request("POST", &body.to_string())
    }

    /// Sends a call and waits for no answer. The connection stays open for as long as it is held.
    pub(super) fn begin(&self, id: u64, tool: &str) -> TcpStream {
        let mut stream = self.caller.connect().expect("a connection");
        stream.write_all(self.call(id, tool, &json!({})).as_bytes()).expect("sent");
        stream
    }

    pub(super) fn end(&self) -> u16 {
        self.caller.send(&self.request("DELETE", "")).expect("an answer").status
    }
}

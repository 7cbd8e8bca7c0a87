//! MCP as the ticketing system speaks it: both eras over one connection.
//!
//! A request whose `_meta` names a protocol version is of the stateless era
//! (2026-07-28); without one it belongs to the connection that `initialize`
//! opened (2024-11-05 to 2025-11-25). Messages are answered one after the
//! other, so a cancellation always comes too late to stop anything and is
//! taken without an answer, as the specification allows (basic/utilities/cancellation).

use quaymaster_core::rpc::{self, Message, RequestId, code};
use quaymaster_core::{Raw, json};
use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::tools::{self, ToolError};

const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const NEWEST_LEGACY: &str = "2025-11-25";

const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

const INSTRUCTIONS: &str =
    "The support desk of the demo company. Search tickets before you escalate anything.";
/// How long a client may keep the list of tools, which changes only with the binary.
const LIST_TTL_MS: u64 = 300_000;

/// One connection.
#[derive(Debug)]
pub(super) struct Server {
    desk: Desk,
    initialized: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Era {
    Legacy,
    Modern,
}

/// A JSON-RPC error in the making.
#[derive(Debug)]
struct Refusal {
    code: i64,
    message: String,
    extra: Option<Value>,
}

impl Refusal {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), extra: None }
    }

    fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, message)
    }
}

impl Server {
    /// A connection to `desk` on which nothing has been said.
    pub(super) fn new(desk: Desk) -> Self {
        Self { desk, initialized: false }
    }

    /// The messages that answer one line, in the order in which to send them.
    pub(super) fn answer(&mut self, line: &[u8]) -> Vec<String> {
        match rpc::parse(line) {
            Ok(Message::Request { id, method, params }) => self.request(&id, &method, params),
            // A call without an id could not be answered, so it is not done either.
            Ok(Message::Notification { .. } | Message::Response { .. }) => vec![],
            Err(error) => vec![error.to_json()],
        }
    }

    fn request(&mut self, id: &RequestId, method: &str, params: Option<Raw<'_>>) -> Vec<String> {
        let mut messages = Vec::new();
        let outcome = read_params(params).and_then(|params| self.dispatch(method, &params, &mut messages));
        messages.push(match outcome {
            Ok(result) => rpc::response(id, &result.to_string()),
            Err(refusal) => {
                rpc::error_response(Some(id), refusal.code, &refusal.message, refusal.extra.as_ref())
            }
        });
        messages
    }

    fn dispatch(
        &mut self,
        method: &str,
        params: &Map<String, Value>,
        messages: &mut Vec<String>,
    ) -> Result<Value, Refusal> {
        let era = self.era(method, params)?;
        let result = match (era, method) {
            (Era::Legacy, "initialize") => self.initialize(params)?,
            (Era::Legacy, "ping") => json!({}),
            (Era::Modern, "server/discover") => discover(),
            (_, "tools/list") => list(era, params)?,
            (_, "tools/call") => self.call(params, messages)?,
            _ => {
                return Err(Refusal::new(
                    code::METHOD_NOT_FOUND,
                    "no such method: this server has tools only",
                ));
            }
        };
        Ok(if era == Era::Modern { complete(result) } else { result })
    }

    fn era(&self, method: &str, params: &Map<String, Value>) -> Result<Era, Refusal> {
        let meta = params.get("_meta");
        match meta.and_then(|meta| meta.get(PROTOCOL_VERSION)) {
            Some(Value::String(version)) if version == MODERN => {
                if meta.and_then(|meta| meta.get(CLIENT_CAPABILITIES)).is_some_and(Value::is_object) {
                    return Ok(Era::Modern);
                }
                Err(Refusal::invalid_params(format!("`_meta` must hold `{CLIENT_CAPABILITIES}`, an object")))
            }
            Some(Value::String(version)) => Err(Refusal {
                extra: Some(json!({"supported": supported(), "requested": version})),
                ..Refusal::new(code::UNSUPPORTED_PROTOCOL_VERSION, "unsupported protocol version")
            }),
            Some(_) => Err(Refusal::invalid_params(format!("`{PROTOCOL_VERSION}` must be a string"))),
            None if self.initialized || matches!(method, "initialize" | "ping") => Ok(Era::Legacy),
            None => Err(Refusal::invalid_params(format!(
                "`_meta` must hold `{PROTOCOL_VERSION}`, or `initialize` must come first"
            ))),
        }
    }

    fn initialize(&mut self, params: &Map<String, Value>) -> Result<Value, Refusal> {
        let Some(requested) = params.get("protocolVersion").and_then(Value::as_str) else {
            return Err(Refusal::invalid_params("`protocolVersion` must be a string such as \"2025-11-25\""));
        };
        self.initialized = true;
        let version = LEGACY.into_iter().find(|version| *version == requested).unwrap_or(NEWEST_LEGACY);
        Ok(json!({
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": server_info(),
            "instructions": INSTRUCTIONS
        }))
    }

    fn call(&mut self, params: &Map<String, Value>, messages: &mut Vec<String>) -> Result<Value, Refusal> {
        let Some(name) = params.get("name").and_then(Value::as_str) else {
            return Err(Refusal::invalid_params("`name` must be a string: the name of a tool"));
        };
        let Some(tool) = tools::find(name) else {
            return Err(Refusal::invalid_params("unknown tool: see tools/list"));
        };
        let none = Map::new();
        let arguments = match params.get("arguments") {
            None => &none,
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return Err(Refusal::invalid_params("`arguments` must be an object")),
        };
        let progress = progress_token(params)?.filter(|_| tool.reports_progress());
        match tool.call(&mut self.desk, arguments) {
            Ok(result) => {
                messages.extend(progress.map(|token| all_searched(&token)));
                let text = result.to_string();
                Ok(json!({
                    "content": [{"type": "text", "text": text}],
                    "structuredContent": result,
                    "isError": false
                }))
            }
            Err(ToolError::Refused(message)) => {
                Ok(json!({"content": [{"type": "text", "text": message}], "isError": true}))
            }
            Err(ToolError::Broken(error)) => {
                Err(Refusal::new(code::INTERNAL_ERROR, format!("the desk's database failed: {error}")))
            }
        }
    }
}

/// Reads parameters with no room for two readings.
fn read_params(params: Option<Raw<'_>>) -> Result<Map<String, Value>, Refusal> {
    let Some(raw) = params else { return Ok(Map::new()) };
    match json::parse_strict(raw.get()) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(Refusal::invalid_params("`params` must be an object")),
        Err(error) => Err(Refusal::invalid_params(format!("`params` cannot be read: {error}"))),
    }
}

fn discover() -> Value {
    json!({
        "supportedVersions": supported(),
        "capabilities": {"tools": {}},
        "instructions": INSTRUCTIONS,
        "ttlMs": LIST_TTL_MS,
        "cacheScope": "public"
    })
}

fn list(era: Era, params: &Map<String, Value>) -> Result<Value, Refusal> {
    if params.contains_key("cursor") {
        return Err(Refusal::invalid_params("`cursor` is unknown: the list has one page, ask without it"));
    }
    let tools = tools::definitions();
    Ok(match era {
        Era::Legacy => json!({"tools": tools}),
        Era::Modern => json!({"tools": tools, "ttlMs": LIST_TTL_MS, "cacheScope": "public"}),
    })
}

/// Adds what every result of the stateless era has (2026-07-28, basic).
fn complete(result: Value) -> Value {
    let mut complete = Map::new();
    complete.insert("resultType".into(), "complete".into());
    if let Value::Object(members) = result {
        complete.extend(members);
    }
    complete.insert("_meta".into(), json!({SERVER_INFO: server_info()}));
    Value::Object(complete)
}

fn supported() -> Vec<&'static str> {
    std::iter::once(MODERN).chain(LEGACY.into_iter().rev()).collect()
}

fn server_info() -> Value {
    json!({"name": "quaymaster-demo-ticketing", "title": "Demo support desk", "version": env!("CARGO_PKG_VERSION")})
}

fn progress_token(params: &Map<String, Value>) -> Result<Option<Value>, Refusal> {
    match params.get("_meta").and_then(|meta| meta.get("progressToken")) {
        None => Ok(None),
        Some(token) if token.is_string() || token.is_i64() || token.is_u64() => Ok(Some(token.clone())),
        Some(_) => Err(Refusal::invalid_params("`progressToken` must be a string or an integer")),
    }
}

fn all_searched(token: &Value) -> String {
    let params =
        json!({"progressToken": token, "progress": 1, "total": 1, "message": "all tickets searched"});
    rpc::notification("notifications/progress", &params.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> (tempfile::TempDir, Server) {
        let folder = tempfile::tempdir().expect("a folder");
        let desk = Desk::open(folder.path()).expect("a desk");
        (folder, Server::new(desk))
    }

    fn ask(server: &mut Server, method: &str, params: &Value) -> Vec<Value> {
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        server.answer(line.as_bytes()).iter().map(|m| serde_json::from_str(m).expect("JSON")).collect()
    }

    fn modern(mut params: Value) -> Value {
        params["_meta"][PROTOCOL_VERSION] = MODERN.into();
        params["_meta"][CLIENT_CAPABILITIES] = json!({});
        params
    }

    #[test]
    fn a_legacy_client_is_answered_in_its_own_revision() {
        for version in LEGACY {
            let (_folder, mut server) = server();
            let answer =
                ask(&mut server, "initialize", &json!({"protocolVersion": version, "capabilities": {}}));
            assert_eq!(answer[0]["result"]["protocolVersion"], version);
            let list = &ask(&mut server, "tools/list", &json!({}))[0]["result"];
            assert_eq!(list["tools"].as_array().map(Vec::len), Some(4));
            assert!(list.get("resultType").is_none() && list.get("ttlMs").is_none());
            assert_eq!(ask(&mut server, "ping", &json!({}))[0]["result"], json!({}));
        }
    }

    #[test]
    fn an_unknown_revision_is_answered_with_the_newest_of_that_era() {
        let (_folder, mut server) = server();
        for version in ["2026-07-28", "2019-01-01", "bogus"] {
            let answer = ask(&mut server, "initialize", &json!({"protocolVersion": version}));
            assert_eq!(answer[0]["result"]["protocolVersion"], NEWEST_LEGACY);
        }
    }

    #[test]
    fn a_modern_client_needs_no_greeting() {
        let (_folder, mut server) = server();
        let discovered = &ask(&mut server, "server/discover", &modern(json!({})))[0];
        let mut seen = discovered.clone();
        seen["result"]["_meta"][SERVER_INFO]["version"] = "[version]".into();
        insta::assert_snapshot!(format!("{seen:#}"));
        let list = &ask(&mut server, "tools/list", &modern(json!({})))[0]["result"];
        assert_eq!(
            (&list["resultType"], &list["ttlMs"], &list["cacheScope"]),
            (&json!("complete"), &json!(LIST_TTL_MS), &json!("public"))
        );
        let call = modern(json!({"name": "search_tickets", "arguments": {"limit": 1}}));
        assert_eq!(ask(&mut server, "tools/call", &call)[0]["result"]["resultType"], "complete");
    }

    #[test]
    fn methods_of_the_other_era_do_not_exist() {
        let (_folder, mut server) = server();
        for method in ["ping", "initialize", "logging/setLevel", "resources/list"] {
            let answer = &ask(&mut server, method, &modern(json!({"protocolVersion": "2025-11-25"})))[0];
            assert_eq!(answer["error"]["code"], code::METHOD_NOT_FOUND, "{method}");
        }
        ask(&mut server, "initialize", &json!({"protocolVersion": "2025-11-25"}));
        for method in ["server/discover", "subscriptions/listen", "prompts/list"] {
            let answer = &ask(&mut server, method, &json!({}))[0];
            assert_eq!(answer["error"]["code"], code::METHOD_NOT_FOUND, "{method}");
        }
    }

    #[test]
    fn bad_requests_are_refused_with_what_would_be_right() {
        let (_folder, mut server) = server();
        let version = |version: Value| json!({"_meta": {PROTOCOL_VERSION: version}});
        let cases = [
            ("tools/list", json!({})),
            ("server/discover", json!({})),
            ("server/discover", version(json!(MODERN))),
            ("server/discover", version(json!("2027-01-01"))),
            ("server/discover", version(json!(5))),
            ("initialize", json!({})),
            ("initialize", json!({"protocolVersion": 5})),
            ("tools/list", modern(json!({"cursor": "x"}))),
            ("tools/call", modern(json!({}))),
            ("tools/call", modern(json!({"name": 5}))),
            ("tools/call", modern(json!({"name": "drop_tickets"}))),
            ("tools/call", modern(json!({"name": "get_ticket", "arguments": []}))),
            ("tools/call", modern(json!({"name": "get_ticket", "arguments": null}))),
            (
                "tools/call",
                modern(json!({"name": "get_ticket", "arguments": {}, "_meta": {"progressToken": []}})),
            ),
            ("tools/call", modern(json!({"name": "get_ticket"}))),
            ("tools/call", modern(json!({"name": "get_ticket", "arguments": {"ticket_id": 7, "x": 1}}))),
        ];
        let report: Vec<String> = cases
            .iter()
            .map(|(method, params)| {
                let answer = &ask(&mut server, method, params)[0];
                let said = answer.get("error").unwrap_or(&answer["result"]);
                let mut said = said.clone();
                if let Some(said) = said.as_object_mut() {
                    said.remove("_meta");
                }
                format!("{method} {params}\n    {said}")
            })
            .collect();
        insta::assert_snapshot!(report.join("\n"));
    }

    #[test]
    fn parameters_with_two_readings_are_refused() {
        let (_folder, mut server) = server();
        let line =
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_ticket","name":"x"}}"#;
        let answer: Value = serde_json::from_str(&server.answer(line)[0]).expect("JSON");
        assert_eq!(answer["error"]["code"], code::INVALID_PARAMS);
        assert_eq!(answer["id"], 1);
    }

    #[test]
    fn a_search_reports_progress_to_whoever_asks_for_it_before_the_answer() {
        let (_folder, mut server) = server();
        for token in [json!("t"), json!(0)] {
            let params = modern(json!({"name": "search_tickets", "_meta": {"progressToken": token}}));
            let messages = ask(&mut server, "tools/call", &params);
            assert_eq!(messages.len(), 2);
            assert_eq!(messages[0]["method"], "notifications/progress");
            assert_eq!(messages[0]["params"]["progressToken"], token);
            assert_eq!(messages[1]["id"], 1);
        }
        let quiet = modern(json!({"name": "list_escalations", "_meta": {"progressToken": "t"}}));
        assert_eq!(ask(&mut server, "tools/call", &quiet).len(), 1);
    }

    #[test]
    fn the_text_beside_a_structured_result_says_the_same() {
        let (_folder, mut server) = server();
        let params = modern(json!({"name": "get_ticket", "arguments": {"ticket_id": "TCK-00001"}}));
        let result = &ask(&mut server, "tools/call", &params)[0]["result"];
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), result["structuredContent"]);
    }
}

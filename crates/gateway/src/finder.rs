//! The tools that are Quaymaster's own. `await_approval` waits for an agreement (`approvals`);
//! `find_tools` and `call_tool` are the way to tools that are too many to list.
//!
//! Where a caller may see more tools than its workspace lists, `tools/list` gives
//! these two instead. Finding is listing by other means: it answers from what the
//! caller may see and calls nothing, so like `tools/list` it leaves no record.
//! Calling is turned into a call of the tool that it names *before* the path of a
//! call begins, so policy, approval, audit and release are those of that tool, and
//! nothing on the path knows how the tool was named. How tools are ranked is in
//! `quaymaster_catalog::search`.
//!
//! Invariants:
//! - For whom the search is off, the two names are names like any that no tool has.
//! - Whoever may see no tool is not told that there is a search.
//! - On the route of one connector there is none.
//! - What is asked for wrongly is refused and recorded like any other call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quaymaster_catalog::own::{AWAIT_APPROVAL, MAX_WAIT_SECONDS};
use quaymaster_catalog::search::{
    CALL_TOOL, DEFAULT_FOUND, Found, Hit, MAX_FOUND, MAX_QUERY_BYTES, Query, is_reserved,
};
use quaymaster_catalog::{Tool, View};
use quaymaster_control::Refused;
use quaymaster_core::{
    Actor, Arguments, CallError, CallRequest, Caller, Effect, ErrorCode, Kind, Reach, Reply, Status,
    Workspace,
};
use serde_json::{Map, Value, json};

use crate::approvals::Awaited;
use crate::config::{CatalogueConfig, Loaded, SearchMode};
use crate::plane::Plane;

/// Most bytes of definitions in one answer. The best tool is given whatever its size,
/// which its connector bounds: without its schema it could not be called.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Most bytes of a name that could still be a tool's.
const MAX_NAME_BYTES: usize = 256;

/// Most systems that are named where nothing was found.
const MAX_SYSTEMS: usize = 50;

/// What an answer gives of a tool's definition.
const SHOWN: [&str; 5] = ["name", "title", "description", "inputSchema", "annotations"];

/// Who searches, and what is listed nevertheless.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    by_workspace: BTreeMap<Workspace, CatalogueConfig>,
    pinned: BTreeSet<String>,
}

impl Finding {
    /// As `loaded` has it.
    pub(crate) fn of(loaded: &Loaded) -> Self {
        let workspaces = &loaded.settings.workspaces;
        Self {
            by_workspace: workspaces.iter().map(|(name, config)| (name.clone(), config.catalogue)).collect(),
            pinned: loaded.connectors.iter().flat_map(|c| c.connector.pinned_names()).collect(),
        }
    }

    /// Whether `actor`, who sees `view`, searches instead of listing.
    fn is_on(&self, actor: &Actor, view: &View) -> bool {
        let seen = view.tools().count();
        let Some(config) = self.by_workspace.get(&actor.workspace) else { return false };
        seen > 0
            && match config.search {
                SearchMode::Always => true,
                SearchMode::Never => false,
                SearchMode::Auto => u32::try_from(seen).unwrap_or(u32::MAX) > config.above,
            }
    }

    /// The list of tools for `actor`, who sees `view`, if they search: a JSON array of `Tool` objects.
    pub(crate) fn short_listing(&self, actor: &Actor, view: &View) -> Option<Arc<str>> {
        let is_pinned = |tool: &Tool| self.pinned.contains(tool.name().as_str());
        self.is_on(actor, view).then(|| view.short_listing(is_pinned))
    }

    /// Most objects of a list that are sent at once in `workspace`.
    pub(crate) fn page_size(&self, workspace: &Workspace) -> usize {
        let config = self.by_workspace.get(workspace).copied().unwrap_or_default();
        usize::try_from(config.page_size.get()).unwrap_or(usize::MAX)
    }
}

/// What a request comes to before the path of a call begins.
pub(crate) enum Met {
    /// A call of a tool.
    Call(CallRequest),
    /// A call of the tool that waits for an agreement.
    Waiting(CallRequest, Awaited),
    /// An answer.
    Found(Reply),
    /// A refusal, which is still to be closed.
    Refused(Refused),
}

/// Looks whether a request is for one of the two tools.
pub(crate) fn meet(plane: &Plane, request: CallRequest) -> Met {
    if request.kind != Kind::Tool || !is_reserved(&request.tool) {
        return Met::Call(request);
    }
    let view = plane.reached(&request.actor, &request.reach);
    if request.tool == AWAIT_APPROVAL && view.awaits() {
        return match awaited(&request.arguments) {
            Ok(awaited) => Met::Waiting(request, awaited),
            Err(error) => Met::Refused(Refused::at_the_door(request, error)),
        };
    }
    if request.reach != Reach::All
        || request.tool == AWAIT_APPROVAL
        || !plane.finding.is_on(&request.actor, &view)
    {
        return Met::Call(request);
    }
    let met = match request.tool.as_str() {
        CALL_TOOL => named_call(&request)
            .map(|(tool, arguments)| Met::Call(CallRequest { tool, arguments, ..request.clone() })),
        _ => asked(&request.arguments).map(|query| Met::Found(answer(&request, &view, query))),
    };
    met.unwrap_or_else(|error| Met::Refused(Refused::at_the_door(request, error)))
}

/// What a call of the tool `name` would do, if `caller` may see it; of a call by name, the tool that it names.
pub(crate) fn meant(plane: &Plane, caller: &Caller, name: &str, arguments: &Value) -> Option<Effect> {
    let view = plane.reached(caller, &caller.reach);
    let named = match name {
        CALL_TOOL if caller.reach == Reach::All => arguments.get("name").and_then(Value::as_str),
        _ => None,
    };
    let tool = view.tool(name).or_else(|| named.and_then(|named| view.tool(named)));
    tool.map(|tool| tool.declaration().effect)
}

fn invalid(message: impl Into<String>, hint: &str) -> CallError {
    CallError::new(ErrorCode::InputInvalid, message).hint(hint)
}

/// The members of arguments of which only `names` are known.
fn members<'a>(
    arguments: &'a Arguments,
    names: &[&str],
    hint: &str,
) -> Result<&'a Map<String, Value>, CallError> {
    let members = arguments.value().as_object();
    let members = members.ok_or_else(|| invalid("`arguments` must be an object", hint))?;
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        Some(unknown) => {
            let shown: String = unknown.chars().take(64).flat_map(char::escape_debug).collect();
            Err(invalid(format!("unknown argument `{shown}`"), hint))
        }
        None => Ok(members),
    }
}

/// Which request an `await_approval` waits for, and how long.
fn awaited(arguments: &Arguments) -> Result<Awaited, CallError> {
    const HINT: &str = "send `id`, as your call answered it in `approval.id`, and if you like `wait_seconds`";
    let members = members(arguments, &["id", "wait_seconds"], HINT)?;
    let id = members.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let id = id.ok_or_else(|| invalid("`id` must be the id of a request, such as `apr_019a…`", HINT))?;
    let seconds = match members.get("wait_seconds").map(Value::as_u64) {
        None => MAX_WAIT_SECONDS,
        Some(seconds) => seconds.filter(|seconds| *seconds <= MAX_WAIT_SECONDS).ok_or_else(|| {
            invalid(format!("`wait_seconds` must be an integer from 0 to {MAX_WAIT_SECONDS}"), HINT)
        })?,
    };
    Ok(Awaited::new(id, Duration::from_secs(seconds)))
}

/// The tool that a `call_tool` names, and its arguments.
fn named_call(request: &CallRequest) -> Result<(String, Arguments), CallError> {
    const HINT: &str = "send `name`, a tool's name, and `arguments`, an object that fits its `inputSchema`";
    let members = members(&request.arguments, &["name", "arguments"], HINT)?;
    let name = match members.get("name") {
        Some(Value::String(name)) => name,
        Some(_) => return Err(invalid("`name` must be a string", HINT)),
        None => return Err(invalid("`name` is missing", HINT)),
    };
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        let message = format!("`name` must be 1 to {MAX_NAME_BYTES} bytes without control characters");
        return Err(invalid(message, HINT));
    }
    if is_reserved(name) {
        let message = format!("`{CALL_TOOL}` cannot call `{name}`");
        return Err(invalid(message, "send the name of a tool that `find_tools` gave"));
    }
    let arguments = match members.get("arguments") {
        Some(Value::Object(arguments)) => Arguments::from_map(arguments.clone()),
        Some(_) => return Err(invalid("`arguments` must be an object", HINT)),
        None => Arguments::default(),
    };
    Ok((name.clone(), arguments))
}

/// What a `find_tools` asks for.
fn asked(arguments: &Arguments) -> Result<Query<'_>, CallError> {
    const HINT: &str = "send `query`, a few words, and if you like `limit` and `connector`";
    let members = members(arguments, &["query", "limit", "connector"], HINT)?;
    let text = match members.get("query") {
        Some(Value::String(text)) => text.as_str(),
        Some(_) => return Err(invalid("`query` must be a string", HINT)),
        None => return Err(invalid("`query` is missing", HINT)),
    };
    if text.trim().is_empty() || text.len() > MAX_QUERY_BYTES {
        return Err(invalid(
            format!("`query` must be 1 to {MAX_QUERY_BYTES} bytes that are not blank"),
            HINT,
        ));
    }
    let limit = match members.get("limit").map(Value::as_u64) {
        None => DEFAULT_FOUND,
        Some(limit) => limit
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| (1..=MAX_FOUND).contains(limit))
            .ok_or_else(|| invalid(format!("`limit` must be an integer from 1 to {MAX_FOUND}"), HINT))?,
    };
    let connector = match members.get("connector") {
        None => None,
        Some(Value::String(connector)) => Some(connector.as_str()),
        Some(_) => return Err(invalid("`connector` must be a string", HINT)),
    };
    Ok(Query { text, connector, limit })
}

/// The answer to a search; an MCP `CallToolResult` as any other tool's.
fn answer(request: &CallRequest, view: &View, query: Query<'_>) -> Reply {
    let structured = found(&view.search(query), view);
    let text = structured.to_string();
    let result = json!({
        "content": [{"type": "text", "text": text}],
        "structuredContent": structured,
        "isError": false,
    });
    Reply {
        parked: None,
        keeping: quaymaster_core::Keeping::default(),
        required: None,
        labels: vec![],
        audit_id: request.id.clone(),
        status: Status::Success,
        code: None,
        message: None,
        result: result.to_string(),
    }
}

fn found(found: &Found, view: &View) -> Value {
    let mut tools: Vec<Value> = Vec::new();
    let mut size_bytes = 0;
    for hit in &found.hits {
        let shown = shown(hit);
        size_bytes += shown.to_string().len();
        if size_bytes > MAX_ANSWER_BYTES && !tools.is_empty() {
            break;
        }
        tools.push(shown);
    }
    let left_out = found.hits.len() - tools.len();
    let total = Value::from(found.total);
    let mut answer = Map::from_iter([("tools".to_owned(), Value::from(tools)), ("total".to_owned(), total)]);
    if left_out > 0 {
        answer.insert("leftOut".into(), left_out.into());
    }
    if found.total == 0 {
        answer.insert("connectors".into(), systems(view));
    }
    Value::Object(answer)
}

fn shown(hit: &Hit) -> Value {
    let definition: Map<String, Value> = serde_json::from_str(hit.tool.listing()).unwrap_or_default();
    let mut shown: Map<String, Value> =
        definition.into_iter().filter(|(name, _)| SHOWN.contains(&name.as_str())).collect();
    shown.insert("score".into(), json!((hit.score * 100.0).round() / 100.0));
    Value::Object(shown)
}

/// What there is to search in, for whom other words are to be found.
fn systems(view: &View) -> Value {
    let mut systems: BTreeMap<&str, u64> = BTreeMap::new();
    for tool in view.tools() {
        *systems.entry(connector(tool)).or_default() += 1;
    }
    systems.into_iter().take(MAX_SYSTEMS).map(|(name, tools)| json!({"name": name, "tools": tools})).collect()
}

fn connector(tool: &Tool) -> &str {
    tool.declaration().connector.as_str()
}

#[cfg(test)]
mod tests {
    use quaymaster_core::Raw;

    use super::*;

    fn query(arguments: &str) -> String {
        let arguments = Arguments::parse(Some(Raw::read(arguments).expect("JSON"))).expect("an object");
        let told = asked(&arguments).map(|query| format!("{query:?}"));
        told.unwrap_or_else(|error| error.public_message)
    }

    #[test]
    fn a_search_is_read_strictly() {
        let long = format!(r#"{{"query":"{}"}}"#, "a".repeat(MAX_QUERY_BYTES + 1));
        let cases = [
            r#"{"query":"tickets"}"#,
            r#"{"query":"tickets","limit":20,"connector":"desk"}"#,
            "{}",
            r#"{"query":7}"#,
            r#"{"query":"  "}"#,
            r#"{"query":"a","limit":0}"#,
            r#"{"query":"a","limit":21}"#,
            r#"{"query":"a","limit":1.5}"#,
            r#"{"query":"a","limit":"5"}"#,
            r#"{"query":"a","limit":null}"#,
            r#"{"query":"a","connector":1}"#,
            r#"{"query":"a","workspace":"lab"}"#,
            &long,
        ];
        let report: Vec<String> = cases.iter().map(|c| format!("{:.60}\n    {}", c, query(c))).collect();
        insta::assert_snapshot!(report.join("\n"));
    }
}

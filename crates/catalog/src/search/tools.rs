//! The two tools that stand for all others: `find_tools` and `call_tool`.
//!
//! They are never in a catalogue: no connector may declare their names, no policy
//! speaks of them, and what they do for a caller is no more than the caller may
//! do without them.

use quaymaster_core::Effect;
use serde_json::{Value, json};

use super::{MAX_FOUND, MAX_QUERY_BYTES};
use crate::View;
use crate::own::AWAIT_APPROVAL;

/// The tool that looks for tools.
pub const FIND_TOOLS: &str = "find_tools";

/// The tool that calls a tool that was found.
pub const CALL_TOOL: &str = "call_tool";

/// How many tools a search gives unless it asks for another number.
pub const DEFAULT_FOUND: usize = 5;

/// Whether `name` is one that no connector may give to a tool.
pub fn is_reserved(name: &str) -> bool {
    matches!(name, FIND_TOOLS | CALL_TOOL | AWAIT_APPROVAL)
}

/// The `Tool` objects of both, in the order of their names, as JSON text.
pub(super) fn objects(view: &View) -> [String; 2] {
    [call_tool(view).to_string(), find_tools().to_string()]
}

fn find_tools() -> Value {
    json!({
        "name": FIND_TOOLS,
        "title": "Find tools",
        "description": "Most of the tools that you may use are not listed: look for them here. Say in a few words \
            what you want to do, such as `open support ticket`. Gives the best matches with their input schemas; \
            call one with `call_tool`.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": {
                    "type": "string",
                    "maxLength": MAX_QUERY_BYTES,
                    "description": "What the tool should do, or its name."
                },
                "limit": {"type": "integer", "minimum": 1, "maximum": MAX_FOUND, "default": DEFAULT_FOUND},
                "connector": {"type": "string", "description": "Only tools of this system."}
            },
            "required": ["query"],
            "additionalProperties": false
        },
        "annotations": {
            "title": "Find tools",
            "readOnlyHint": true,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false
        }
    })
}

/// Its hints are those of the strictest tool that this caller may see: a client
/// that asks before it writes must not be talked out of asking.
fn call_tool(view: &View) -> Value {
    let strictest = view.tools().map(|tool| tool.effect()).max().unwrap_or(Effect::Read);
    json!({
        "name": CALL_TOOL,
        "title": "Call a tool",
        "description": "Calls a tool that `find_tools` gave, by its name, with arguments that fit its \
            `inputSchema`. Rules, approvals and result are those of that tool.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "The tool's name, as `find_tools` gave it."},
                "arguments": {
                    "type": "object",
                    "additionalProperties": true,
                    "description": "The tool's arguments."
                }
            },
            "required": ["name"],
            "additionalProperties": false
        },
        "annotations": {
            "title": "Call a tool",
            "readOnlyHint": strictest == Effect::Read,
            "destructiveHint": strictest == Effect::Destructive,
            "idempotentHint": strictest == Effect::Read,
            "openWorldHint": false
        }
    })
}

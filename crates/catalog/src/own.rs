//! The tool by which an agent waits for an agreement: `await_approval`.
//!
//! Like `find_tools` and `call_tool` it is in no catalogue, and no policy speaks of it. Whoever may
//! call something that somebody may have to agree to is shown it; it tells whoever asked of their own
//! requests alone.

use serde_json::{Value, json};

/// The tool that waits until somebody has decided on a call.
pub const AWAIT_APPROVAL: &str = "await_approval";

/// Longest time that one call of it waits, in seconds: less than clients wait for an answer.
pub const MAX_WAIT_SECONDS: u64 = 50;

/// Its `Tool` object (MCP 2026-07-28, server/tools).
pub(crate) fn await_approval() -> Value {
    json!({
        "name": AWAIT_APPROVAL,
        "title": "Wait for an approval",
        "description": "Waits until somebody has decided on a call of yours that answered `requires_approval`, and \
            gives its result once it has run. If nobody has decided when the time is over, it says so: call it again \
            later. It decides nothing itself, and calling it more often does not make people faster.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "id": {
                    "type": "string",
                    "description": "The id of the request, as the call answered in `approval.id`."
                },
                "wait_seconds": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": MAX_WAIT_SECONDS,
                    "default": MAX_WAIT_SECONDS,
                    "description": "How long to wait at most."
                }
            },
            "required": ["id"],
            "additionalProperties": false
        },
        "annotations": {
            "title": "Wait for an approval",
            "readOnlyHint": true,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false
        }
    })
}

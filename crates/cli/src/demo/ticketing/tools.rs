//! The tools of the ticketing system: a flat table, and what each does.
//!
//! The table gives names, schemas and descriptions; the functions below it turn
//! checked arguments into a question to the `desk`. Framing and eras are in
//! `protocol`.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::desk::{Desk, Escalated, Filter, NewEscalation};
use super::parameter::{self, Checked, Form, Parameter};
use crate::demo::world::{SEVERITIES, STATUSES};

/// Why a tool did not do what was asked.
#[derive(Debug)]
pub(super) enum ToolError {
    /// The caller can put it right: what is wrong and what would be right.
    Refused(String),
    /// The desk failed.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for ToolError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error)
    }
}

/// One tool.
pub(super) struct Tool {
    pub(super) name: &'static str,
    title: &'static str,
    description: &'static str,
    writes: bool,
    parameters: &'static [Parameter],
    output: fn() -> Value,
    run: fn(&mut Desk, &Checked<'_>) -> Result<Value, ToolError>,
}

const ACCOUNT: Form = Form::Id { prefix: "ACC-", digits: 4 };
const LIMIT: Parameter = Parameter {
    name: "limit",
    required: false,
    description: "Most entries to return.",
    form: Form::Limit { max: 100, default: 20 },
};

const TOOLS: &[Tool] = &[
    Tool {
        name: "search_tickets",
        title: "Search tickets",
        description: "Finds support tickets by account, status and severity, newest first. Returns subjects only; \
                      use get_ticket for the whole ticket.",
        writes: false,
        parameters: &[
            Parameter {
                name: "account_id",
                required: false,
                description: "Tickets of this account, such as ACC-0042.",
                form: ACCOUNT,
            },
            Parameter {
                name: "status",
                required: false,
                description: "Tickets in this state.",
                form: Form::OneOf(&STATUSES),
            },
            Parameter {
                name: "severity",
                required: false,
                description: "Tickets of this severity.",
                form: Form::OneOf(&SEVERITIES),
            },
            LIMIT,
        ],
        output: || list_schema("tickets", &ticket_line_schema()),
        run: search_tickets,
    },
    Tool {
        name: "get_ticket",
        title: "Get a ticket",
        description: "Returns one support ticket with its description and the address of whoever reported it.",
        writes: false,
        parameters: &[Parameter {
            name: "ticket_id",
            required: true,
            description: "The ticket, such as TCK-00042.",
            form: Form::Id { prefix: "TCK-", digits: 5 },
        }],
        output: ticket_detail_schema,
        run: get_ticket,
    },
    Tool {
        name: "list_escalations",
        title: "List escalations",
        description: "Lists what was escalated, newest first, for one account or for all.",
        writes: false,
        parameters: &[
            Parameter {
                name: "account_id",
                required: false,
                description: "Escalations of this account, such as ACC-0042.",
                form: ACCOUNT,
            },
            LIMIT,
        ],
        output: || {
            list_schema("escalations", &object(&["escalation_id", "account_id", "severity", "summary"], &[]))
        },
        run: list_escalations,
    },
    Tool {
        name: "create_support_escalation",
        title: "Create a support escalation",
        description: "Opens one escalation for an account. People are told at once, so look with list_escalations \
                      first. Repeating a call with the same idempotency_key creates nothing new.",
        writes: true,
        parameters: &[
            Parameter {
                name: "account_id",
                required: true,
                description: "The account that has the problem, such as ACC-0042.",
                form: ACCOUNT,
            },
            Parameter {
                name: "severity",
                required: true,
                description: "How much the customer suffers; critical means that business stands still.",
                form: Form::OneOf(&SEVERITIES),
            },
            Parameter {
                name: "summary",
                required: true,
                description: "What is wrong and since when, in 10 to 1000 characters.",
                form: Form::Text { min: 10, max: 1_000 },
            },
            Parameter {
                name: "idempotency_key",
                required: true,
                description: "The same for repeats of one escalation, new for each new one.",
                form: Form::Text { min: 1, max: 200 },
            },
        ],
        output: || {
            let mut schema = object(&["escalation_id", "account_id", "severity", "summary"], &["repeated"]);
            insert(&mut schema, "properties", "repeated", json!({"type": "boolean"}));
            schema
        },
        run: create_support_escalation,
    },
];

/// The definitions of all tools, in a fixed order.
pub(super) fn definitions() -> Value {
    TOOLS
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name,
                "title": tool.title,
                "description": tool.description,
                "inputSchema": parameter::schema(tool.parameters),
                "outputSchema": (tool.output)(),
                "annotations": {
                    "readOnlyHint": !tool.writes,
                    "destructiveHint": false,
                    "idempotentHint": true,
                    "openWorldHint": false
                }
            })
        })
        .collect()
}

/// The tool called `name`.
pub(super) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

impl Tool {
    /// Whether it tells how far it is, when asked to.
    pub(super) fn reports_progress(&self) -> bool {
        self.name == "search_tickets"
    }

    /// Checks `arguments` and does what the tool does.
    ///
    /// # Errors
    ///
    /// [`ToolError::Refused`] before anything has happened, [`ToolError::Broken`] if the desk failed.
    pub(super) fn call(&self, desk: &mut Desk, arguments: &Map<String, Value>) -> Result<Value, ToolError> {
        let checked = Checked::check(self.parameters, arguments).map_err(ToolError::Refused)?;
        (self.run)(desk, &checked)
    }
}

fn search_tickets(desk: &mut Desk, arguments: &Checked<'_>) -> Result<Value, ToolError> {
    let (tickets, total) = desk.search(&Filter {
        account_id: arguments.text("account_id"),
        status: arguments.text("status"),
        severity: arguments.text("severity"),
        limit: arguments.limit("limit"),
    })?;
    Ok(list("tickets", &tickets, total))
}

fn get_ticket(desk: &mut Desk, arguments: &Checked<'_>) -> Result<Value, ToolError> {
    match desk.ticket(arguments.required_text("ticket_id"))? {
        Some(ticket) => Ok(json!(ticket)),
        None => Err(ToolError::Refused("there is no such ticket: find its id with search_tickets".into())),
    }
}

fn list_escalations(desk: &mut Desk, arguments: &Checked<'_>) -> Result<Value, ToolError> {
    let (escalations, total) = desk.escalations(arguments.text("account_id"), arguments.limit("limit"))?;
    Ok(list("escalations", &escalations, total))
}

fn create_support_escalation(desk: &mut Desk, arguments: &Checked<'_>) -> Result<Value, ToolError> {
    let outcome = desk.escalate(&NewEscalation {
        account_id: arguments.required_text("account_id"),
        severity: arguments.required_text("severity"),
        summary: arguments.required_text("summary"),
        idempotency_key: arguments.required_text("idempotency_key"),
    })?;
    let refused = |message: &str| Err(ToolError::Refused(message.into()));
    let (escalation, repeated) = match outcome {
        Escalated::Created(escalation) => (escalation, false),
        Escalated::Repeated(escalation) => (escalation, true),
        Escalated::KeyTaken => {
            return refused(
                "`idempotency_key` belongs to another escalation: use a new key for other content",
            );
        }
        Escalated::UnknownAccount => {
            return refused("there is no such account: take the account_id of one of its tickets");
        }
        Escalated::Full => return refused("the desk takes no more escalations: start a new demo folder"),
    };
    let mut value = json!(escalation);
    if let Some(value) = value.as_object_mut() {
        value.insert("repeated".into(), repeated.into());
    }
    Ok(value)
}

fn list<T: Serialize>(name: &str, entries: &[T], total: u32) -> Value {
    let shown = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    json!({name: entries, "total": total, "truncated": shown < total})
}

fn list_schema(name: &str, entry: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            name: {"type": "array", "items": entry},
            "total": {"type": "integer", "description": "How many there are in all."},
            "truncated": {"type": "boolean", "description": "Whether the limit left some out."}
        },
        "required": [name, "total", "truncated"]
    })
}

fn ticket_line_schema() -> Value {
    object(&["ticket_id", "account_id", "severity", "status", "subject", "opened_at"], &[])
}

/// The address and the day of closing are not required: the one may be kept
/// back by whoever passes the result on, the other is not there yet.
fn ticket_detail_schema() -> Value {
    let mut schema = object(
        &[
            "ticket_id",
            "account_id",
            "severity",
            "status",
            "subject",
            "opened_at",
            "account_name",
            "product",
            "description",
        ],
        &[],
    );
    insert(&mut schema, "properties", "requester_email", json!({"type": "string"}));
    insert(&mut schema, "properties", "closed_at", json!({"type": "string"}));
    schema
}

/// The schema of an object of texts, with further members that are required.
fn object(texts: &[&str], further: &[&str]) -> Value {
    let properties: Map<String, Value> =
        texts.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    let required: Vec<&&str> = texts.iter().chain(further).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn insert(schema: &mut Value, member: &str, name: &str, value: Value) {
    if let Some(object) = schema.get_mut(member).and_then(Value::as_object_mut) {
        object.insert(name.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(desk: &mut Desk, name: &str, arguments: &Value) -> Result<Value, ToolError> {
        find(name).expect("a tool").call(desk, arguments.as_object().expect("an object"))
    }

    fn refusal(outcome: Result<Value, ToolError>) -> String {
        match outcome {
            Err(ToolError::Refused(message)) => message,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn opened() -> (tempfile::TempDir, Desk) {
        let folder = tempfile::tempdir().expect("a folder");
        let desk = Desk::open(folder.path()).expect("a desk");
        (folder, desk)
    }

    #[test]
    fn the_definitions_are_what_the_connector_of_the_demo_relies_on() {
        insta::assert_snapshot!(format!("{:#}", definitions()));
    }

    #[test]
    fn results_have_the_shape_that_the_tools_publish() {
        let (_folder, mut desk) = opened();
        let escalation = json!({
            "account_id": "ACC-0001", "severity": "low", "summary": "Orders are refused", "idempotency_key": "k"
        });
        let calls = [
            ("search_tickets", json!({"status": "open", "limit": 2})),
            ("get_ticket", json!({"ticket_id": "TCK-00001"})),
            ("create_support_escalation", escalation),
            ("list_escalations", json!({})),
        ];
        for (name, arguments) in calls {
            let result = call(&mut desk, name, &arguments).expect("a result");
            let schema = (find(name).expect("a tool").output)();
            let properties = schema["properties"].as_object().expect("properties");
            let members = result.as_object().expect("an object");
            assert!(members.keys().all(|key| properties.contains_key(key)), "{name}: {result}");
            for required in schema["required"].as_array().expect("a list") {
                assert!(members.contains_key(required.as_str().expect("a name")), "{name}: {required}");
            }
        }
    }

    #[test]
    fn a_refusal_says_what_would_be_right() {
        let (_folder, mut desk) = opened();
        let unknown_ticket = call(&mut desk, "get_ticket", &json!({"ticket_id": "TCK-99999"}));
        assert_eq!(refusal(unknown_ticket), "there is no such ticket: find its id with search_tickets");
        let unknown_account = json!({
            "account_id": "ACC-9999", "severity": "low", "summary": "Orders are refused", "idempotency_key": "k"
        });
        let outcome = call(&mut desk, "create_support_escalation", &unknown_account);
        assert_eq!(refusal(outcome), "there is no such account: take the account_id of one of its tickets");
        let short = json!({
            "account_id": "ACC-0001", "severity": "urgent", "summary": "Help", "idempotency_key": ""
        });
        assert_eq!(
            refusal(call(&mut desk, "create_support_escalation", &short)),
            "`severity` must be one of low, medium, high, critical; `summary` must be text of 10 to 1000 \
             characters; `idempotency_key` must be text of 1 to 200 characters"
        );
        assert_eq!(desk.effects().expect("a count"), 0);
    }

    #[test]
    fn a_list_says_when_it_was_cut() {
        let (_folder, mut desk) = opened();
        let cut = call(&mut desk, "search_tickets", &json!({"limit": 5})).expect("tickets");
        assert_eq!((cut["tickets"].as_array().map(Vec::len), &cut["truncated"]), (Some(5), &json!(true)));
        let whole = call(&mut desk, "list_escalations", &json!({})).expect("escalations");
        assert_eq!((&whole["total"], &whole["truncated"]), (&json!(0), &json!(false)));
    }
}

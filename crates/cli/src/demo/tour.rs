//! The tour: what an agent gets and does not get, shown and checked.
//!
//! This module owns the steps, what each must answer, and how that is printed.
//! How a call reaches Quaymaster is the [`Demo`]'s: the tour itself neither
//! connects nor decides.
//!
//! Invariants:
//! - A step that did not go as it should makes the tour fail; none is skipped.
//! - No result is printed beyond counts, codes and ids.

mod check;

use std::io::Write;

use quaymaster_catalog::own::AWAIT_APPROVAL;
use quaymaster_core::ErrorCode;
use quaymaster_core::result::AUDIT_ID_META;
use serde_json::{Value, json};

use check::{Checker, Effects};

/// Who acts in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persona {
    /// Holds the role `analyst`.
    Analyst,
    /// Holds the role `support`.
    Support,
}

impl Persona {
    /// The name of the role.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Analyst => "analyst",
            Self::Support => "support",
        }
    }
}

/// One call of the tour.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What is shown, as a sentence.
    pub(crate) title: &'static str,
    /// Who calls.
    pub(crate) persona: Persona,
    /// The tool, by the name that agents know.
    pub(crate) tool: &'static str,
    /// Its arguments.
    pub(crate) arguments: Value,
    /// What must come back.
    pub(crate) expect: Expect,
}

/// What a step must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A table of this many rows.
    Rows(usize),
    /// A row that lacks these columns and has these.
    Columns { without: &'static [&'static str], with: &'static [&'static str] },
    /// The list of an MCP server, with something in it.
    Listed(&'static str),
    /// A refusal with this code.
    Refused(ErrorCode),
    /// An escalation, created now or by an earlier tour.
    Escalated,
    /// The escalation of the step before, and no further effect.
    SameEscalation,
    /// The escalation that waited, created once a manager has agreed to it.
    Agreed,
}

/// How the tour reaches a demo that serves.
pub(crate) trait Demo {
    /// Calls the tool over MCP as the step's persona and returns the `CallToolResult`.
    ///
    /// # Errors
    ///
    /// If there is no result, a JSON-RPC error included.
    fn call(&mut self, step: &Step) -> anyhow::Result<Value>;

    /// Reads the request for approval `id` as the support manager and agrees to it; says what it is about.
    ///
    /// # Errors
    ///
    /// If there is no such request, or the manager may not agree.
    fn agree(&mut self, id: &str) -> anyhow::Result<String>;

    /// How many escalations there really are (see [`super::ticketing::effects`]).
    ///
    /// # Errors
    ///
    /// If they cannot be counted.
    fn effects(&mut self) -> anyhow::Result<u64>;

    /// Verifies the audit log and says in a line what was found.
    ///
    /// # Errors
    ///
    /// If the log does not verify.
    fn verify_audit(&mut self) -> anyhow::Result<String>;
}

/// The steps, in their order. What a manager agrees to is another thing in each `tour` of a folder.
pub(crate) fn steps(tour: u64) -> Vec<Step> {
    reads().into_iter().chain(writes(tour)).collect()
}

fn reads() -> [Step; 4] {
    [
        Step {
            title: "An analyst asks the database for a quarter's revenue.",
            persona: Persona::Analyst,
            tool: "metrics_monthly_revenue",
            arguments: json!({"from": "2026-01-01", "to": "2026-04-01", "region": "EMEA"}),
            expect: Expect::Rows(3),
        },
        Step {
            title: "An analyst looks at a customer: personal data stays behind.",
            persona: Persona::Analyst,
            tool: "metrics_account_summary",
            arguments: json!({"account_id": "ACC-0007"}),
            expect: Expect::Columns {
                without: &["contact_name", "contact_email", "bank_account"],
                with: &["booked_eur", "open_tickets"],
            },
        },
        Step {
            title: "Support may see whom to write to, but nobody the bank account.",
            persona: Persona::Support,
            tool: "metrics_account_summary",
            arguments: json!({"account_id": "ACC-0007"}),
            expect: Expect::Columns { without: &["bank_account"], with: &["contact_name", "contact_email"] },
        },
        Step {
            title: "An analyst searches the tickets of an MCP server.",
            persona: Persona::Analyst,
            tool: "desk_search_tickets",
            arguments: json!({"severity": "critical", "limit": 5}),
            expect: Expect::Listed("tickets"),
        },
    ]
}

fn writes(tour: u64) -> [Step; 6] {
    let refused_orders = "Orders from the customer portal are refused since this morning.";
    let stopped = format!("No order can be placed since this morning, case {tour}.");
    let escalate = |title, persona, severity, summary: &str, expect| Step {
        title,
        persona,
        tool: "desk_create_support_escalation",
        arguments: json!({"account_id": "ACC-0007", "severity": severity, "summary": summary}),
        expect,
    };
    [
        escalate(
            "An analyst tries to escalate: for them the tool does not exist.",
            Persona::Analyst,
            "high",
            refused_orders,
            Expect::Refused(ErrorCode::ToolNotFound),
        ),
        escalate(
            "Support puts an address into a summary: a policy forbids these arguments.",
            Persona::Support,
            "high",
            "Please write to ada@example.test about the refused orders.",
            Expect::Refused(ErrorCode::PolicyDenied),
        ),
        escalate(
            "Support escalates as critical: a person has to agree first.",
            Persona::Support,
            "critical",
            &stopped,
            Expect::Refused(ErrorCode::ApprovalRequired),
        ),
        Step {
            title: "A manager reads what would happen and agrees: the call is made, and support gets its result.",
            persona: Persona::Support,
            tool: AWAIT_APPROVAL,
            arguments: json!({"wait_seconds": 20}),
            expect: Expect::Agreed,
        },
        escalate("Support escalates as high.", Persona::Support, "high", refused_orders, Expect::Escalated),
        escalate(
            "The agent is not sure and sends the same again: nothing happens twice.",
            Persona::Support,
            "high",
            refused_orders,
            Expect::SameEscalation,
        ),
    ]
}

/// Runs every step against `demo`, prints what happened, and says whether each went as it should.
///
/// # Errors
///
/// If `out` cannot be written to. What goes wrong in a step is printed and counts as a failed step.
pub(crate) fn run(demo: &mut impl Demo, out: &mut impl Write) -> anyhow::Result<bool> {
    let steps = steps(demo.effects()?);
    let total = steps.len() + 1;
    let mut checker = Checker::default();
    let mut good = 0;
    for (number, step) in (1..).zip(&steps) {
        writeln!(out, "{number:>2}. {}", step.title)?;
        writeln!(out, "    {} calls {} {}", step.persona.as_str(), step.tool, step.arguments)?;
        good += report(out, attempt(demo, step.clone(), &mut checker))?;
    }
    writeln!(out, "{total:>2}. Every one of these calls is in the audit log, and none was changed since.")?;
    writeln!(out, "    quaymaster audit verify")?;
    good += report(out, demo.verify_audit().map_err(|error| format!("{error:#}")))?;
    writeln!(out, "{good} of {total} steps went as they should.")?;
    Ok(good == total)
}

fn attempt(demo: &mut impl Demo, mut step: Step, checker: &mut Checker) -> Result<String, String> {
    let failed = |error: anyhow::Error| format!("{error:#}");
    let before = demo.effects().map_err(failed)?;
    let mut agreed = String::new();
    if step.expect == Expect::Agreed {
        let id = checker.waits_for().ok_or("nothing waits for an agreement")?;
        agreed = format!("agreed to \"{}\", ", demo.agree(id).map_err(failed)?);
        let arguments = step.arguments.as_object_mut().ok_or("the arguments are no object")?;
        arguments.insert("id".into(), id.into());
    }
    let result = demo.call(&step).map_err(failed)?;
    let effects = Effects { before, after: demo.effects().map_err(failed)? };
    let line = checker.check(step.expect, &result, effects)?;
    Ok(match result.get("_meta").and_then(|meta| meta.get(AUDIT_ID_META)).and_then(Value::as_str) {
        Some(id) => format!("{agreed}{line} ({id})"),
        None => return Err(format!("{line}, but the result names no audit record")),
    })
}

/// Prints the outcome of a step; 1 if it went as it should.
fn report(out: &mut impl Write, outcome: Result<String, String>) -> std::io::Result<usize> {
    match outcome {
        Ok(line) => writeln!(out, "    ok: {line}\n").map(|()| 1),
        Err(line) => writeln!(out, "    WRONG: {line}\n").map(|()| 0),
    }
}

#[cfg(test)]
mod tests;

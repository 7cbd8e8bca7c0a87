//! A connector's `access` and `approval`, and the approvals that the classification demands, as Cedar policies.

use cedar_policy::{Policy, PolicyId};
use quaymaster_catalog::Tool;
use quaymaster_core::Gate;

use super::action::Action;
use super::annotation::Notes;
use super::source::{Scope, SourcePolicy, asks_principal, json_of, mentions_context};
use crate::classification::Classes;

/// One permit for each role that `access` names, and a forbid that the tool's approval lifts.
///
/// The approval is a forbid so that no permit, wherever it is written, goes past
/// it. The names are of a checked alphabet, so they cannot break out of the text.
pub(super) fn policies(tool: &Tool, classes: &Classes) -> Result<Vec<SourcePolicy>, String> {
    let declaration = tool.declaration();
    let name = tool.name();
    let mut policies = Vec::with_capacity(declaration.access.roles.len() + 1);
    for role in &declaration.access.roles {
        let text = format!(
            "permit (principal in Role::\"{role}\", action == Action::\"call\", resource == Tool::\"{name}\");"
        );
        policies.push(compile(tool, format!("access/{name}/{role}"), &text)?);
    }
    if let Some(approval) = &declaration.approval {
        let text = format!(
            "forbid (principal, action == Action::\"call\", resource == Tool::\"{name}\") unless {{ context.approved }};"
        );
        let mut gate = compile(tool, format!("approval/{name}"), &text)?;
        gate.notes.approval = Some(Gate::try_from(approval)?);
        policies.push(gate);
    }
    for (level, demanded) in classes.gates(tool) {
        let text = format!(
            "forbid (principal, action == Action::\"call\", resource == Tool::\"{name}\") unless {{ context.approved }};"
        );
        let mut gate = compile(tool, format!("classification/{level}/{name}"), &text)?;
        gate.notes.approval = Some(demanded.clone());
        gate.notes.reason = Some(format!("the result may hold data that is {level}"));
        policies.push(gate);
    }
    Ok(policies)
}

fn compile(tool: &Tool, id: String, text: &str) -> Result<SourcePolicy, String> {
    let policy = Policy::parse(Some(PolicyId::new(id)), text).map_err(|e| e.to_string())?;
    let (mentions_context, json) = (mentions_context(&policy), json_of(&policy));
    let asks_principal = asks_principal(&policy);
    Ok(SourcePolicy {
        policy,
        file: None,
        offset: 0,
        length: 0,
        scope: Scope::Tool(tool.name().to_string()),
        actions: vec![Action::Call],
        mentions_context,
        asks_principal,
        json,
        notes: Notes::default(),
    })
}

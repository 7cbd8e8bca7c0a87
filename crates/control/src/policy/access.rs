//! A connector's `access` and `approval`, as Cedar policies.

use cedar_policy::{Policy, PolicyId};
use quaymaster_catalog::Tool;

use super::source::{Scope, SourcePolicy};

/// One permit for each role that `access` names, and a forbid that the tool's approval lifts.
///
/// The approval is a forbid so that no permit, wherever it is written, goes past
/// it. The names are of a checked alphabet, so they cannot break out of the text.
pub(super) fn policies(tool: &Tool) -> Result<Vec<SourcePolicy>, String> {
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
        if approval.by.roles.is_empty() {
            return Err("its approval names no role, so nobody could give it".into());
        }
        let text = format!(
            "forbid (principal, action == Action::\"call\", resource == Tool::\"{name}\") unless {{ context.approved }};"
        );
        let mut gate = compile(tool, approval_id(tool), &text)?;
        gate.approvers = approval.by.roles.iter().map(ToString::to_string).collect();
        policies.push(gate);
    }
    Ok(policies)
}

/// The id of the policy that a tool's approval becomes. No written policy has a `/` in its id.
pub(super) fn approval_id(tool: &Tool) -> String {
    format!("approval/{}", tool.name())
}

fn compile(tool: &Tool, id: String, text: &str) -> Result<SourcePolicy, String> {
    Ok(SourcePolicy {
        policy: Policy::parse(Some(PolicyId::new(id)), text).map_err(|e| e.to_string())?,
        file: None,
        offset: 0,
        length: 0,
        scope: Scope::Tool(tool.name().to_string()),
        approvers: vec![],
        reason: None,
    })
}

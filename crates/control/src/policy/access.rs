//! Roles in a connector's `access`, as Cedar policies.

use cedar_policy::{Policy, PolicyId};
use quaymaster_catalog::Tool;

use super::source::{Scope, SourcePolicy};

/// One policy for each role that `access` names, with the tool's approval on it.
///
/// The names are of a checked alphabet, so they cannot break out of the text.
pub(super) fn policies(tool: &Tool) -> Vec<SourcePolicy> {
    let declaration = tool.declaration();
    let name = tool.name();
    let approvers: Vec<String> =
        declaration.approval.iter().flat_map(|a| &a.by.roles).map(ToString::to_string).collect();
    let compile = |role: &quaymaster_core::Role| {
        let text = format!(
            "permit (principal in Role::\"{role}\", action == Action::\"call\", resource == Tool::\"{name}\");"
        );
        let policy = Policy::parse(Some(PolicyId::new(format!("access/{name}/{role}"))), text).ok()?;
        Some(SourcePolicy {
            policy,
            file: None,
            offset: 0,
            length: 0,
            scope: Scope::Tool(name.to_string()),
            approvers: approvers.clone(),
            reason: None,
        })
    };
    declaration.access.roles.iter().filter_map(compile).collect()
}

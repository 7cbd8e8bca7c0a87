//! The limits of `quaymaster.yaml`: from text to rules.
//!
//! A limit for a name that nothing has would limit nothing, so it is an error.

use std::collections::BTreeSet;

use quaymaster_control::limits::LimitRule;
use quaymaster_core::suggest::did_you_mean;
use quaymaster_core::{ActorId, Limit};

use super::checked::{Known, PathProblem};
use super::connector::Connector;
use super::diagnostic::Code;
use super::document::Document;
use super::settings::LimitConfig;

/// The rules that `limits` sets; what is wrong with them goes to `problems`.
pub(super) fn rules(
    limits: &[LimitConfig],
    known: Known<'_>,
    problems: &mut Vec<PathProblem>,
) -> Vec<LimitRule> {
    let mut rules = Vec::new();
    let mut names = BTreeSet::new();
    for (index, config) in limits.iter().enumerate() {
        let path = format!("limits[{index}]");
        let value = |path: String, message: String| PathProblem::error(Code::Value, path, message);
        if !names.insert(&config.name) {
            problems
                .push(value(format!("{path}.name"), format!("the limit `{}` is there already", config.name)));
        }
        let only = &config.only;
        let role = only.role.as_slice();
        // A list of one: its problem is at the member itself.
        let role = known.roles(&format!("{path}.for.role"), role).into_iter();
        problems.extend(role.map(|problem| PathProblem { path: format!("{path}.for.role"), ..problem }));
        let workspace = only.workspace.as_ref();
        problems.extend(workspace.and_then(|name| known.workspace(&format!("{path}.for.workspace"), name)));
        if let Some(Err(message)) = only.actor.as_deref().map(ActorId::parse) {
            problems.push(value(format!("{path}.for.actor"), message));
        }
        match Limit::parse_all(&config.limit) {
            Ok(parsed) => rules.extend(parsed.into_iter().map(|limit| LimitRule {
                name: config.name.clone(),
                only: only.clone(),
                limit,
            })),
            Err(message) => problems.push(value(format!("{path}.limit"), message)),
        }
    }
    rules
}

/// A problem for each connector or tool that a limit names and no connector file has. What a server
/// offers beyond its file is not known yet, so its prefix is enough.
pub(super) fn unknown_targets(
    limits: &[LimitConfig],
    connectors: &[Document<Connector>],
) -> Vec<PathProblem> {
    let all = || connectors.iter().filter_map(|document| document.value.as_ref());
    let mut problems = Vec::new();
    for (index, LimitConfig { only, .. }) in limits.iter().enumerate() {
        let mut unknown = |what: &str, name: &str, known: Vec<String>| {
            let help = did_you_mean(name, "in the connectors", known.iter().map(String::as_str));
            let message = format!("unknown {what} `{}`", name.escape_debug());
            problems.push(
                PathProblem::error(Code::Value, format!("limits[{index}].for.{what}"), message).help(help),
            );
        };
        if let Some(name) = &only.connector
            && !all().any(|connector| connector.metadata().name == *name)
        {
            unknown("connector", name.as_str(), all().map(|c| c.metadata().name.to_string()).collect());
        }
        if let Some(name) = &only.tool
            && !all().any(|c| name.starts_with(&c.prefix()) || c.policy_names().any(|known| known == *name))
        {
            unknown("tool", name, all().flat_map(Connector::policy_names).collect());
        }
    }
    problems
}

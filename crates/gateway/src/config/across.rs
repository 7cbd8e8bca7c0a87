//! What the files of a configuration say of each other.
//!
//! Names that one file uses and another declares, and names that two files claim.

use std::collections::BTreeMap;

use quaymaster_catalog::search::is_reserved;
use quaymaster_connectors::mcp::pinned::{hash, unpinned};
use quaymaster_core::setting::Slug;
use quaymaster_core::suggest::did_you_mean;

use super::checked::{Known, PathProblem};
use super::connector::{Connector, ToolUse};
use super::diagnostic::Code;
use super::document::Document;

/// Reports every role and workspace that a connector names and the settings do not declare.
pub(super) fn report_unknown_names(known: Known<'_>, connectors: &mut [Document<Connector>]) {
    for document in connectors {
        let problems = document.value.as_ref().map(|connector| unknown_names(known, connector));
        document.report(problems.into_iter().flatten());
    }
}

/// Reports every server that is started without that its program is pinned, where that is demanded.
pub(super) fn report_unpinned(connectors: &mut [Document<Connector>]) {
    for document in connectors {
        let unpinned = match &document.value {
            Some(Connector::Mcp(file)) if file.spec.enabled => unpinned(&file.spec.server),
            _ => None,
        };
        document.report(unpinned.map(|path| {
            let message = format!(
                "`{}` is started and not pinned, which `integrity.executables: pinned` demands",
                path.display().to_string().escape_debug()
            );
            let now = hash(&path).unwrap_or_else(|_| "HASH".to_owned());
            let help = format!("pinned: [{{ path: {}, sha256: {now} }}]", path.display());
            PathProblem::error(Code::Connector, "spec.server", message).help(help)
        }));
    }
}

fn unknown_names(known: Known<'_>, connector: &Connector) -> Vec<PathProblem> {
    let mut problems = Vec::new();
    for (index, workspace) in connector.metadata().workspaces.iter().enumerate() {
        problems.extend(known.workspace(&format!("metadata.workspaces[{index}]"), workspace));
    }
    for tool in connector.tools() {
        let path = &tool.path;
        problems.extend(known.roles(&format!("{path}.access.roles"), &tool.access.roles));
        if let Some(listed) = &tool.access.workspaces {
            let path = format!("{path}.access.workspaces");
            problems.extend(tool_workspaces(known, connector, &path, listed));
        }
        if let Some(approval) = tool.approval {
            for (list, roles) in approval.named_roles() {
                problems.extend(known.roles(&format!("{path}.approval.{list}"), roles));
            }
        }
    }
    problems
}

/// What is wrong with the workspaces that a tool names for itself: it never exists
/// where its connector does not. `path` is that of the list.
fn tool_workspaces(known: Known<'_>, connector: &Connector, path: &str, listed: &[Slug]) -> Vec<PathProblem> {
    if listed.is_empty() {
        let message = "names no workspace: leave it out, or remove the tool";
        return vec![PathProblem::error(Code::Value, path, message)];
    }
    let all = &connector.metadata().workspaces;
    let problem = |(index, name): (usize, &Slug)| {
        let path = format!("{path}[{index}]");
        known.workspace(&path, name).or_else(|| {
            let help = did_you_mean(name.as_str(), "its workspaces", all.iter().map(Slug::as_str));
            let message = format!("`{name}` is not one of the connector's `metadata.workspaces`");
            (!all.contains(name)).then(|| PathProblem::error(Code::Connector, path, message).help(help))
        })
    };
    listed.iter().enumerate().filter_map(problem).collect()
}

/// Reports every name, prefix and tool that a connector before it already has, or that is ours.
pub(super) fn report_duplicates(connectors: &mut [Document<Connector>]) {
    let mut claims = Claims::default();
    for document in connectors {
        let Some(connector) = &document.value else { continue };
        let mut problems = claims.claim(connector, document.source.path());
        problems.extend(reserved_names(connector));
        document.report(problems);
    }
}

/// The tools that would have a name of ours, so that agents could not tell them apart.
fn reserved_names(connector: &Connector) -> Vec<PathProblem> {
    let problem = |(name, tool): (String, ToolUse<'_>)| {
        let message = format!("the name `{name}` is one of Quaymaster's own");
        let help = "give the tool another name, or the connector another prefix".to_owned();
        PathProblem::error(Code::Connector, format!("{}.name", tool.path), message).help(help)
    };
    connector.named_tools().filter(|(name, _)| is_reserved(name)).map(problem).collect()
}

/// What is taken, and the file that took it.
#[derive(Default)]
struct Claims {
    names: BTreeMap<String, String>,
    prefixes: BTreeMap<String, String>,
    tools: BTreeMap<String, String>,
}

impl Claims {
    fn claim(&mut self, connector: &Connector, file: &str) -> Vec<PathProblem> {
        let name = connector.metadata().name.to_string();
        let prefix = connector.prefix();
        let mut problems = Vec::new();
        if let Some(other) = claimed(&mut self.names, &name, file) {
            let message = format!("the connector `{name}` is already in {other}");
            problems.push(PathProblem::error(Code::Duplicate, "metadata.name", message));
            // Its prefix and tools are then most likely the same ones, too.
            return problems;
        }
        let taken = if prefix.is_empty() { None } else { claimed(&mut self.prefixes, &prefix, file) };
        if let Some(other) = taken {
            let message = format!("the prefix `{prefix}` is already that of {other}");
            problems.push(PathProblem::error(Code::Duplicate, "spec.prefix", message));
            return problems;
        }
        for (full, tool) in connector.named_tools() {
            let completion = tool.completion(&full);
            for name in [Some(full), completion].into_iter().flatten() {
                // A name that is twice in one file is the engine's to tell.
                if let Some(other) = claimed(&mut self.tools, &name, file).filter(|other| other != file) {
                    let message = format!("the tool `{name}` is already in {other}");
                    let path = format!("{}.name", tool.path);
                    problems.push(PathProblem::error(Code::Duplicate, path, message));
                }
            }
        }
        problems
    }
}

/// The file that has `name` already; else it is `file`'s from now on.
fn claimed(claims: &mut BTreeMap<String, String>, name: &str, file: &str) -> Option<String> {
    if let Some(other) = claims.get(name) {
        return Some(other.clone());
    }
    claims.insert(name.to_owned(), file.to_owned());
    None
}

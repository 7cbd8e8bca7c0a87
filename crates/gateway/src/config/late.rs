//! Problems that are found only when a configuration is put to work, shown like the others.
//!
//! Policies are compiled by `quaymaster-control`, tools are listed by
//! `quaymaster-catalog`; what they find wrong gets its place in a file here.

use std::sync::Arc;

use quaymaster_catalog::{Catalogue, Tool, codex};
use quaymaster_connectors::mcp::{Health, McpConnector};
use quaymaster_control::policy::{self, PolicyProblem};
use quaymaster_core::SecretError;

use super::diagnostic::{Code, Diagnostic, Problem, Severity, Source, Span};
use crate::integrity::Standing;

use super::{Connector, Diagnostics, Loaded, LoadedConnector, locate};

impl Loaded {
    /// What publishers should know of the tools before their clients meet them.
    pub fn catalogue_warnings(&self, catalogue: &Catalogue) -> Vec<Diagnostic> {
        let of_tool = |tool: &Arc<Tool>| -> Vec<Diagnostic> {
            let connector = &tool.declaration().connector;
            let file = self.connectors.iter().find(|c| c.connector.metadata().name == *connector);
            let warn = |text: String| {
                let message = format!("tool `{}`: {text}", tool.name());
                file.map(|file| Problem::warning(Code::Connector, None, message).in_file(&file.source))
            };
            codex::warnings(tool).into_iter().filter_map(warn).collect()
        };
        catalogue.tools().flat_map(of_tool).collect()
    }

    /// What a server that was started lacks: itself, or tools that its connector names.
    pub fn upstream_diagnostics(&self, upstream: &McpConnector) -> Vec<Diagnostic> {
        let file = self.connectors.iter().find(|c| c.connector.metadata().name.as_str() == upstream.name());
        let Some(LoadedConnector { connector: Connector::Mcp(file), source }) = file else {
            return Vec::new();
        };
        let state = upstream.state();
        let at = |path: &str, message: String| {
            Problem::warning(Code::Upstream, locate(source.text(), path), message)
        };
        let is_wanted = state.health != Health::Disabled;
        let absent = (is_wanted && !state.health.is_up()).then(|| {
            let message = match state.health {
                Health::NoTools => "the server offers none of the tools that are named here".to_owned(),
                Health::Starting => "the server gave no list of its tools in time".to_owned(),
                _ => format!("the server is not ready: {}", state.reason),
            };
            let problem = at("spec.server", message);
            if !upstream.is_required() {
                return problem;
            }
            let help = "with `required: true` the gateway is not ready without it".to_owned();
            Problem { severity: Severity::Error, ..problem }.help(help)
        });
        let left_out = state.left_out.iter().map(|left_out| {
            let index = file.spec.tools.iter().position(|tool| tool.name == left_out.tool);
            at(&format!("spec.tools[{}].name", index.unwrap_or_default()), left_out.why.clone())
        });
        absent.into_iter().chain(left_out).map(|problem| problem.in_file(source)).collect()
    }

    /// Which tools are quarantined, as far as the files in `contracts/` tell.
    pub(crate) fn quarantine_warnings(&self, standings: &[Standing]) -> Vec<Diagnostic> {
        let warn = |tool: &Standing| {
            let why = tool.quarantined.as_deref()?;
            let file = self.connectors.iter().find(|c| c.connector.metadata().name == tool.connector)?;
            let index = file.connector.upstream_tools().position(|name| name == tool.tool)?;
            let span = locate(file.source.text(), &format!("spec.tools[{index}].name"));
            let message = format!("tool `{}` is quarantined: {why}", tool.name);
            let help = "`quaymaster tools diff` shows the difference, `tools accept` accepts it".to_owned();
            Some(Problem::warning(Code::Contract, span, message).help(help).in_file(&file.source))
        };
        standings.iter().filter_map(warn).collect()
    }

    /// That a secret of an issuer cannot be had any more.
    pub fn identity_diagnostic(&self, error: &SecretError) -> Diagnostics {
        let mut found = Diagnostics::default();
        found.add([Problem::error(Code::Secret, None, error.to_string()).at_path("identity.issuers")]);
        found
    }

    /// A problem that was found when the policies were compiled, in the file where it is.
    pub fn policy_diagnostic(&self, found: &PolicyProblem) -> Diagnostic {
        let new = match found.severity {
            policy::Severity::Error => Problem::error,
            policy::Severity::Warning => Problem::warning,
        };
        let problem = |span| new(Code::PolicyInvalid, span, found.message.clone()).help(found.help.clone());
        match found.file.and_then(|file| self.policies.get(file)) {
            Some(source) => {
                let span = found.span.map(|(offset, length)| span_within(source.text(), offset, length));
                problem(span).in_file(source)
            }
            None => problem(None).at_path("policies"),
        }
    }
}

impl Source {
    /// A problem at a path of this YAML file, such as `spec.tools[2].name`.
    pub fn problem_at(self: &Arc<Self>, path: &str, message: &str, help: Option<String>) -> Diagnostic {
        let span = locate(self.text(), path);
        Problem::error(Code::Connector, span, message).help(help).in_file(self)
    }

    /// The same, where it is worth knowing and no reason to refuse.
    pub fn warning_at(self: &Arc<Self>, path: &str, message: &str) -> Diagnostic {
        Problem::warning(Code::Upstream, locate(self.text(), path), message).in_file(self)
    }
}

fn span_within(text: &str, offset: usize, length: usize) -> Span {
    let start = text.floor_char_boundary(offset);
    let end = text.ceil_char_boundary(offset.saturating_add(length));
    Span::new(start, end.saturating_sub(start))
}

//! The checks of what a connector file says of prompts and resources.
//!
//! Invariant: an address leads to one group of resources of a connector at most.

use std::collections::BTreeSet;

use http::HeaderValue;
use quaymaster_core::mirror;
use quaymaster_core::{Completed, ToolName, UriPattern};
use serde_json::json;

use super::super::config::{McpPromptConfig, McpResourceConfig};
use super::Names;
use crate::problem::Problems;

/// A prompt that is offered, with what is the same whenever it is asked for.
pub(in super::super) struct PromptSettings {
    pub(in super::super) config: McpPromptConfig,
    pub(in super::super) public_name: ToolName,
    /// The server's name as JSON text.
    pub(in super::super) name_json: Box<str>,
    /// The server's name as the value of `Mcp-Name`.
    pub(in super::super) name_header: HeaderValue,
    /// What a request for values of its arguments is called in the path of a call.
    pub(in super::super) completed: Box<str>,
    /// The member `ref` of such a request, as JSON text.
    pub(in super::super) reference: Box<str>,
}

/// Resources that can be read.
pub(in super::super) struct ResourceSettings {
    pub(in super::super) config: McpResourceConfig,
    pub(in super::super) public_name: ToolName,
    pub(in super::super) pattern: UriPattern,
    /// What a request for values of its arguments is called in the path of a call.
    pub(in super::super) completed: Box<str>,
    /// The member `ref` of such a request, as JSON text.
    pub(in super::super) reference: Box<str>,
}

/// Checks the prompts of a file.
pub(super) fn prompts(
    configs: Vec<McpPromptConfig>,
    names: &mut Names,
    problems: &mut Problems,
) -> Vec<PromptSettings> {
    let mut own_names = BTreeSet::new();
    let mut prompts = Vec::new();
    for (at, config) in configs.into_iter().enumerate() {
        let path = format!("spec.prompts[{at}]");
        if config.name.is_empty() || config.name.len() > 256 {
            problems.add(format!("{path}.name"), "a prompt's name has 1 to 256 bytes");
        }
        if !own_names.insert(config.name.clone()) {
            problems.add(format!("{path}.name"), format!("`{}` is here twice", config.name.escape_debug()));
        }
        if let Some(public_name) =
            names.take_completed(&config.name, config.rename.as_deref(), &path, problems)
        {
            prompts.push(PromptSettings {
                completed: Completed::Prompt(public_name.clone()).reference().into(),
                reference: reference("ref/prompt", "name", &config.name),
                public_name,
                name_json: serde_json::Value::from(config.name.as_str()).to_string().into(),
                name_header: mirror::encode(&config.name),
                config,
            });
        }
    }
    prompts
}

/// Checks the resources of a file.
pub(super) fn resources(
    configs: Vec<McpResourceConfig>,
    names: &mut Names,
    problems: &mut Problems,
) -> Vec<ResourceSettings> {
    let mut groups: Vec<ResourceSettings> = Vec::new();
    for (at, config) in configs.into_iter().enumerate() {
        let path = format!("spec.resources[{at}]");
        let pattern = match UriPattern::parse(&config.uri) {
            Ok(pattern) => pattern,
            Err(message) => {
                problems.add(format!("{path}.uri"), message);
                continue;
            }
        };
        if let Some(other) = groups.iter().find(|group| group.pattern.may_meet(&pattern)) {
            let message = format!("an address could fit this and `{}`, which must not be", other.pattern);
            problems.add(format!("{path}.uri"), message);
        }
        if let Some(public_name) = names.take_completed(&config.name, None, &path, problems) {
            groups.push(ResourceSettings {
                completed: Completed::Resource(pattern.clone()).reference().into(),
                reference: reference("ref/resource", "uri", pattern.as_str()),
                config,
                public_name,
                pattern,
            });
        }
    }
    groups
}

fn reference(kind: &str, member: &str, name: &str) -> Box<str> {
    format!(r#""ref":{}"#, json!({"type": kind, member: name})).into()
}

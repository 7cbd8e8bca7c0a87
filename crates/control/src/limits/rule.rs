//! A limit that the configuration sets, and the calls that it bears on.

use quaymaster_catalog::Tool;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, Effect, Limit, Role, Workspace};
use schemars::JsonSchema;
use serde::Deserialize;

/// A limit of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRule {
    /// What callers and the audit know it by.
    pub name: Slug,
    /// The calls that it bears on.
    pub only: Selection,
    /// How much.
    pub limit: Limit,
}

/// The calls that a limit bears on: those for which everything holds that is named. All if nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Selection {
    /// Calls of this tool, by its full name.
    #[serde(default)]
    pub tool: Option<String>,
    /// Calls of anything that this connector offers.
    #[serde(default)]
    pub connector: Option<Slug>,
    /// Calls by whoever has this role.
    #[serde(default)]
    pub role: Option<Role>,
    /// Calls by this account.
    #[serde(default)]
    pub actor: Option<String>,
    /// Calls in this workspace.
    #[serde(default)]
    pub workspace: Option<Workspace>,
    /// Calls with this effect.
    #[serde(default)]
    pub effect: Option<Effect>,
}

impl Selection {
    pub(super) fn fits(&self, actor: &Actor, tool: &Tool) -> bool {
        // Taken apart, so that a member which is added cannot be forgotten.
        let Self { tool: name, connector, role, actor: id, workspace, effect } = self;
        name.as_deref().is_none_or(|name| name == tool.name().as_str())
            && connector.as_ref().is_none_or(|connector| *connector == tool.declaration().connector)
            && role.as_ref().is_none_or(|role| actor.roles.contains(role))
            && id.as_deref().is_none_or(|id| id == actor.id.as_str())
            && workspace.as_ref().is_none_or(|workspace| *workspace == actor.workspace)
            && effect.is_none_or(|effect| effect == tool.effect())
    }
}

//! `classification.yaml`: what a company says of the data that passes.
//!
//! The types of the file. What it says of levels is put to work by [`Classes`] (`classes`, `levels`), of which
//! release, policy and the stages before them ask; what it says of redaction by `quaymaster-redaction`. How
//! the file is read, and where in it a problem is, is the gateway's part (`quaymaster-gateway::config`).
//!
//! Invariant: nothing can be written here that nothing enforces (`docs/adr/0024-levels-and-what-they-allow.md`).

mod classes;
mod levels;
mod names;
mod tool;

use std::collections::BTreeMap;

use quaymaster_core::connector::ApprovalConfig;
use quaymaster_core::setting::{DurationSetting, Slug};
use quaymaster_redaction::{Kind, RedactionConfig};
use schemars::JsonSchema;
use serde::Deserialize;

pub use classes::Classes;
pub use levels::Level;
pub(crate) use levels::{Bounds, Levels, Mark};

pub use names::{ClassProblem, KnownNames};
pub(crate) use tool::ToolClasses;

/// What a company says of the data that passes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(title = "Classification")]
pub struct ClassificationConfig {
    /// The levels, from harmless to most sensitive. `public`, `internal`, `confidential` and `restricted` are
    /// always among them, in this order; others may stand between and beside them. One that is not of these
    /// four takes the clearance of the next of them above it, or else that of `restricted`.
    pub levels: Option<Vec<Slug>>,
    /// What may be done with data of each level. Where nothing is said, everything may that a clearance allows.
    pub handling: BTreeMap<Slug, HandlingConfig>,
    /// Which data is of which level, and where it belongs. The strictest of the rules that match holds. What no
    /// rule and no connector names is of the connector's default level.
    pub rules: Vec<RuleConfig>,
    /// What single tools do with data.
    pub tools: Vec<ToolConfig>,
    /// What is looked for, and what is done with it.
    pub redaction: RedactionConfig,
}

/// What may be done with data of a level.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the file")]
pub struct HandlingConfig {
    /// Whether tools whose purpose is to retrieve may release it.
    pub retrieve: bool,
    /// Whether tools whose purpose is to summarise may release what they make of it.
    pub summarise: bool,
    /// Whether tools whose purpose is to transform may release what they make of it.
    pub transform: bool,
    /// What happens where an agent gives it to a tool that writes.
    pub write: WriteHandling,
    /// Whether the arguments of a call of a tool that may release it, or that is given it, are kept, sealed,
    /// beside the record of the call. Without them the decision cannot be made again under other policies.
    pub log: bool,
    /// Whether a result that holds it is kept, sealed, for whoever asks again: the receipt of a write, and
    /// what has waited for an approval.
    pub cache: bool,
    /// Who may have it, besides a clearance that reaches it. Everybody if absent.
    #[schemars(length(min = 1))]
    pub roles: Option<Vec<Slug>>,
    /// The jurisdictions of the workspaces that may have it. All if absent.
    #[schemars(length(min = 1))]
    pub jurisdictions: Option<Vec<Slug>>,
    /// Whether it may be released in a workspace of another jurisdiction than that where it belongs.
    pub cross_border: bool,
    /// What is done with values that may not be released.
    pub redaction: Cover,
    /// How long a result that holds it is kept, such as `1h`, where it is kept at all.
    pub retention: Option<DurationSetting>,
    /// Who has to agree to each call of a tool that may release it.
    pub approval: Option<ApprovalConfig>,
}

impl Default for HandlingConfig {
    fn default() -> Self {
        Self {
            retrieve: true,
            summarise: true,
            transform: true,
            write: WriteHandling::default(),
            log: true,
            cache: true,
            roles: None,
            jurisdictions: None,
            cross_border: true,
            redaction: Cover::default(),
            retention: None,
            approval: None,
        }
    }
}

/// What happens to data that an agent gives to a tool that writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteHandling {
    /// It goes there.
    #[default]
    Allow,
    /// It is covered before anybody decides on the call.
    Redact,
    /// The call is refused.
    Refuse,
}

/// What is done with a value that may not be released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cover {
    /// It is taken out.
    #[default]
    Drop,
    /// Signs stand for it, none of its own.
    Mask,
    /// A hash with the tenant's key stands for it.
    Hash,
    /// Something less exact stands for it where it was detected; else it is taken out.
    Generalise,
    /// A placeholder stands for it where it was detected; else it is taken out.
    Tokenise,
}

/// A rule: of which level some data is, or where it belongs, or both.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RuleConfig {
    /// The level.
    #[serde(default)]
    pub level: Option<Slug>,
    /// The jurisdiction where the data belongs, such as `eu`.
    #[serde(default)]
    pub jurisdiction: Option<Slug>,
    /// The connector that the data comes from. All if absent.
    #[serde(default)]
    pub connector: Option<Slug>,
    /// The tool that the data comes from, by its public name. All if absent.
    #[serde(default)]
    pub tool: Option<String>,
    /// A JSONPath (RFC 9535) into structured results, such as `$..iban`. Of a table it is asked of a row.
    #[serde(default)]
    pub path: Option<String>,
    /// A column of a database, as `table.column` or `schema.table.column`, where each may be `*`: whatever the
    /// query makes of it is of this level as well.
    #[serde(default)]
    pub column: Option<String>,
    /// Words in the name of a field, a column of a result or an argument, in any spelling.
    #[serde(default)]
    pub field: Option<String>,
    /// A kind of data that is detected, such as `iban`.
    #[serde(default)]
    pub detector: Option<Kind>,
}

/// What a tool does with data.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ToolConfig {
    /// The tool, by its public name.
    pub tool: String,
    /// What its results are: the data itself, or something that was made of it.
    #[serde(default)]
    pub purpose: Purpose,
    /// The highest level of data that an agent may give it, if it writes. Up to here it may, whatever `write` of
    /// the level says; above it data is covered where that says `redact`, and refused otherwise.
    #[serde(default)]
    pub accepts: Option<Slug>,
    /// The kinds whose placeholders are put back in its arguments.
    #[serde(default)]
    pub restores: Vec<Kind>,
}

/// What the results of a tool are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The data itself.
    #[default]
    Retrieve,
    /// Counts, sums and the like, of which no single record can be told.
    Summarise,
    /// Something that was made of the data, such as a translation.
    Transform,
}

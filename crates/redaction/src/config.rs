//! What is redacted and how, as it is written: the part `redaction` of `classification.yaml`.
//!
//! What is read here becomes [`crate::Engine`], which checks what a type cannot say.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::Action;
use crate::kind::Kind;

/// What is looked for in results, errors, logs and stored payloads, and what is done with it.
///
/// Without a word, everything is looked for: data of persons becomes placeholders, secrets are dropped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RedactionConfig {
    /// What is done with data of persons of which nothing else is said.
    pub default: Action,
    /// What is done with secrets of which nothing else is said.
    pub secrets: Action,
    /// What is done with single kinds; `off` does not look for them.
    pub kinds: BTreeMap<Kind, KindAction>,
    /// Single detectors that are not to be used, such as `national_id.dk_cpr`.
    pub detectors_off: Vec<String>,
    /// Fields of which it is known what they hold. They go before all detectors.
    pub fields: Vec<FieldConfig>,
    /// Names of fields that only this company has.
    pub lexicon: Vec<LexiconConfig>,
    /// When a whole column is of one kind.
    pub columns: ColumnsConfig,
    /// How far encoded content is looked into.
    pub nested: NestedConfig,
    /// What happens to content that is no text.
    pub binary: BinaryConfig,
}

impl Default for RedactionConfig {
    fn default() -> Self {
        Self {
            default: Action::Tokenise,
            secrets: Action::Drop,
            kinds: BTreeMap::new(),
            detectors_off: Vec::new(),
            fields: Vec::new(),
            lexicon: Vec::new(),
            columns: ColumnsConfig::default(),
            nested: NestedConfig::default(),
            binary: BinaryConfig::default(),
        }
    }
}

/// What is done with data of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindAction {
    /// It is not looked for.
    Off,
    /// It is told and left as it is.
    Allow,
    /// It is taken out.
    Drop,
    /// It is covered, but for what tells nothing by itself.
    Mask,
    /// A hash with the tenant's key stands for it.
    Hash,
    /// Something less exact stands for it.
    Generalise,
    /// A placeholder stands for it.
    Tokenise,
}

impl KindAction {
    /// The action; nothing if the kind is not looked for.
    pub fn action(self) -> Option<Action> {
        Some(match self {
            Self::Off => return None,
            Self::Allow => Action::Allow,
            Self::Drop => Action::Drop,
            Self::Mask => Action::Mask,
            Self::Hash => Action::Hash,
            Self::Generalise => Action::Generalise,
            Self::Tokenise => Action::Tokenise,
        })
    }
}

/// A field of which it is known what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FieldConfig {
    /// Which field: a JSONPath (RFC 9535) of names, `*` and `..`, such as `$.rows[*].notes` or `$..email`. It
    /// holds for all values below.
    #[serde(rename = "match")]
    pub matches: String,
    /// What it holds. Needed unless the action is `allow`.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// What is done with it; what is done with its kind if absent.
    #[serde(default)]
    pub action: Option<Action>,
}

/// Names of fields.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LexiconConfig {
    /// The names, in any spelling: `matrikelNr` and `matrikel_nr` are one.
    pub names: Vec<String>,
    /// What such fields hold. Absent: numbers of things, among which less is taken for numbers of persons.
    #[serde(default)]
    pub kind: Option<Kind>,
}

/// When a whole column is of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ColumnsConfig {
    /// Fewest values of a column.
    pub min_values: u32,
    /// How many of 100 values have to be of the kind.
    #[schemars(range(min = 1, max = 100))]
    pub percent: u32,
}

impl Default for ColumnsConfig {
    fn default() -> Self {
        Self { min_values: 5, percent: 60 }
    }
}

/// How far encoded content is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct NestedConfig {
    /// Most layers, such as JSON in Base64 in a string. What has more is refused.
    #[schemars(range(max = 8))]
    pub max_depth: u32,
}

impl Default for NestedConfig {
    fn default() -> Self {
        Self { max_depth: 4 }
    }
}

/// What happens to content that is no text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct BinaryConfig {
    /// Media types that are let through as they are, such as `image/png` or `image/*`.
    pub allow: Vec<String>,
    /// What happens to others.
    pub otherwise: BinaryAction,
}

/// What happens to content that is no text and not let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BinaryAction {
    /// Nothing of the whole text is released.
    #[default]
    Refuse,
    /// An empty text stands for it.
    Drop,
}

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where, below `redaction`, such as `fields[2].match`.
    pub path: String,
    /// What.
    pub message: String,
}

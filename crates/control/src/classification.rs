//! `classification.yaml`: what a company says of the data that passes.
//!
//! The types of the file. What is said of redaction is put to work by `quaymaster-redaction`; how the file is
//! read, and where in it a problem is, is the gateway's part (`quaymaster-gateway::config`).

use quaymaster_redaction::RedactionConfig;
use schemars::JsonSchema;
use serde::Deserialize;

/// What a company says of the data that passes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(title = "Classification")]
pub struct ClassificationConfig {
    /// What is looked for, and what is done with it.
    pub redaction: RedactionConfig,
}

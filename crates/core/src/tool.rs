//! Tools: what an agent can ask for, as connectors declare them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::briefing::Briefing;
use crate::class::Classification;
use crate::connector::{Access, ApprovalConfig, IdempotencyConfig};
use crate::flow::{Destination, Trust};
use crate::name::ToolName;
use crate::offer::Offer;
use crate::setting::Slug;

/// What a call does to the world. Drives the MCP annotations and what else is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Adds or changes something that can be changed back. Needs idempotency.
    Write,
    /// Takes something away for good. Needs idempotency and an approval.
    Destructive,
}

impl Effect {
    /// The effect as it is written in configuration and audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }
}

/// What form a tool's results have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultForm {
    /// The envelope of Quaymaster's own connectors ([`crate::result::Envelope`]).
    Envelope,
    /// Whatever the MCP upstream answers, unchanged where release allows.
    Upstream,
}

/// A tool, a prompt or resources as their connector declares them. The catalogue makes a `Tool` of it.
#[derive(Clone, Debug)]
pub struct ToolDeclaration {
    /// What of MCP it is.
    pub offer: Offer,
    /// The connector's name.
    pub connector: Slug,
    /// The version of the contract, from the connector's file.
    pub version: String,
    /// The workspaces in which the tool exists.
    pub workspaces: Arc<[Slug]>,
    /// The name under which agents know it, prefix included.
    pub name: ToolName,
    /// The name under which the connector knows it.
    pub local_name: String,
    /// A short name for people.
    pub title: Option<String>,
    /// When to use it, when not, and the units.
    pub description: String,
    /// What a call does to the world.
    pub effect: Effect,
    /// JSON Schema 2020-12 of what the connector takes, hidden arguments included.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of the structured result, where there is one. For
    /// [`ResultForm::Envelope`] it describes `data`.
    pub output_schema: Option<Value>,
    /// Whether the result is an envelope or the upstream's own.
    pub form: ResultForm,
    /// Who may use it.
    pub access: Access,
    /// Who has to agree to each call, if anyone.
    pub approval: Option<ApprovalConfig>,
    /// What somebody who has to agree to a call is told.
    pub briefing: Arc<Briefing>,
    /// How a repeated write is recognised.
    pub idempotency: Option<IdempotencyConfig>,
    /// Arguments that are always sent with this value and hidden from the agent.
    pub fixed: Map<String, Value>,
    /// Arguments that are sent with this value unless the agent gives another.
    pub defaults: Map<String, Value>,
    /// How the results are classified.
    pub classification: Arc<Classification>,
    /// Further members of an upstream's definition that are passed on, such as `icons`.
    pub passed_on: Map<String, Value>,
    /// Whether clients may ask for a task instead of an answer.
    pub tasks: bool,
    /// The whole definition as the upstream gave it, which is what is pinned. None for what is no tool of
    /// an upstream.
    pub definition: Option<Arc<Map<String, Value>>>,
    /// Why nobody may call it until a person has accepted its definition, if that is so. Its connector
    /// never says so of itself.
    pub quarantined: Option<Arc<str>>,
    /// Who may have written what it answers.
    pub trust: Trust,
    /// Who may come to know what it is called with.
    pub destination: Destination,
}

//! Contracts: what a caller may rely on of a tool, and what a change of it means.
//!
//! A [`Contract`] is a tool's definition as its publisher has it, with the effect
//! that the configuration gives it. [`compare`] says what a new one means for
//! whoever relied on the old one: a [`Verdict`] with its [`Reason`]s. One
//! comparison serves what upstreams change behind our back and what owners
//! change of their own tools. [`Lock`] is the file in which contracts are pinned
//! that somebody accepted. What follows from a verdict is decided elsewhere.
//!
//! Invariants:
//! - A contract compared with itself has no reason.
//! - At most [`Verdict::Additive`] means for the input that every instance that
//!   was valid still is, and for the output that every instance that is valid
//!   would have been. What cannot be told is at least [`Verdict::Risky`].
//! - Work, depth and the number of reasons are bounded, whatever a schema holds.

mod compare;
mod keywords;
mod lock;
mod reference;
mod schema;
mod verdict;

#[cfg(test)]
mod tests;

pub use compare::compare;
pub use lock::{Accepted, LOCK_SUFFIX, Lock, LockProblem, Pin};
pub use schema::{Side, compare_schemas};
pub use verdict::{Reason, Verdict};

use std::sync::Arc;

use quaymaster_core::Effect;
use quaymaster_core::arguments::sha256_text;
use quaymaster_core::json::canonical;
use serde_json::{Map, Value, json};

/// What a caller may rely on of one tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    definition: Arc<Map<String, Value>>,
    effect: Effect,
    digest: String,
}

impl Contract {
    /// The contract of a tool with this definition (MCP 2026-07-28, server/tools, `Tool`) and effect.
    pub fn new(definition: impl Into<Arc<Map<String, Value>>>, effect: Effect) -> Self {
        let definition = definition.into();
        let digest = digest(&definition, effect);
        Self { definition, effect, digest }
    }

    /// The definition, with every member that the publisher gave it.
    pub fn definition(&self) -> &Map<String, Value> {
        &self.definition
    }

    /// What a call does to the world, as the configuration has it.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// SHA-256 of the canonical form (RFC 8785) of definition and effect, as `sha256:<64 hexadecimal digits>`.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

fn digest(definition: &Map<String, Value>, effect: Effect) -> String {
    sha256_text(canonical(&json!({"definition": definition, "effect": effect})).as_bytes())
}

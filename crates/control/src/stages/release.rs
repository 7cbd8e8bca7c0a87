//! What may leave: the only place that opens a [`RawOutput`].
//!
//! First cut: the classification that the connector declares, against the
//! actor's clearance. Fields and columns that are declared `drop`, or whose class
//! is above the clearance, are taken out; what is above the clearance as a whole,
//! and what cannot be understood while something has to be taken out, is not
//! released at all. Detectors and other actions come with redaction.

mod fields;
mod table;
mod upstream;

use quaymaster_core::{CallError, DataClass, ErrorCode};

use super::Rulebook;
use super::permit::Receipt;
use crate::output::{RawContent, RawOutput, Released, SafeOutput};

pub(super) use fields::FieldRules;

/// Releases what this actor may have of a result.
///
/// # Errors
///
/// The connector's own error, unchanged; `release.refused` if nothing may leave
/// or the result cannot be understood; `upstream.error` if it breaks the
/// upstream's own contract.
pub fn release(
    raw: Result<RawOutput, CallError>,
    receipt: &Receipt,
    rulebook: &Rulebook,
) -> Result<SafeOutput, CallError> {
    let raw = raw?;
    let facts = &receipt.facts;
    let unclassified = || refused("there is no classification to release this result by");
    let tool = facts.tool.as_ref().ok_or_else(unclassified)?;
    let rules = rulebook.field_rules(tool).ok_or_else(unclassified)?;
    let clearance = facts.request.actor.clearance;
    match raw.content {
        RawContent::Table(table) => table::release(table, tool, clearance, &facts.request.id),
        RawContent::Upstream(result) => upstream::release(&result, tool, rules, clearance, &facts.request.id),
    }
}

fn refused(message: &str) -> CallError {
    CallError::new(ErrorCode::ReleaseRefused, message)
}

fn above_clearance(class: DataClass) -> CallError {
    refused(&format!("the result is {class}, which is above your clearance"))
}

/// Counts what was released and kept back.
#[derive(Debug, Default)]
struct Tally {
    classes: std::collections::BTreeSet<DataClass>,
    redactions: std::collections::BTreeMap<DataClass, u64>,
}

impl Tally {
    fn kept_back(&self) -> u64 {
        self.redactions.values().sum()
    }

    fn into_released(self) -> Released {
        Released {
            classes: self.classes.into_iter().map(|c| c.to_string()).collect(),
            redactions: self.redactions.into_iter().map(|(c, n)| (c.to_string(), n)).collect(),
        }
    }
}

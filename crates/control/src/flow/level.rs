//! The one place where it is decided which labels a result brings.
//!
//! By the class of what was released, whoever declared or found it: what was taken out labels nobody. By who may
//! have written it. By what the permits of the call demand.

use std::collections::BTreeSet;

use quaymaster_catalog::Tool;
use quaymaster_core::flow::{SAW_CONFIDENTIAL, SAW_RESTRICTED, SAW_UNTRUSTED};
use quaymaster_core::{DataClass, Handling, Trust};

use crate::output::Released;

/// The labels of whoever is given what was `released` of a result of `tool`, sorted; `demanded` by its permits.
pub(crate) fn of_released(tool: &Tool, released: &Released, demanded: &BTreeSet<String>) -> Vec<String> {
    labels(tool, released.highest.as_ref().map(|highest| highest.class), demanded)
}

/// The labels of whoever is told something by the system behind `tool` that has no fields, such as an error or a
/// question: it may hold whatever its results may. `classified` is the highest class that the classification of
/// the installation says of these.
pub(crate) fn of_words(
    tool: &Tool,
    (classified, clearance): (DataClass, DataClass),
    demanded: &BTreeSet<String>,
) -> Vec<String> {
    let declared = &tool.declaration().classification;
    let allowed = declared.fields.iter().filter(|rule| rule.action == Handling::Allow);
    let within = allowed.map(|rule| rule.class).filter(|class| *class <= clearance);
    let classified = classified.min(clearance);
    labels(tool, within.chain([declared.default, classified]).max(), demanded)
}

fn labels(tool: &Tool, level: Option<DataClass>, demanded: &BTreeSet<String>) -> Vec<String> {
    let own = [
        (level >= Some(DataClass::Confidential), SAW_CONFIDENTIAL),
        (level >= Some(DataClass::Restricted), SAW_RESTRICTED),
        (tool.declaration().trust == Trust::Untrusted, SAW_UNTRUSTED),
    ];
    if demanded.is_empty() && !own.iter().any(|(brings, _)| *brings) {
        return Vec::new();
    }
    let own = own.into_iter().filter_map(|(brings, label)| brings.then_some(label));
    let all: BTreeSet<&str> = own.chain(demanded.iter().map(String::as_str)).collect();
    all.into_iter().map(str::to_owned).collect()
}

//! What an agent gives to a tool: whether data of its level may go there.
//!
//! Where a level says something of data that is written, or of what is kept beside a record, the arguments are
//! looked through before anybody decides on the call: by the names of their members and by what is detected
//! in them. What is covered here is covered for everybody: policy, people, record and system see the same.

use std::collections::BTreeMap;

use quaymaster_core::{Arguments, CallError, Effect, ErrorCode};
use quaymaster_redaction::{Finding, Kind, KindSet};
use serde_json::Value;

use super::facts::Facts;
use super::release::FieldRules;
use super::rulebook::Rulebook;
use crate::classification::{Level, WriteHandling};

/// The arguments with what placeholders of the caller's session stand for, as far as the tool may have that; nothing
/// if it has no part in that, or they hold none.
///
/// # Errors
///
/// `input.invalid` if one of them is not of this session, or not known any more.
pub(super) fn put_back(
    facts: &Facts,
    arguments: &Arguments,
    (effect, rules): (Effect, &FieldRules),
    rulebook: &Rulebook,
) -> Result<Option<Arguments>, CallError> {
    let wanted = rules.of_tool().restores;
    let Some(redactor) = rulebook.redactor().filter(|_| wanted != KindSet::NONE) else { return Ok(None) };
    if !arguments.as_json().contains('⟦') {
        return Ok(None);
    }
    let is_given = |kind: &Kind| {
        let level = rules.level_of(*kind).filter(|_| effect != Effect::Read);
        level.is_none_or(|level| rules.written(level) == WriteHandling::Allow)
    };
    let allowed: KindSet = wanted.iter().filter(is_given).collect();
    let restored =
        redactor.of(&facts.request).put_back(arguments.as_json(), allowed).map_err(|_| unreadable())?;
    if restored.withheld.iter().any(|kind| allowed.has(*kind)) {
        let message = "a placeholder in the arguments is not of this session, or is not kept any more";
        return Err(CallError::new(ErrorCode::InputInvalid, message)
            .hint("read the data again in this session, and use the placeholder that it has then"));
    }
    if restored.restored.is_empty() {
        return Ok(None);
    }
    match serde_json::from_str(&restored.text) {
        Ok(Value::Object(members)) => Ok(Some(Arguments::from_map(members))),
        _ => Err(unreadable()),
    }
}

/// What was seen of arguments.
#[derive(Debug)]
pub(super) struct Looked {
    /// The arguments, if something in them was covered.
    pub(super) covered: Option<Arguments>,
    /// Whether they may be kept beside the record of the call.
    pub(super) logs: bool,
}

/// Something in arguments that a rule names.
struct Spot {
    level: Level,
    /// What it is, in a word.
    what: String,
    pointer: String,
    /// Which bytes of the value; all of it if none.
    part: Option<(usize, usize)>,
}

/// Looks through the arguments of a call.
///
/// # Errors
///
/// `policy.denied` if the tool may not be given something in them; `input.invalid` if they cannot be looked through.
pub(super) fn look_through(
    facts: &Facts,
    effect: Effect,
    rules: &FieldRules,
    rulebook: &Rulebook,
) -> Result<Looked, CallError> {
    let arguments = &facts.request.arguments;
    let spots = spots(facts, rules, rulebook)?;
    let handling = |level| rules.classes().levels.handling(level);
    let logs = spots.iter().all(|spot| handling(spot.level).is_none_or(|handling| handling.log));
    let mut covered = Vec::new();
    for spot in spots.into_iter().filter(|_| effect != Effect::Read) {
        match rules.written(spot.level) {
            WriteHandling::Allow => {}
            WriteHandling::Redact => covered.push(spot),
            WriteHandling::Refuse => {
                let level = rules.classes().levels.name(spot.level);
                let message = format!(
                    "the arguments hold data that is {level} ({}), which this tool may not be given",
                    spot.what
                );
                return Err(CallError::new(ErrorCode::PolicyDenied, message)
                    .hint("leave it out, or use a tool that may be given such data"));
            }
        }
    }
    let covered = if covered.is_empty() { None } else { Some(cover(arguments, covered)?) };
    Ok(Looked { covered, logs })
}

fn spots(facts: &Facts, rules: &FieldRules, rulebook: &Rulebook) -> Result<Vec<Spot>, CallError> {
    let arguments = &facts.request.arguments;
    let mut spots: Vec<Spot> = Vec::new();
    rules.each_named(arguments.value(), &mut |level, name, pointer| {
        spots.push(Spot { level, what: name.to_owned(), pointer: pointer.to_owned(), part: None });
    });
    let Some(redactor) = rulebook.redactor().filter(|_| rules.levels_kinds()) else { return Ok(spots) };
    let found = redactor.of(&facts.request).find(arguments.as_json()).map_err(|_| unreadable())?;
    let of_finding = |Finding { path, class, start, end, .. }: Finding| {
        let level = rules.level_of(class)?;
        Some(Spot { level, what: class.to_string(), pointer: path, part: Some((start, end)) })
    };
    spots.extend(found.into_iter().filter_map(of_finding));
    Ok(spots)
}

/// The arguments with something else in the place of `spots`.
fn cover(arguments: &Arguments, spots: Vec<Spot>) -> Result<Arguments, CallError> {
    let mut value = arguments.value().clone();
    let mut by_place: BTreeMap<String, Vec<Spot>> = BTreeMap::new();
    for spot in spots {
        by_place.entry(spot.pointer.clone()).or_default().push(spot);
    }
    for (pointer, mut spots) in by_place {
        // What cannot be found again cannot be covered.
        let place = value.pointer_mut(&pointer).ok_or_else(unreadable)?;
        spots.sort_by_key(|spot| std::cmp::Reverse(spot.part));
        let whole = spots.iter().find(|spot| spot.part.is_none()).map(|spot| format!("⟦{}⟧", spot.what));
        *place = match whole {
            Some(whole) => whole.into(),
            None => {
                let mut text = place.as_str().map_or_else(|| place.to_string(), str::to_owned);
                for Spot { what, part, .. } in spots {
                    let (start, end) = part.unwrap_or_default();
                    if text.get(start..end).is_none() {
                        return Err(unreadable());
                    }
                    text.replace_range(start..end, &format!("⟦{what}⟧"));
                }
                Value::String(text)
            }
        };
    }
    match value {
        Value::Object(members) => Ok(Arguments::from_map(members)),
        _ => Err(unreadable()),
    }
}

fn unreadable() -> CallError {
    CallError::new(
        ErrorCode::InputInvalid,
        "the arguments could not be looked through for what may not be written",
    )
}

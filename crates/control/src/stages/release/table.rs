//! Tables: columns that may not leave are taken out of every row.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use quaymaster_core::result::{Envelope, tool_result};
use quaymaster_core::{CallError, CallId};
use serde_json::{Map, Value, json};

use super::fields::Fate;
use super::sieve::Sieve;
use super::{Tally, refused, unredacted};
use crate::output::{Column, SafeOutput, Table};
use crate::redaction::Redaction;

pub(super) fn release(
    mut table: Table,
    sieve: &Sieve<'_>,
    redaction: Option<&Redaction<'_>>,
    call: &CallId,
) -> Result<SafeOutput, CallError> {
    if table.rows.iter().any(|row| row.len() != table.columns.len()) {
        return Err(refused("the rows of the result do not fit its columns"));
    }
    let mut tally = Tally::default();
    let fates: Vec<Option<Fate>> = table.columns.iter().map(|column| sieve.column(column)).collect();
    let (covered, keep) = cover(&mut table, &fates, (sieve, redaction), &mut tally);
    if !keep.contains(&true) {
        return Err(refused(
            "every column of the result is above your clearance, hidden by policy or never released",
        ));
    }
    let mut table = without(table, &keep);
    for cell in table.rows.iter_mut().flatten().filter(|_| sieve.binds_names()) {
        sieve.apply_names(cell, redaction, &mut tally);
    }
    if sieve.names_fields() {
        table.rows.iter().flatten().for_each(|cell| sieve.note_names(cell, &mut tally));
    }
    if let Some(redaction) = redaction {
        table.rows = redacted(&table, redaction, &mut tally)?;
    }
    let mut warnings = table.warnings.clone();
    let left_out = keep.iter().filter(|keep| !**keep).count();
    if left_out > 0 {
        warnings.push(format!(
            "{left_out} column(s) were left out: they are never released, hidden by policy, or above your clearance"
        ));
    }
    if covered > 0 {
        warnings.push(format!("{covered} column(s) are covered: their values are above your clearance"));
    }
    let text = text(&table);
    let envelope = Envelope::success(call, summary(&table), data(&table), warnings);
    Ok(SafeOutput {
        result: tool_result(&envelope, &text),
        is_error: false,
        released: tally.into_released(sieve),
    })
}

/// Covers the values of columns that are to be covered, and says how many that are and which columns are kept.
fn cover(
    table: &mut Table,
    fates: &[Option<Fate>],
    (sieve, redaction): (&Sieve<'_>, Option<&Redaction<'_>>),
    tally: &mut Tally,
) -> (usize, Vec<bool>) {
    let mut covered = 0;
    let mut keep = Vec::with_capacity(fates.len());
    for (at, fate) in fates.iter().enumerate() {
        let is_kept = match fate {
            Some(Fate::Kept(level)) => {
                tally.classes.insert(*level);
                true
            }
            Some(Fate::Covered(level, cover)) => {
                tally.note_kept_back(Some(*level));
                let name = sieve.levels().name(*level);
                let stand_in = |value: &Value| redaction.and_then(|r| r.cover(*cover, name, value));
                let is_covered = stand_in(&Value::Null).is_some();
                if is_covered {
                    covered += 1;
                    for value in table.rows.iter_mut().filter_map(|row| row.get_mut(at)) {
                        *value = stand_in(value).unwrap_or_default();
                    }
                }
                is_covered
            }
            None => {
                tally.note_kept_back(None);
                false
            }
        };
        keep.push(is_kept);
    }
    (covered, keep)
}

/// The rows without what is found in them. They are looked through as objects, so that the names of columns
/// count, and what most values of a column are.
fn redacted(
    table: &Table,
    redaction: &Redaction<'_>,
    tally: &mut Tally,
) -> Result<Vec<Vec<Value>>, CallError> {
    let names: BTreeSet<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    if names.len() < table.columns.len() {
        return Err(refused("two columns of the result have one name, so it cannot be told what they hold"));
    }
    let object = |row: &Vec<Value>| -> Value {
        let members =
            table.columns.iter().zip(row).map(|(column, value)| (column.name.clone(), value.clone()));
        members.collect::<Map<String, Value>>().into()
    };
    let rows = Value::from(table.rows.iter().map(object).collect::<Vec<Value>>()).to_string();
    let redacted = redaction.json(&rows, &mut tally.found).map_err(|refusal| unredacted(&refusal))?;
    let Some(redacted) = redacted else { return Ok(table.rows.clone()) };
    let rows: Vec<Map<String, Value>> =
        serde_json::from_str(&redacted).map_err(|_| refused("the result could not be checked"))?;
    let rows: Vec<Vec<Value>> =
        rows.into_iter().map(|row| row.into_iter().map(|(_, value)| value).collect()).collect();
    if rows.iter().any(|row| row.len() != table.columns.len()) {
        return Err(refused("the result could not be checked"));
    }
    Ok(rows)
}

fn without(mut table: Table, keep: &[bool]) -> Table {
    fn sift<T>(values: Vec<T>, keep: &[bool]) -> Vec<T> {
        values.into_iter().zip(keep).filter_map(|(value, keep)| keep.then_some(value)).collect()
    }
    table.columns = sift(table.columns, keep);
    table.rows = table.rows.into_iter().map(|row| sift(row, keep)).collect();
    table
}

fn summary(table: &Table) -> String {
    let rows = table.rows.len();
    let noun = if rows == 1 { "row" } else { "rows" };
    if table.stats.truncated {
        format!("the first {rows} {noun}; there are more")
    } else {
        format!("{rows} {noun}")
    }
}

fn data(table: &Table) -> Value {
    let columns: Vec<Value> = table.columns.iter().map(column).collect();
    json!({
        "columns": columns,
        "rows": table.rows,
        "stats": {
            "rows": table.rows.len(),
            "truncated": table.stats.truncated,
            "elapsed_ms": table.stats.elapsed_us / 1_000,
            "query_hash": table.stats.query_hash,
            "as_of": table.stats.as_of,
        },
    })
}

fn column(column: &Column) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), column.name.as_str().into());
    object.insert("type".into(), column.kind.as_str().into());
    for (name, value) in [("unit", &column.unit), ("description", &column.description)] {
        if let Some(value) = value {
            object.insert(name.into(), value.as_str().into());
        }
    }
    Value::Object(object)
}

/// Most rows that the text shows; the structured result has them all.
const TEXT_ROWS: usize = 50;

/// The table for people: one line for the columns, one for each row.
fn text(table: &Table) -> String {
    let mut text = summary(table);
    text.push('\n');
    let names: Vec<String> = table
        .columns
        .iter()
        .map(|c| c.unit.as_ref().map_or_else(|| c.name.clone(), |unit| format!("{} ({unit})", c.name)))
        .collect();
    text.push_str(&names.join(" | "));
    for row in table.rows.iter().take(TEXT_ROWS) {
        text.push('\n');
        for (at, value) in row.iter().enumerate() {
            if at > 0 {
                text.push_str(" | ");
            }
            let _ = match value {
                Value::String(s) => write!(text, "{s}"),
                Value::Null => Ok(()),
                other => write!(text, "{other}"),
            };
        }
    }
    if table.rows.len() > TEXT_ROWS {
        let _ = write!(text, "\n… {} more in the structured result", table.rows.len() - TEXT_ROWS);
    }
    text
}

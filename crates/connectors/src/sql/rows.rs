//! Rows on their way to a [`Table`], within the limits of a call.
//!
//! An engine offers its rows one by one and stops when it is told to, so what
//! lies beyond the limits is never held. What the columns mean comes from the
//! configuration; what of them an actor may see is release's business.
//!
//! Invariants:
//! - Never more rows than `limits.rows`, and never more bytes of JSON than
//!   `limits.bytes`; numbers alone are never cut.
//! - Warnings name no column and hold no value, because release may drop either.
//!   That rows are missing is `truncated`'s to say, which release puts into words.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

use quaymaster_control::output::{Column, Source, Table, TableStats};
use serde_json::Value;

use super::cell::{Cell, Mark};
use super::config::ColumnConfig;

/// How much one result may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowLimits {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// The rows of one result.
pub(crate) struct Rows {
    limits: RowLimits,
    headings: Vec<Heading>,
    kept: Vec<Vec<Value>>,
    left_bytes: usize,
    is_truncated: bool,
    cut: usize,
    unreadable: usize,
    repaired: usize,
}

struct Heading {
    name: String,
    kind: Option<String>,
    has_text_for_numbers: bool,
    sources: Option<Vec<Source>>,
}

impl Rows {
    /// No rows yet, of columns with these names and, where they are known, types.
    pub(crate) fn new(
        limits: RowLimits,
        columns: impl IntoIterator<Item = (String, Option<String>)>,
    ) -> Self {
        let headings = columns
            .into_iter()
            .map(|(name, kind)| Heading { name, kind, has_text_for_numbers: false, sources: None })
            .collect();
        Self {
            limits,
            headings,
            kept: Vec::new(),
            left_bytes: limits.bytes,
            is_truncated: false,
            cut: 0,
            unreadable: 0,
            repaired: 0,
        }
    }

    /// Most bytes that are worth reading of one value.
    pub(crate) fn most_cell_bytes(&self) -> usize {
        self.limits.bytes
    }

    /// Says what the values of a column are, if that is not known yet.
    pub(crate) fn learn_kind(&mut self, column: usize, kind: &str) {
        if let Some(heading) = self.headings.get_mut(column) {
            heading.kind.get_or_insert_with(|| kind.to_owned());
        }
    }

    /// Says what the values of each column are made of.
    pub(crate) fn trace(&mut self, trace: impl FnOnce(&[String]) -> Vec<Option<Vec<Source>>>) {
        let names: Vec<String> = self.headings.iter().map(|heading| heading.name.clone()).collect();
        // Of a column of which nothing is said nothing is known, which is the strictest.
        for (heading, sources) in self.headings.iter_mut().zip(trace(&names)) {
            heading.sources = sources;
        }
    }

    /// Takes one row. After `Break` there is no use in offering another.
    pub(crate) fn add(&mut self, mut row: Vec<Cell>) -> ControlFlow<()> {
        if self.kept.len() >= self.limits.rows {
            self.is_truncated = true;
            return ControlFlow::Break(());
        }
        let mut size = row_size(&row);
        if size > self.left_bytes {
            self.is_truncated = true;
            if !self.kept.is_empty() {
                return ControlFlow::Break(());
            }
            // One row is always shown: an agent that sees nothing learns nothing.
            shorten(&mut row, self.left_bytes);
            size = row_size(&row);
        }
        self.left_bytes = self.left_bytes.saturating_sub(size);
        for (cell, heading) in row.iter().zip(&mut self.headings) {
            match cell.mark {
                Some(Mark::AsText) => heading.has_text_for_numbers = true,
                Some(Mark::Cut) => self.cut += 1,
                Some(Mark::Unreadable) => self.unreadable += 1,
                Some(Mark::Repaired) => self.repaired += 1,
                None => {}
            }
        }
        self.kept.push(row.into_iter().map(|c| c.value).collect());
        ControlFlow::Continue(())
    }

    /// The table, with what the configuration says of its columns.
    pub(crate) fn into_table(self, notes: &BTreeMap<String, ColumnConfig>, mut stats: TableStats) -> Table {
        stats.truncated = self.is_truncated;
        Table {
            warnings: self.warnings(),
            columns: self.headings.into_iter().map(|h| h.into_column(notes)).collect(),
            rows: self.kept,
            stats,
        }
    }

    fn warnings(&self) -> Vec<String> {
        let counted = [
            (self.cut, "were cut because they are too long"),
            (
                self.unreadable,
                "are empty because their type cannot be shown (the query can cast them to text)",
            ),
            (self.repaired, "held bytes that are no text and were replaced"),
        ];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        counted.map(|(count, what)| format!("values that {what}: {count}")).collect()
    }
}

impl Heading {
    fn into_column(self, notes: &BTreeMap<String, ColumnConfig>) -> Column {
        let note = notes.get(&self.name).cloned().unwrap_or_default();
        let mut kind = note.kind.or(self.kind).unwrap_or_else(|| "unknown".into());
        if self.has_text_for_numbers {
            kind.push_str(" (text where JSON cannot hold the number)");
        }
        let (unit, description) = (note.unit, note.description);
        Column { name: self.name, kind, unit, description, sources: self.sources }
    }
}

/// The bytes of a row in JSON, brackets and commas included.
fn row_size(row: &[Cell]) -> usize {
    row.iter().map(|c| json_size(&c.value) + 1).sum::<usize>() + 2
}

fn json_size(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail, and neither can writing a `Value`.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Cuts the longest values of a row until it fits; short ones stay whole.
fn shorten(row: &mut [Cell], budget: usize) {
    let mut sizes: Vec<usize> = row.iter().map(|c| json_size(&c.value) + 1).collect();
    sizes.sort_unstable();
    let mut left = budget.saturating_sub(2);
    let mut most = left;
    for (at, size) in sizes.iter().enumerate() {
        most = left / (sizes.len() - at);
        if *size > most {
            break;
        }
        left -= size;
    }
    for cell in row {
        if json_size(&cell.value) < most {
            continue;
        }
        match &mut cell.value {
            Value::String(text) => cut_text(text, most.saturating_sub(3)),
            Value::Array(_) | Value::Object(_) => cell.value = Value::Null,
            Value::Null | Value::Bool(_) | Value::Number(_) => continue,
        }
        cell.mark = Some(Mark::Cut);
    }
}

/// Cuts `text` so that it takes at most `most` bytes in JSON, quotes not counted.
fn cut_text(text: &mut String, most: usize) {
    let mut size = 0;
    let end = text.char_indices().find_map(|(at, c)| {
        size += json_size(&Value::String(c.to_string())) - 2;
        (size > most).then_some(at)
    });
    if let Some(end) = end {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rows(rows: usize, bytes: usize) -> Rows {
        Rows::new(
            RowLimits { rows, bytes },
            [("n".to_owned(), None), ("t".to_owned(), Some("text".to_owned()))],
        )
    }

    fn row(number: i64, text: &str) -> Vec<Cell> {
        vec![Cell::exact(number), Cell::exact(text)]
    }

    fn table(rows: Rows) -> Table {
        let stats = TableStats {
            truncated: false,
            elapsed_us: 7,
            query_hash: "sha256:00".into(),
            as_of: "2026-11-21T10:00:00.000000Z".into(),
        };
        let notes = BTreeMap::from([(
            "n".to_owned(),
            ColumnConfig { unit: Some("EUR".into()), description: Some("An amount.".into()), kind: None },
        )]);
        rows.into_table(&notes, stats)
    }

    #[test]
    fn the_limit_of_rows_itself_is_not_truncated_and_one_more_is() {
        let mut some = rows(2, 1_000);
        assert!(some.add(row(1, "a")).is_continue() && some.add(row(2, "b")).is_continue());
        let full = table(some);
        assert!(!full.stats.truncated && full.warnings.is_empty() && full.rows.len() == 2);

        let mut more = rows(2, 1_000);
        assert!(more.add(row(1, "a")).is_continue() && more.add(row(2, "b")).is_continue());
        assert!(more.add(row(3, "c")).is_break());
        let cut = table(more);
        assert!(cut.stats.truncated && cut.warnings.is_empty() && cut.rows.len() == 2);
    }

    #[test]
    fn the_limit_of_bytes_stops_before_the_row_that_does_not_fit() {
        let mut some = rows(100, 40);
        assert!(some.add(row(1, "0123456789")).is_continue());
        assert!(some.add(row(2, "0123456789")).is_continue());
        assert!(some.add(row(3, "0123456789")).is_break());
        let cut = table(some);
        assert!(cut.stats.truncated);
        assert_eq!(cut.rows.len(), 2);
    }

    #[test]
    fn a_first_row_that_is_too_long_keeps_its_short_values() {
        let mut some = rows(100, 30);
        assert!(some.add(row(42, &"x".repeat(500))).is_continue());
        assert!(some.add(row(43, "y")).is_break());
        let cut = table(some);
        assert_eq!(cut.rows, [vec![json!(42), json!("x".repeat(22))]]);
        assert!(cut.stats.truncated);
        assert_eq!(cut.warnings, ["values that were cut because they are too long: 1"]);
    }

    #[test]
    fn columns_say_what_is_known_of_them() {
        let mut some = rows(10, 1_000);
        some.learn_kind(0, "integer");
        some.learn_kind(1, "blob");
        assert!(some.add(vec![Cell::integer(i64::MAX), Cell::unreadable()]).is_continue());
        let table = table(some);
        assert_eq!(table.columns[0].kind, "integer (text where JSON cannot hold the number)");
        assert_eq!(table.columns[0].unit.as_deref(), Some("EUR"));
        assert_eq!(table.columns[1].kind, "text");
        assert_eq!(
            table.warnings,
            ["values that are empty because their type cannot be shown (the query can cast them to text): 1"]
        );
    }

    proptest! {
        #[test]
        fn no_result_is_larger_than_its_limit(
            texts in prop::collection::vec(("[\u{0}-\u{ff}\"\\\\]{0,40}", "[a-zé]{0,40}"), 1..8), bytes in 16_usize..200
        ) {
            let mut some = Rows::new(RowLimits { rows: 5, bytes }, []);
            for (one, other) in &texts {
                if some.add(vec![Cell::exact(one.as_str()), Cell::exact(other.as_str())]).is_break() {
                    break;
                }
            }
            let size: usize = some.kept.iter().map(|r| json_size(&Value::Array(r.clone())) + 1).sum();
            prop_assert!(size <= bytes && some.kept.len() <= 5 && !some.kept.is_empty(), "{size} of {bytes}");
        }
    }
}

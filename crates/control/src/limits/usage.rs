//! What a call brought: rows, tokens and cost.
//!
//! A tool may say so itself, in `_meta` of its result under [`USAGE_META`]. Where it does not, rows are
//! those of the table that the result is, else one; tokens are a quarter of the result's bytes, as text
//! in English has; and the cost is one unit.

use std::collections::BTreeMap;

use quaymaster_core::Measure;
use serde_json::Value;

/// Where in a result's `_meta` a tool says what it used: `{rows, tokens, cost}`, all optional.
pub(super) const USAGE_META: &str = "dev.quaymaster/usage";
/// Most that one call can be counted as, whatever its tool says.
const MOST: u64 = 1_000_000_000;

/// What `result`, a result object as JSON text, brought.
pub(super) fn usage(result: &str) -> BTreeMap<Measure, u64> {
    let value: Value = serde_json::from_str(result).unwrap_or_default();
    let told = value.get("_meta").and_then(|meta| meta.get(USAGE_META));
    let told = |name: &str| told.and_then(|told| told.get(name)).and_then(Value::as_u64);
    let tokens = u64::try_from(result.len().div_ceil(4)).unwrap_or(MOST);
    [(Measure::Rows, rows(&value)), (Measure::Tokens, tokens), (Measure::Cost, 1)]
        .into_iter()
        .map(|(measure, guessed)| (measure, told(measure.as_str()).unwrap_or(guessed).min(MOST)))
        .collect()
}

fn rows(value: &Value) -> u64 {
    let tables = ["/structuredContent/data/rows", "/structuredContent/rows"];
    let table = tables.into_iter().find_map(|path| value.pointer(path)?.as_array());
    table.map_or(1, |rows| u64::try_from(rows.len()).unwrap_or(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_tool_says_counts_and_else_what_can_be_seen() {
        let of = |value: &Value| usage(&value.to_string()).into_values().collect::<Vec<_>>();
        let table = json!({"structuredContent": {"data": {"rows": [[1], [2], [3]]}}});
        assert_eq!(of(&table), [3, u64::try_from(table.to_string().len().div_ceil(4)).expect("small"), 1]);
        let told = json!({"_meta": {"dev.quaymaster/usage": {"rows": 7, "tokens": 5, "cost": u64::MAX}}});
        assert_eq!(of(&told), [7, 5, MOST]);
        assert_eq!(usage("not JSON").get(&Measure::Rows), Some(&1));
    }
}

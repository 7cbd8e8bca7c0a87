//! Words that are no names of data, and functions of which it is known that they read nothing by themselves.
//!
//! Flat tables. A word is a keyword here if no expression is called so by itself: PostgreSQL calls
//! `exists(…)` `exists`, so that is none. Where a column is called like a keyword the word is that column.

use super::tokens::Token;

/// Words that put SELECTs together.
pub(super) const SETS: &[&str] = &["union", "intersect", "except"];

/// Words that end the expressions of a SELECT, beside FROM, and what stands behind FROM.
pub(super) const ENDS: &[&str] = &[
    "where",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "fetch",
    "union",
    "intersect",
    "except",
    "window",
    "for",
];

/// Whether `word` is never the name of data.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&word).is_ok()
}

#[rustfmt::skip]
const KEYWORDS: &[&str] = &[
    "all", "and", "any", "as", "asc", "between", "by", "case", "collate", "cross", "current_date", "current_time", "current_timestamp", "desc", "distinct", "else", "end", "escape",
    "except", "false", "fetch", "filter", "following", "for", "from", "full", "glob", "group", "having", "ilike", "in", "inner", "intersect",
    "is", "isnull", "join", "lateral", "left", "like", "limit", "materialized", "natural", "not", "notnull", "null", "offset", "on", "or", "order", "outer", "over", "partition",
    "preceding", "recursive", "right", "select", "similar", "some", "then", "true", "unbounded", "union", "using", "when", "where", "window", "with", "within",
];

/// Whether everything that is called in a statement is known to read nothing by itself.
pub(super) fn are_known(tokens: &[Token]) -> bool {
    tokens.iter().enumerate().all(|(at, token)| {
        let is_called = tokens.get(at + 1).is_some_and(|next| next.is_sign("("));
        match token {
            Token::Word { text, is_quoted } if is_called => {
                let is_known = is_keyword(text) || PURE.binary_search(&text.as_str()).is_ok();
                (is_known && !is_quoted && !of_schema(tokens, at)) || is_list(tokens, at)
            }
            _ => true,
        }
    })
}

/// Whether a function is named with its schema, which may have one of its own of that name.
fn of_schema(tokens: &[Token], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| tokens.get(before)).is_some_and(|token| token.is_sign("."))
}

/// Whether the word at `at` is a common table expression with a list of its columns: `x (a, b) as (select`.
pub(super) fn is_list(tokens: &[Token], at: usize) -> bool {
    let Some(after) = tokens.get(at + 1..) else { return false };
    if !after.first().is_some_and(|token| token.is_sign("(")) {
        return false;
    }
    let Some(end) = after.iter().position(|token| token.is_sign(")")) else { return false };
    let inside = after.get(1..end).unwrap_or_default();
    let is_plain = inside.iter().all(|token| matches!(token, Token::Word { .. } | Token::Sign(",")));
    let mut behind = after.get(end + 1..).unwrap_or_default().iter();
    let is_as = behind.next().is_some_and(|token| token.is("as"));
    let mut behind = behind.skip_while(|token| token.is("not") || token.is("materialized"));
    let opens = behind.next().is_some_and(|token| token.is_sign("("));
    let begins =
        behind.next().is_some_and(|token| ["select", "with", "values"].iter().any(|word| token.is(word)));
    is_plain && is_as && opens && begins
}

/// Functions of SQLite and PostgreSQL, and what is written like one, sorted. Whatever runs a text as a query
/// (`query_to_xml`), reads a file, or reads all of a row that it is not given (`highlight`) is deliberately not in it.
#[rustfmt::skip]
const PURE: &[&str] = &[
    "abs", "age", "array", "array_agg", "array_length", "array_to_string", "ascii", "avg",
    "bool_and", "bool_or", "btrim",
    "cardinality", "cast", "ceil", "ceiling", "char", "char_length", "coalesce", "concat", "concat_ws", "corr", "count", "cume_dist",
    "date", "date_part", "date_trunc", "datetime", "decode", "degrees", "dense_rank",
    "encode", "every", "exists", "exp", "extract",
    "first_value", "floor", "format",
    "generate_series", "greatest", "group_concat", "grouping",
    "hex",
    "ifnull", "iif", "initcap", "instr", "interval",
    "json", "json_agg", "json_array", "json_array_elements", "json_array_elements_text", "json_array_length", "json_build_array", "json_build_object", "json_each", "json_each_text", "json_extract", "json_group_array", "json_group_object",
    "json_object", "json_object_agg", "json_tree", "json_type", "json_valid", "jsonb_agg", "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_build_array", "jsonb_build_object", "jsonb_each", "jsonb_each_text", "jsonb_object_agg",
    "julianday",
    "lag", "last_value", "lead", "least", "left", "length", "ln", "log", "lower", "lpad", "ltrim",
    "make_date", "max", "md5", "median", "min", "mod", "mode",
    "now", "nth_value", "ntile", "nullif", "numeric",
    "octet_length", "overlay",
    "percent_rank", "percentile_cont", "percentile_disc", "position", "pow", "power", "printf",
    "quote",
    "radians", "rank", "regexp_matches", "regexp_replace", "regexp_split_to_table", "repeat", "replace", "reverse", "right", "round", "row", "row_number", "row_to_json", "rpad", "rtrim",
    "sign", "split_part", "sqrt", "starts_with", "stddev", "strftime", "string_agg", "string_to_array", "strpos", "substr", "substring", "sum",
    "time", "to_char", "to_date", "to_json", "to_jsonb", "to_number", "to_timestamp", "total", "translate", "trim", "trunc", "typeof",
    "unicode", "unixepoch", "unnest", "upper",
    "values", "var_pop", "var_samp", "varchar", "variance",
    "width_bucket",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        assert!(KEYWORDS.is_sorted() && PURE.is_sorted());
    }
}

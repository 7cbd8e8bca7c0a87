//! Where SQLite takes what stands between single quotes for a name (its documentation, "Quirks", section 8).

use super::functions::is_keyword;
use super::tokens::Token;

/// Words behind which tables stand.
const BEFORE_TABLES: [&str; 2] = ["from", "join"];
/// Words with which a list of tables ends.
const BEHIND_TABLES: [&str; 12] = [
    "where",
    "group",
    "having",
    "window",
    "order",
    "limit",
    "union",
    "intersect",
    "except",
    "select",
    "on",
    "using",
];

/// Whether a literal may be the name of a table or of a column that something else speaks of. What the columns of
/// the statement itself are called does not matter, unless it `is_view`.
pub(super) fn are_names(tokens: &[Token], is_view: bool) -> bool {
    // For each depth of parentheses, whether tables are listed.
    let mut tables = vec![false];
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let next = tokens.get(at + 1);
        match token {
            Token::Sign("(") => tables.push(tables.last().copied().unwrap_or_default()),
            Token::Sign(")") if tables.len() > 1 => drop(tables.pop()),
            Token::Word { text, is_quoted: false } => {
                let listed = tables.last_mut();
                if let Some(listed) = listed {
                    *listed = BEFORE_TABLES.contains(&text.as_str())
                        || (*listed && !BEHIND_TABLES.contains(&text.as_str()));
                }
            }
            Token::Literal => {
                let is_inner = is_view || tables.len() > 1;
                let is_part = [before, next].into_iter().flatten().any(|near| near.is_sign("."));
                let is_table = tables.last().copied().unwrap_or_default();
                if is_part || is_table || (is_inner && before.is_some_and(ends_an_expression)) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Whether a literal behind this is what an expression is called.
fn ends_an_expression(token: &Token) -> bool {
    match token {
        Token::Word { text, is_quoted } => *is_quoted || text == "as" || text == "end" || !is_keyword(text),
        Token::Value | Token::Literal => true,
        other => other.is_sign(")"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;
    use crate::sql::config::Dialect;

    #[test]
    fn a_literal_in_the_place_of_a_name_is_found() {
        let are = |sql: &str, is_view| are_names(&tokens(sql, Dialect::Sqlite), is_view);
        for sql in [
            "SELECT email FROM 'customers'",
            "SELECT email FROM a, 'customers'",
            "SELECT email FROM (a, 'customers')",
            "SELECT email FROM a JOIN 'customers' ON 1",
            "SELECT customers.'email' FROM customers",
            "SELECT 'customers'.email FROM customers",
            "SELECT id FROM (SELECT email AS 'id' FROM customers)",
            "SELECT id FROM (SELECT email 'id' FROM customers)",
            "SELECT id FROM (SELECT upper(email) 'id' FROM customers)",
            "WITH t AS (SELECT email 'id' FROM customers) SELECT id FROM t",
        ] {
            assert!(are(sql, false), "{sql}");
        }
        for sql in [
            "SELECT email 'city', 'x' || name FROM customers WHERE name = 'a' OR name LIKE 'b' ORDER BY 'c'",
            "SELECT date('now'), CASE WHEN city = 'a' THEN 'b' ELSE 'c' END FROM customers WHERE city IN ('a', 'b')",
            "SELECT id FROM (SELECT id FROM customers WHERE city = 'a' AND name LIKE 'b')",
        ] {
            assert!(!are(sql, false), "{sql}");
        }
        assert!(are("SELECT email 'id' FROM customers", true), "others know a view's columns by their names");
    }
}

//! Templates: what is a parameter, what is a literal, and what is refused.

use proptest::prelude::*;

use super::Dialect::{Postgres, Sqlite};
use super::*;

fn read(sql: &str, dialect: Dialect) -> (String, Vec<String>) {
    let template = Template::parse(sql, dialect).expect("a template");
    (template.text().to_string(), template.names().to_vec())
}

fn refused(sql: &str, dialect: Dialect) -> String {
    Template::parse(sql, dialect).map_or_else(|e| e.message, |t| format!("accepted as {}", t.text()))
}

#[test]
fn a_parameter_used_twice_is_bound_once() {
    let sql = "SELECT 1 WHERE a >= :from AND b < :to AND (:region::text IS NULL OR c = :region)";
    let names = vec!["from".to_owned(), "to".to_owned(), "region".to_owned()];
    assert_eq!(
        read(sql, Postgres),
        ("SELECT 1 WHERE a >= $1 AND b < $2 AND ($3::text IS NULL OR c = $3)".to_owned(), names.clone())
    );
    let plain = sql.replace("::text", "");
    assert_eq!(
        read(&plain, Sqlite),
        ("SELECT 1 WHERE a >= ?1 AND b < ?2 AND (?3 IS NULL OR c = ?3)".to_owned(), names)
    );
}

#[test]
fn what_looks_like_a_parameter_inside_quotes_or_comments_is_text() {
    for sql in [
        "SELECT ':a', 'it''s :a', \":a\", \"x\"\":a\" -- :a",
        "SELECT $$ :a $$, $tag$ :a $$ $tag$, a$b$c",
        "SELECT 1 /* :a /* :a */ :a */",
        "SELECT x::int, '{}'::jsonb, arr[1: 2], E'\\n:a'",
        "SELECT a -> 'b' ->> 'c', a @> '[]', a ? 'b'",
    ] {
        assert_eq!(read(sql, Postgres), (sql.to_owned(), vec![]), "{sql}");
    }
    for sql in ["SELECT [:a], `:a`, `x``:a`, ':a' /* /* :a */", "SELECT x'00', \":a\" -- :a"] {
        assert_eq!(read(sql, Sqlite), (sql.to_owned(), vec![]), "{sql}");
    }
    assert_eq!(read("SELECT 1 /* /* */ + :a", Sqlite).1, ["a"]);
}

#[test]
fn one_statement_may_end_with_a_semicolon_and_two_are_refused() {
    assert_eq!(read("SELECT 1 ; -- done\n;", Postgres).0, "SELECT 1");
    assert_eq!(refused("SELECT 1; DROP TABLE t", Postgres), "the statement goes on after a `;`");
    assert_eq!(refused("SELECT 1;/**/SELECT 2", Sqlite), "the statement goes on after a `;`");
    assert_eq!(read("SELECT ';'", Sqlite).0, "SELECT ';'");
}

#[test]
fn a_statement_that_does_not_read_is_refused_with_a_reason() {
    let message = "the statement does not begin with SELECT, WITH or VALUES";
    for sql in ["DELETE FROM t", "/* SELECT */ UPDATE t SET a = 1", "", "-- SELECT", "(SELECT 1)", "1", ":a"]
    {
        assert_eq!(refused(sql, Postgres), message, "{sql}");
    }
    for sql in ["select 1", "-- why\nWith a AS (SELECT 1) SELECT * FROM a", "VALUES (1)"] {
        assert_eq!(read(sql, Postgres).0, sql);
    }
}

#[test]
fn what_two_scanners_could_read_differently_is_refused() {
    assert!(refused(r"SELECT E'\' :a'", Postgres).contains("can be read in two ways"));
    assert!(refused(r"SELECT 'c:\', :a", Postgres).contains("can be read in two ways"));
    assert_eq!(read(r"SELECT 'c:\', :a", Sqlite).1, ["a"]);
    assert_eq!(refused("SELECT arr[1:n]", Postgres), "the parameter `:n` touches the word beside it");
    assert_eq!(refused("SELECT :aé", Sqlite), "the parameter `:a` touches the word beside it");
    assert_eq!(refused("SELECT $1", Postgres), "the statement holds a `$` parameter");
    for (sql, sign) in
        [("SELECT ?", '?'), ("SELECT $a", '$'), ("SELECT @a", '@'), ("SELECT :1", ':'), ("SELECT :é", ':')]
    {
        assert_eq!(refused(sql, Sqlite), format!("the statement holds a `{sign}` parameter"));
    }
}

#[test]
fn what_is_not_closed_is_refused() {
    for (sql, what) in [
        ("SELECT 'a", "literal"),
        ("SELECT \"a", "quoted identifier"),
        ("SELECT $x$ a $y$", "dollar-quoted literal"),
        ("SELECT 1 /* /* */", "comment"),
    ] {
        assert_eq!(refused(sql, Postgres), format!("a {what} is not closed"));
    }
    assert_eq!(refused("SELECT [a", Sqlite), "a quoted identifier is not closed");
    assert_eq!(refused("SELECT 'a\0'", Sqlite), "the statement holds a NUL character");
    assert!(refused(&format!("SELECT '{}'", "a".repeat(MAX_TEXT_BYTES)), Sqlite).contains("64 KiB"));
}

/// A piece of SQL in which nothing is a parameter.
fn inert(dialect: Dialect) -> impl Strategy<Value = String> {
    let quote = if dialect == Postgres { "$q$" } else { "`" };
    prop_oneof![
        "[a-z :;$?@-]{0,12}".prop_map(|s| format!("'{s}'")),
        "[a-z :;?@'-]{0,12}".prop_map(|s| format!("\"{s}\"")),
        "[a-z :;?@'\"-]{0,12}".prop_map(move |s| format!("{quote}{s}{quote}")),
        "[a-z :;$?@'\"`-]{0,12}".prop_map(|s| format!("/*{s}*/")),
        "[a-z :;$?@'\"`-]{0,12}".prop_map(|s| format!("--{s}\n")),
        "[a-z_é][a-z0-9_]{0,5}",
        Just("::int".to_owned()),
        Just("(1 + 2.5e3)".to_owned()),
    ]
}

fn pieces(dialect: Dialect) -> impl Strategy<Value = Vec<(String, Option<u8>)>> {
    prop::collection::vec((inert(dialect), prop::option::of(0_u8..4)), 0..10)
}

fn found_are_the_planted(dialect: Dialect, pieces: &[(String, Option<u8>)]) -> Result<(), TestCaseError> {
    let sign = if dialect == Postgres { '$' } else { '?' };
    let (mut sql, mut expected, mut names) =
        ("SELECT ".to_owned(), "SELECT ".to_owned(), Vec::<String>::new());
    for (text, parameter) in pieces {
        sql.push_str(text);
        expected.push_str(text);
        if let Some(number) = parameter {
            let name = format!("p{number}");
            if !names.contains(&name) {
                names.push(name.clone());
            }
            let position = names.iter().position(|n| *n == name).unwrap_or_default() + 1;
            sql = format!("{sql} :{name}");
            expected = format!("{expected} {sign}{position}");
        }
        sql.push(' ');
        expected.push(' ');
    }
    let template = Template::parse(&sql, dialect).map_err(|e| TestCaseError::fail(e.message))?;
    prop_assert_eq!(template.text().as_ref(), expected.trim());
    prop_assert_eq!(template.names(), names);
    Ok(())
}

proptest! {
    #[test]
    fn exactly_the_planted_parameters_are_found_in_postgres(pieces in pieces(Postgres)) {
        found_are_the_planted(Postgres, &pieces)?;
    }

    #[test]
    fn exactly_the_planted_parameters_are_found_in_sqlite(pieces in pieces(Sqlite)) {
        found_are_the_planted(Sqlite, &pieces)?;
    }

    #[test]
    fn no_text_makes_the_scanner_panic(sql in "(SELECT )?[a-z:;'\"`$é\\[\\]?@/*\\\\ -]{0,40}") {
        for dialect in [Postgres, Sqlite] {
            if let Ok(template) = Template::parse(&sql, dialect) {
                prop_assert!(!template.text().contains('\0'));
            }
        }
    }
}

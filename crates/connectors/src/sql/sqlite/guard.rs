//! A connection to a SQLite file that can read and nothing else.
//!
//! Opening a file read-only leaves much possible: attaching other files, writing
//! one with `VACUUM INTO`, changing settings, filling memory. So each connection
//! gets an authorizer that knows what a SELECT needs and refuses the rest. The
//! templates that run on it are `template`'s and `plan`'s business.
//!
//! Invariants:
//! - What the authorizer does not know is refused: actions and functions alike.
//! - The authorizer is set before the first statement of a template is prepared,
//!   and never taken away.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

/// Longest text or blob that a query may make or read.
const MAX_VALUE_BYTES: i32 = 16 * 1024 * 1024;
const MAX_PATTERN_BYTES: i32 = 1_000;

/// Opens `path` for reading.
pub(super) fn open(path: &Path, lock_timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(lock_timeout)?;
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
        // A misspelt column in double quotes should be an error and not a text.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    connection.pragma_update(None, "query_only", true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    connection.authorizer(Some(authorize))?;
    Ok(connection)
}

fn authorize(context: AuthContext<'_>) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => is_harmless(function_name),
        // Full-text search asks for one, `data_version`, before each query.
        AuthAction::Pragma { pragma_name, pragma_value } => {
            pragma_name == "data_version" && pragma_value.is_none()
        }
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}

/// Whether a function has no effect and does not read beyond the database.
fn is_harmless(name: &str) -> bool {
    HARMLESS.binary_search(&name.to_ascii_lowercase().as_str()).is_ok()
}

/// A flat table of the functions of SQLite 3.53, sorted. Deliberately not in it:
/// `edit`, `fts3_tokenizer`, `load_extension`, `randomblob`, `readfile`,
/// `sqlite_compileoption_*`, `sqlite_log`, `sqlite_offset`, `writefile`,
/// `zeroblob`, and whatever an extension adds.
#[rustfmt::skip]
const HARMLESS: &[&str] = &[
    "->", "->>",
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "avg",
    "bm25",
    "ceil", "ceiling", "char", "coalesce", "concat", "concat_ws", "cos", "cosh", "count", "cume_dist", "current_date", "current_time", "current_timestamp",
    "date", "datetime", "degrees", "dense_rank",
    "exp",
    "first_value", "floor", "format",
    "glob", "group_concat",
    "hex", "highlight",
    "ifnull", "iif", "instr",
    "json", "json_array", "json_array_length", "json_each", "json_error_position", "json_extract", "json_group_array", "json_group_object", "json_object", "json_patch", "json_pretty", "json_quote", "json_tree", "json_type", "json_valid",
    "jsonb", "jsonb_array", "jsonb_each", "jsonb_extract", "jsonb_group_array", "jsonb_group_object", "jsonb_object", "jsonb_patch", "jsonb_tree",
    "julianday",
    "lag", "last_value", "lead", "length", "like", "likelihood", "likely", "ln", "log", "log10", "log2", "lower", "ltrim",
    "match", "matchinfo", "max", "median", "min", "mod",
    "nth_value", "ntile", "nullif",
    "octet_length", "offsets",
    "percent_rank", "percentile", "percentile_cont", "percentile_disc", "pi", "pow", "power", "printf",
    "quote",
    "radians", "random", "rank", "regexp", "replace", "round", "row_number", "rtrim",
    "sign", "sin", "sinh", "snippet", "soundex", "sqlite_version", "sqrt", "strftime", "string_agg", "substr", "substring", "subtype", "sum",
    "tan", "tanh", "time", "timediff", "total", "trim", "trunc", "typeof",
    "unhex", "unicode", "unistr", "unistr_quote", "unixepoch", "unlikely", "upper",
];

#[cfg(test)]
mod tests {
    use rusqlite::ErrorCode;
    use tempfile::TempDir;

    use super::*;

    /// A folder with one database, and that database behind the guard.
    fn guarded() -> (TempDir, Connection) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("company.db");
        let owner = Connection::open(&path).expect("a new database");
        owner
            .execute_batch(
                "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two');
                 CREATE VIEW v AS SELECT max(a) AS most FROM t;
                 CREATE VIRTUAL TABLE notes USING fts5(body); INSERT INTO notes VALUES ('the quay at dawn');
                 CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1); INSERT INTO boxes VALUES (1, 0, 9);",
            )
            .expect("its tables");
        drop(owner);
        let connection = open(&path, Duration::from_millis(50)).expect("a guarded connection");
        (folder, connection)
    }

    fn files(folder: &TempDir) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(folder.path()).expect("a folder");
        let read =
            |path: std::path::PathBuf| (path.display().to_string(), std::fs::read(&path).expect("a file"));
        let mut files: Vec<_> = entries.map(|e| read(e.expect("an entry").path())).collect();
        files.sort();
        files
    }

    #[test]
    fn whatever_changes_attaches_or_reaches_out_is_refused_by_the_database() {
        let (folder, connection) = guarded();
        let before = files(&folder);
        let beside = folder.path().join("other.db").display().to_string();
        for attack in [
            "INSERT INTO t VALUES (3, 'three')",
            "UPDATE t SET a = 0",
            "DELETE FROM t",
            "REPLACE INTO t VALUES (1, 'x')",
            "WITH x AS (SELECT 9) INSERT INTO t SELECT *, '' FROM x",
            "CREATE TABLE u (a)",
            "CREATE TEMP TABLE u (a)",
            "CREATE TEMP VIEW w AS SELECT 1",
            "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
            "DROP TABLE t",
            "ALTER TABLE t RENAME TO u",
            "CREATE INDEX i ON t (a)",
            "REINDEX",
            "ANALYZE",
            "VACUUM",
            &format!("VACUUM INTO '{beside}'"),
            &format!("ATTACH '{beside}' AS other"),
            "ATTACH ':memory:' AS other",
            "DETACH main",
            "BEGIN IMMEDIATE",
            "SAVEPOINT s",
            "PRAGMA writable_schema = on",
            "PRAGMA query_only = off",
            "PRAGMA trusted_schema = on",
            "PRAGMA journal_mode = delete",
            "PRAGMA database_list",
            "PRAGMA data_version = 3",
            "SELECT * FROM pragma_database_list",
            "SELECT load_extension('x')",
            "SELECT writefile('x', 'y')",
            "SELECT readfile('/etc/hostname')",
            "SELECT length(randomblob(1000000000))",
            "SELECT length(zeroblob(1000000000))",
            "SELECT fts3_tokenizer('simple')",
            "SELECT * FROM sqlite_dbpage",
            "INSERT INTO notes(notes) VALUES ('rebuild')",
            // Opening an R-tree prepares statements that would change it.
            "SELECT * FROM boxes",
        ] {
            let outcome = connection.execute_batch(attack);
            let error = outcome.expect_err(attack);
            let code = super::super::sqlite_error(&error).map(|e| e.code);
            // Unknown is `no such function` and `no such table`: there is nothing to refuse.
            let refused =
                [ErrorCode::AuthorizationForStatementDenied, ErrorCode::Unknown, ErrorCode::ReadOnly];
            assert!(code.is_some_and(|c| refused.contains(&c)), "{attack}: {error}");
        }
        assert_eq!(files(&folder), before);
    }

    #[test]
    fn what_a_query_needs_is_allowed() {
        let (_folder, connection) = guarded();
        for (query, expected) in [
            ("SELECT count(*) FROM t WHERE b LIKE 't%'", "1"),
            ("SELECT most FROM v", "2"),
            (
                "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT sum(n) FROM c",
                "15",
            ),
            ("SELECT sum(value) FROM json_each('[1, 2, 3]')", "6"),
            ("SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY a) AS r FROM t)", "2"),
            ("SELECT count(*) FROM notes WHERE notes MATCH 'quay' ORDER BY bm25(notes)", "1"),
            ("SELECT strftime('%Y', '2026-11-21')", "2026"),
            ("SELECT '{\"a\": 7}' ->> 'a'", "7"),
        ] {
            let value: rusqlite::Result<String> =
                connection.query_one(&format!("SELECT CAST(({query}) AS TEXT)"), [], |row| row.get(0));
            assert_eq!(value.as_deref(), Ok(expected), "{query}");
        }
    }

    #[test]
    fn a_value_cannot_fill_memory() {
        let (_folder, connection) = guarded();
        let bomb = "SELECT length(replace(printf('%.*c', 10000000, 'x'), 'x', 'xxxxxxxxxx'))";
        let error = connection.query_one(bomb, [], |row| row.get::<_, i64>(0)).expect_err("too big");
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::TooBig));
    }

    #[test]
    fn the_table_of_functions_is_sorted() {
        assert!(HARMLESS.is_sorted());
    }

    #[test]
    fn functions_that_reach_out_are_not_harmless() {
        for name in
            ["load_extension", "writefile", "readfile", "LOAD_EXTENSION", "fts3_tokenizer", "zeroblob"]
        {
            assert!(!is_harmless(name), "{name}");
        }
        assert!(is_harmless("COUNT"));
    }
}

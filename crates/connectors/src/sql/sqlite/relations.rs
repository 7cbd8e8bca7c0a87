//! The tables and views of a SQLite file that a statement speaks of.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::sql::config::Dialect;
use crate::sql::lineage::{Relation, generated, names};

/// Those of `connection` whose names are in `sql` or in a view among them.
///
/// # Errors
///
/// What SQLite has against being asked.
pub(super) fn relations(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Relation>> {
    let mut all =
        connection.prepare_cached("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let all = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let all = all.collect::<rusqlite::Result<Vec<(String, String, String)>>>()?;
    let mut wanted = names(sql, Dialect::Sqlite);
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut found = Vec::new();
    loop {
        let more = all.iter().filter(|(kind, name, _)| {
            let name = name.to_lowercase();
            matches!(kind.as_str(), "table" | "view") && wanted.contains(&name) && !taken.contains(&name)
        });
        let more: Vec<_> = more.collect();
        if more.is_empty() {
            return Ok(found);
        }
        for (kind, name, definition) in more {
            taken.insert(name.to_lowercase());
            let relation = describe(connection, kind, name, definition)?;
            if let Some(view) = &relation.view {
                wanted.extend(names(view, Dialect::Sqlite));
            }
            found.push(relation);
        }
    }
}

fn describe(connection: &Connection, kind: &str, name: &str, definition: &str) -> rusqlite::Result<Relation> {
    let quoted = name.replace('"', "\"\"");
    let columns = connection.prepare(&format!("SELECT * FROM \"{quoted}\" LIMIT 0"))?;
    let columns = columns.column_names().map(str::to_owned).collect();
    let small = definition.to_lowercase();
    let words: Vec<&str> =
        small.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect();
    let is_view = kind == "view";
    // `create view v (a, b) as select …` and `create view v as select …`
    let body = if is_view { view_body(definition) } else { None };
    let made = if is_view { Some(Vec::new()) } else { generated(definition) };
    Ok(Relation {
        schema: None,
        name: name.to_owned(),
        columns,
        // Of a view that cannot be read nothing can be told.
        is_foreign: if is_view { body.is_none() } else { made.is_none() || words.get(1) == Some(&"virtual") },
        renames: body.is_some_and(|(renames, _)| renames),
        view: body.map(|(_, body)| body.to_owned()),
        generated: made.unwrap_or_default(),
    })
}

/// What a view selects, and whether it has a list of names of its own.
fn view_body(definition: &str) -> Option<(bool, &str)> {
    let small = definition.to_ascii_lowercase();
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '"');
    let mut from = 0;
    while let Some(at) = small.get(from..)?.find("as").map(|at| at + from) {
        let (before, after) = (small.get(..at)?, small.get(at + 2..)?);
        let stands_alone = !is_word(before.chars().next_back()) && !is_word(after.chars().next());
        let begins = after.trim_start();
        if stands_alone
            && (begins.starts_with("select") || begins.starts_with("with") || begins.starts_with("values"))
        {
            return Some((before.contains('('), definition.get(at + 2..)?));
        }
        from = at + 2;
    }
    None
}

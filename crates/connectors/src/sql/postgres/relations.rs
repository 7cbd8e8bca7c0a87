//! The tables and views of a PostgreSQL server that a statement speaks of.

use std::collections::BTreeSet;

use tokio_postgres::GenericClient;

use crate::sql::config::Dialect;
use crate::sql::lineage::{Relation, names};

/// Most views that stand on each other.
const MAX_LAYERS: usize = 32;

/// Everything with one of these names in any schema, with what is a part of it and what it is a part of.
const QUERY: &str = "WITH RECURSIVE related AS (
  SELECT c.oid FROM pg_catalog.pg_class c
  WHERE pg_catalog.lower(c.relname::pg_catalog.text) = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION
  SELECT CASE WHEN i.inhparent = r.oid THEN i.inhrelid ELSE i.inhparent END
  FROM pg_catalog.pg_inherits i JOIN related r ON r.oid IN (i.inhparent, i.inhrelid)
)
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
  CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END,
  c.relkind = 'f',
  ARRAY (SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attgenerated <> ''),
  ARRAY (SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM related r JOIN pg_catalog.pg_class c ON c.oid = r.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";

/// Those whose names are in `sql` or in a view among them.
///
/// # Errors
///
/// What the server has against being asked.
pub(super) async fn relations(
    client: &impl GenericClient,
    sql: &str,
) -> Result<Vec<Relation>, tokio_postgres::Error> {
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut wanted = spellings(sql);
    let mut found: Vec<Relation> = Vec::new();
    for _ in 0..MAX_LAYERS {
        let new: Vec<String> = wanted.difference(&asked).cloned().collect();
        if new.is_empty() {
            return Ok(found);
        }
        asked.extend(new.iter().cloned());
        for row in client.query(QUERY, &[&new]).await? {
            let relation = Relation {
                schema: Some(row.try_get(0)?),
                name: row.try_get(1)?,
                view: row.try_get(2)?,
                is_foreign: row.try_get(3)?,
                generated: row.try_get(4)?,
                columns: row.try_get(5)?,
                renames: false,
            };
            wanted.extend(relation.view.as_deref().map(spellings).into_iter().flatten());
            if !found.iter().any(|known| known.schema == relation.schema && known.name == relation.name) {
                found.push(relation);
            }
        }
    }
    // Views that stand on each other without end are of another world.
    found.push(Relation { is_foreign: true, ..Relation::default() });
    Ok(found)
}

/// The names in `sql` as the server may have them.
fn spellings(sql: &str) -> BTreeSet<String> {
    names(sql, Dialect::Postgres)
}

//! The sample company's database: SQLite, the same for everyone.
//!
//! This module owns the schema and how the records of [`super::world`] get into
//! it. Nothing here asks it anything: that is what the demo's SQL connector is for.
//!
//! Invariants:
//! - The file is there complete or not at all: it is written under another name first.
//! - A file that is already there is never written to.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, bail};
use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::world::World;

const SCHEMA: &str = include_str!("company/schema.sql");

/// `QMDC` in ASCII: what SQLite's header says that the file is.
const APPLICATION_ID: i32 = 0x514d_4443;
/// Grows when the rows or the schema change.
const CONTENT_VERSION: i32 = 1;

/// How many rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) accounts: u32,
    pub(crate) contracts: u32,
    pub(crate) bookings: u32,
    pub(crate) tickets: u32,
}

/// Creates the database at `path`, or finds it there from an earlier demo, and counts its rows.
///
/// # Errors
///
/// If `path` holds something else, or cannot be written.
pub(crate) fn create(path: &Path) -> anyhow::Result<Counts> {
    if !path.try_exists()? {
        let partial = partial_path(path);
        remove_if_there(&partial).with_context(|| format!("cannot replace `{}`", partial.display()))?;
        write(&partial).with_context(|| format!("cannot write `{}`", partial.display()))?;
        fs::rename(&partial, path).with_context(|| format!("cannot create `{}`", path.display()))?;
    }
    read_counts(path)
}

fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn write(path: &Path) -> anyhow::Result<()> {
    let world = World::new();
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", CONTENT_VERSION)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    insert_accounts(&transaction, &world)?;
    insert_contracts(&transaction, &world)?;
    insert_bookings(&transaction, &world)?;
    insert_tickets(&transaction, &world)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn insert_accounts(transaction: &Transaction<'_>, world: &World) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for account in &world.accounts {
        insert.execute(params![
            account.id,
            account.name,
            account.segment,
            account.industry,
            account.region,
            account.country,
            account.owner,
            account.health_score,
            account.contact_name,
            account.contact_email,
            account.iban,
        ])?;
    }
    Ok(())
}

fn insert_contracts(transaction: &Transaction<'_>, world: &World) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO contracts VALUES (?, ?, ?, ?, ?, ?, ?)")?;
    for contract in &world.contracts {
        insert.execute(params![
            contract.id,
            contract.account.id,
            contract.product,
            contract.starts_on.to_string(),
            contract.ends_on.to_string(),
            contract.renewal,
            contract.annual_value_cents,
        ])?;
    }
    Ok(())
}

fn insert_bookings(transaction: &Transaction<'_>, world: &World) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO bookings VALUES (NULL, ?, ?, ?, ?, ?)")?;
    for booking in &world.bookings {
        insert.execute(params![
            booking.contract.id,
            booking.booked_at.to_string(),
            booking.contract.account.region,
            booking.kind,
            booking.amount_cents,
        ])?;
    }
    Ok(())
}

fn insert_tickets(transaction: &Transaction<'_>, world: &World) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
    for ticket in &world.tickets {
        insert.execute(params![
            ticket.id,
            ticket.account.id,
            ticket.product,
            ticket.severity,
            ticket.status,
            ticket.subject,
            ticket.opened_at.to_string(),
            ticket.closed_at.map(|day| day.to_string()),
        ])?;
    }
    Ok(())
}

fn read_counts(path: &Path) -> anyhow::Result<Counts> {
    let other = || {
        format!("`{}` is not the demo's database of this version: move it away and try again", path.display())
    };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let found = (pragma("application_id").with_context(other)?, pragma("user_version").with_context(other)?);
    if found != (APPLICATION_ID, CONTENT_VERSION) {
        bail!(other());
    }
    let sql = "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM contracts),
                      (SELECT count(*) FROM bookings), (SELECT count(*) FROM tickets)";
    let counts = connection.query_row(sql, [], |row| {
        Ok(Counts {
            accounts: row.get(0)?,
            contracts: row.get(1)?,
            bookings: row.get(2)?,
            tickets: row.get(3)?,
        })
    })?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use quaymaster_core::arguments::sha256_text;
    use rusqlite::types::Value;

    use super::*;

    fn created() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("company.db");
        create(&path).expect("the company");
        (folder, path)
    }

    fn rows(connection: &Connection, sql: &str) -> Vec<Vec<Value>> {
        let mut statement = connection.prepare(sql).expect("a statement");
        let width = statement.column_count();
        statement
            .query_map([], |row| (0..width).map(|at| row.get(at)).collect())
            .expect("rows")
            .collect::<rusqlite::Result<_>>()
            .expect("values")
    }

    fn count(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).expect(sql)
    }

    #[test]
    fn the_rows_are_the_same_every_time() {
        let (_first_folder, first) = created();
        let (_second_folder, second) = created();
        assert_eq!(fs::read(&first).expect("a file"), fs::read(second).expect("a file"));

        let connection = Connection::open(first).expect("the company");
        let dump: Vec<_> = ["accounts", "contracts", "bookings", "tickets"]
            .iter()
            .map(|table| rows(&connection, &format!("SELECT * FROM {table} ORDER BY 1")))
            .collect();
        insta::assert_snapshot!(sha256_text(format!("{dump:?}").as_bytes()));
    }

    #[test]
    fn the_company_has_the_promised_size_and_its_references_hold() {
        let (_folder, path) = created();
        let counts = read_counts(&path).expect("counts");
        assert_eq!(counts, Counts { accounts: 400, contracts: 600, bookings: 4_000, tickets: 1_500 });
        let connection = Connection::open(path).expect("the company");
        assert!(rows(&connection, "PRAGMA foreign_key_check").is_empty());
        let integrity: String =
            connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).expect("a check");
        assert_eq!(integrity, "ok");
        let strays = "SELECT count(*) FROM bookings b JOIN contracts USING (contract_id)
                      JOIN accounts a USING (account_id) WHERE a.region <> b.region";
        assert_eq!(count(&connection, strays), 0);
    }

    #[test]
    fn the_views_agree_with_the_books_to_the_cent() {
        let (_folder, path) = created();
        let connection = Connection::open(path).expect("the company");
        let booked = count(&connection, "SELECT sum(amount_cents) FROM bookings");
        let text = "sum(CAST(replace(revenue_eur, '.', '') AS INTEGER))";
        assert_eq!(count(&connection, &format!("SELECT {text} FROM monthly_revenue")), booked);
        let text = "sum(CAST(replace(booked_eur, '.', '') AS INTEGER))";
        assert_eq!(count(&connection, &format!("SELECT {text} FROM account_overview")), booked);
    }

    #[test]
    fn every_month_of_the_books_has_revenue_in_every_region() {
        let (_folder, path) = created();
        let connection = Connection::open(path).expect("the company");
        assert_eq!(count(&connection, "SELECT count(*) FROM monthly_revenue"), 34 * 3);
        let span = rows(&connection, "SELECT min(month), max(month) FROM monthly_revenue");
        assert_eq!(span, [[Value::Text("2024-01-01".into()), Value::Text("2026-10-01".into())]]);
    }

    #[test]
    fn an_existing_company_is_found_and_anything_else_is_left_alone() {
        let (folder, path) = created();
        let before = fs::read(&path).expect("a file");
        assert!(create(&path).is_ok());
        assert_eq!(fs::read(&path).expect("a file"), before);

        let foreign = folder.path().join("mine.db");
        fs::write(&foreign, "dear diary").expect("a file");
        let refusal = create(&foreign).expect_err("not the company").to_string();
        assert!(refusal.contains("not the demo's database of this version"), "{refusal}");
        assert_eq!(fs::read(&foreign).expect("a file"), b"dear diary");
    }

    #[test]
    fn a_half_written_file_of_an_interrupted_demo_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("company.db");
        fs::write(partial_path(&path), "half").expect("a file");
        assert!(create(&path).is_ok());
        assert!(!partial_path(&path).exists());
    }
}

//! What the ticketing system remembers: one SQLite file.
//!
//! This module owns the tickets, the escalations and the count of effects. It
//! checks no arguments (see `tools`) beyond what must hold in one transaction
//! with the write.
//!
//! Invariants:
//! - An idempotency key has at most one escalation, for ever.
//! - `effects` grows by one in the transaction that creates an escalation, and in no other.
//! - Several servers may share the file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::Serialize;

use crate::demo::world::World;

const FILE_NAME: &str = "ticketing.db";
const SCHEMA: &str = include_str!("schema.sql");
const SCHEMA_VERSION: i32 = 1;

/// How long a server waits for another one that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// After this many escalations the desk takes no more.
const MAX_ESCALATIONS: u32 = 1_000_000;

/// The open state.
#[derive(Debug)]
pub(super) struct Desk {
    connection: Connection,
}

/// Which tickets to find; what is `None` does not matter.
#[derive(Debug, Default)]
pub(super) struct Filter<'a> {
    pub(super) account_id: Option<&'a str>,
    pub(super) status: Option<&'a str>,
    pub(super) severity: Option<&'a str>,
    pub(super) limit: u32,
}

/// A ticket in a list.
#[derive(Debug, Serialize)]
pub(super) struct TicketLine {
    ticket_id: String,
    account_id: String,
    severity: String,
    status: String,
    subject: String,
    opened_at: String,
}

/// A ticket with everything that is known of it.
#[derive(Debug, Serialize)]
pub(super) struct TicketDetail {
    #[serde(flatten)]
    line: TicketLine,
    account_name: String,
    product: String,
    description: String,
    requester_email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<String>,
}

/// Something that people look at before anything else.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Escalation {
    #[serde(rename = "escalation_id")]
    id: String,
    account_id: String,
    severity: String,
    summary: String,
}

/// An escalation that is asked for.
#[derive(Debug)]
pub(super) struct NewEscalation<'a> {
    pub(super) account_id: &'a str,
    pub(super) severity: &'a str,
    pub(super) summary: &'a str,
    pub(super) idempotency_key: &'a str,
}

/// What became of an escalation that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Escalated {
    /// It is new.
    Created(Escalation),
    /// It was there: same key, same content.
    Repeated(Escalation),
    /// The key belongs to an escalation with other content.
    KeyTaken,
    /// There is no such account.
    UnknownAccount,
    /// There are as many escalations as there can be.
    Full,
}

impl Desk {
    /// Opens the state in `folder`; fills it with tickets the first time.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        let path = folder.join(FILE_NAME);
        Self::open_file(&path).with_context(|| format!("cannot open `{}`", path.display()))
    }

    fn open_file(path: &Path) -> anyhow::Result<Self> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        if schema_version(&connection)? != SCHEMA_VERSION {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another server may have filled it while this one waited for the lock.
            match schema_version(&transaction)? {
                0 => fill(&transaction)?,
                SCHEMA_VERSION => {}
                other => {
                    bail!("it has version {other}, this demo knows version {SCHEMA_VERSION}: move it away")
                }
            }
            transaction.commit()?;
        }
        Ok(Self { connection })
    }

    /// The newest tickets that `filter` asks for, and how many there are in all.
    pub(super) fn search(&self, filter: &Filter<'_>) -> rusqlite::Result<(Vec<TicketLine>, u32)> {
        let sql = "SELECT ticket_id, account_id, severity, status, subject, opened_at, count(*) OVER ()
                   FROM tickets
                   WHERE (?1 IS NULL OR account_id = ?1) AND (?2 IS NULL OR status = ?2)
                     AND (?3 IS NULL OR severity = ?3)
                   ORDER BY ticket_id DESC LIMIT ?4";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows =
            statement.query(params![filter.account_id, filter.status, filter.severity, filter.limit])?;
        let (mut tickets, mut total) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            tickets.push(ticket_line(row)?);
            total = row.get(6)?;
        }
        Ok((tickets, total))
    }

    /// The ticket `id`, if there is one.
    pub(super) fn ticket(&self, id: &str) -> rusqlite::Result<Option<TicketDetail>> {
        let sql = "SELECT t.ticket_id, t.account_id, t.severity, t.status, t.subject, t.opened_at,
                          a.name, t.product, t.description, a.contact_email, t.closed_at
                   FROM tickets t JOIN accounts a USING (account_id) WHERE t.ticket_id = ?1";
        let detail = |row: &Row<'_>| {
            Ok(TicketDetail {
                line: ticket_line(row)?,
                account_name: row.get(6)?,
                product: row.get(7)?,
                description: row.get(8)?,
                requester_email: row.get(9)?,
                closed_at: row.get(10)?,
            })
        };
        self.connection.query_row(sql, [id], detail).optional()
    }

    /// The newest escalations, of one account or of all, and how many there are in all.
    pub(super) fn escalations(
        &self,
        account_id: Option<&str>,
        limit: u32,
    ) -> rusqlite::Result<(Vec<Escalation>, u32)> {
        let sql = "SELECT number, account_id, severity, summary, count(*) OVER () FROM escalations
                   WHERE ?1 IS NULL OR account_id = ?1 ORDER BY number DESC LIMIT ?2";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query(params![account_id, limit])?;
        let (mut escalations, mut total) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            escalations.push(escalation(row)?);
            total = row.get(4)?;
        }
        Ok((escalations, total))
    }

    /// Creates an escalation, once for each key. It is on disk when this returns.
    pub(super) fn escalate(&mut self, new: &NewEscalation<'_>) -> rusqlite::Result<Escalated> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(first) = by_key(&transaction, new.idempotency_key)? {
            let same = first.account_id == new.account_id
                && first.severity == new.severity
                && first.summary == new.summary;
            return Ok(if same { Escalated::Repeated(first) } else { Escalated::KeyTaken });
        }
        let known = transaction
            .query_row("SELECT 1 FROM accounts WHERE account_id = ?1", [new.account_id], |_| Ok(()))
            .optional()?;
        if known.is_none() {
            return Ok(Escalated::UnknownAccount);
        }
        let last: Option<u32> =
            transaction.query_row("SELECT max(number) FROM escalations", [], |row| row.get(0))?;
        if last.is_some_and(|last| last >= MAX_ESCALATIONS) {
            return Ok(Escalated::Full);
        }
        let created = insert(&transaction, new)?;
        transaction.commit()?;
        Ok(Escalated::Created(created))
    }

    /// How many escalations were really created.
    pub(super) fn effects(&self) -> rusqlite::Result<u64> {
        let sql = "SELECT count FROM effects WHERE name = 'create_support_escalation'";
        self.connection.query_row(sql, [], |row| row.get::<_, u32>(0)).map(u64::from)
    }
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn fill(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let world = World::new();
    transaction.execute_batch(SCHEMA)?;
    let mut insert = transaction.prepare("INSERT INTO accounts VALUES (?, ?, ?)")?;
    for account in &world.accounts {
        insert.execute([&account.id, &account.name, &account.contact_email])?;
    }
    let mut insert = transaction.prepare("INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    for ticket in &world.tickets {
        insert.execute(params![
            ticket.id,
            ticket.account.id,
            ticket.product,
            ticket.severity,
            ticket.status,
            ticket.subject,
            ticket.description,
            ticket.opened_at.to_string(),
            ticket.closed_at.map(|day| day.to_string()),
        ])?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)
}

fn by_key(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<Escalation>> {
    let sql = "SELECT number, account_id, severity, summary FROM escalations WHERE idempotency_key = ?1";
    transaction.query_row(sql, [key], escalation).optional()
}

fn insert(transaction: &Transaction<'_>, new: &NewEscalation<'_>) -> rusqlite::Result<Escalation> {
    let sql =
        "INSERT INTO escalations (account_id, severity, summary, idempotency_key) VALUES (?1, ?2, ?3, ?4)
               RETURNING number, account_id, severity, summary";
    let values = [new.account_id, new.severity, new.summary, new.idempotency_key];
    let created = transaction.query_row(sql, values, escalation)?;
    transaction
        .execute("UPDATE effects SET count = count + 1 WHERE name = 'create_support_escalation'", [])?;
    Ok(created)
}

fn ticket_line(row: &Row<'_>) -> rusqlite::Result<TicketLine> {
    Ok(TicketLine {
        ticket_id: row.get(0)?,
        account_id: row.get(1)?,
        severity: row.get(2)?,
        status: row.get(3)?,
        subject: row.get(4)?,
        opened_at: row.get(5)?,
    })
}

fn escalation(row: &Row<'_>) -> rusqlite::Result<Escalation> {
    Ok(Escalation {
        id: format!("ESC-{:04}", row.get::<_, u32>(0)?),
        account_id: row.get(1)?,
        severity: row.get(2)?,
        summary: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: NewEscalation<'_> = NewEscalation {
        account_id: "ACC-0001",
        severity: "high",
        summary: "Orders are refused",
        idempotency_key: "k1",
    };

    fn opened() -> (tempfile::TempDir, Desk) {
        let folder = tempfile::tempdir().expect("a folder");
        let desk = Desk::open(folder.path()).expect("a desk");
        (folder, desk)
    }

    #[test]
    fn the_desk_knows_the_tickets_of_the_company() {
        let (_folder, desk) = opened();
        let (tickets, total) = desk.search(&Filter { limit: 3, ..Filter::default() }).expect("tickets");
        assert_eq!((tickets.len(), total), (3, 1_500));
        let world = World::new();
        let last = world.tickets.last().expect("a ticket");
        assert_eq!(tickets[0].ticket_id, last.id);
        let detail = desk.ticket(&last.id).expect("a query").expect("a ticket");
        assert_eq!(detail.requester_email, last.account.contact_email);
    }

    #[test]
    fn filters_narrow_the_search_together() {
        let (_folder, desk) = opened();
        let filter = Filter { status: Some("open"), severity: Some("high"), limit: 100, ..Filter::default() };
        let (tickets, total) = desk.search(&filter).expect("tickets");
        assert!(total > 0);
        assert!(tickets.iter().all(|t| t.status == "open" && t.severity == "high"));
        let (none, total) = desk
            .search(&Filter { account_id: Some("ACC-9999"), limit: 1, ..Filter::default() })
            .expect("tickets");
        assert_eq!((none.len(), total), (0, 0));
    }

    #[test]
    fn nothing_is_counted_that_did_not_happen() {
        let (_folder, mut desk) = opened();
        let unknown = NewEscalation { account_id: "ACC-9999", ..NEW };
        assert_eq!(desk.escalate(&unknown).expect("an outcome"), Escalated::UnknownAccount);
        assert_eq!(desk.effects().expect("a count"), 0);
        assert!(matches!(desk.escalate(&NEW).expect("an outcome"), Escalated::Created(_)));
        assert!(matches!(desk.escalate(&NEW).expect("an outcome"), Escalated::Repeated(_)));
        let other = NewEscalation { severity: "low", ..NEW };
        assert_eq!(desk.escalate(&other).expect("an outcome"), Escalated::KeyTaken);
        assert_eq!(desk.effects().expect("a count"), 1);
        assert_eq!(desk.escalations(None, 10).expect("escalations").1, 1);
    }

    #[test]
    fn a_full_desk_takes_no_more() {
        let (_folder, mut desk) = opened();
        desk.connection
            .execute(
                "INSERT INTO escalations VALUES (?1, 'ACC-0001', 'low', 'the last one', 'last')",
                [MAX_ESCALATIONS],
            )
            .expect("an escalation");
        assert_eq!(desk.escalate(&NEW).expect("an outcome"), Escalated::Full);
    }

    #[test]
    fn a_file_of_another_version_is_left_alone() {
        let (folder, desk) = opened();
        desk.connection.pragma_update(None, "user_version", 7).expect("a version");
        let error = Desk::open(folder.path()).expect_err("another version");
        assert!(format!("{error:#}").contains("version 7"), "{error:#}");
    }
}

//! What the audit log costs: processor time of a call's two records, and how many strict records a second
//! one store takes.
//!
//!     cargo run --release -p quaymaster-control --example audit_cost [FOLDER]
//!
//! The store is a SQLite file in a new folder inside FOLDER (the system's temporary folder if absent). Processor
//! time is that of the whole process, from `/proc/self/stat`, in steps of 10 ms.

#![expect(clippy::expect_used, reason = "a measurement that cannot be made ends")]

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quaymaster_control::audit::record::{ActorPart, ToolPart};
use quaymaster_control::audit::{
    Audit, AuditSettings, Draft, Durability, Event, LogKey, Notary, Record, Subject, Subjects,
};
use quaymaster_control::crypto::{SealingKey, SystemRandomness};
use quaymaster_core::{ActorId, CallId, Clock, SystemClock, WriterId};
use quaymaster_store::{Store, StoreTarget};

/// Calls whose records nobody waits for.
const CALLS: u32 = 200_000;
/// How many of them are made at once.
const TOGETHER: u32 = 64;
/// Records that are waited for, and by how many at once.
const STRICT: u32 = 30_000;
const WAITING: u32 = 128;
/// As large as the input of a usual decision.
const INPUT: [u8; 700] = [b'x'; 700];

#[tokio::main]
async fn main() -> io::Result<()> {
    let place = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(place)?;
    let store = Store::open(StoreTarget::Sqlite { path: folder.path().join("quaymaster.db") });
    let store = store.await.expect("a store");
    let (key, _) =
        LogKey::open_or_create(&folder.path().join("audit.key"), &SystemRandomness).expect("a key");
    let often = (1_000, Duration::from_mins(1));
    let notary = Arc::new(Notary::new(key, folder.path().join("audit.checkpoint"), often));
    let settings = AuditSettings { notary: Some(notary), ..AuditSettings::default() };
    let writer = WriterId::new(&SystemClock, &SystemRandomness);
    let audit = Audit::open(store.clone(), writer, settings, Arc::new(SystemClock)).await.expect("a log");
    let (audit, subject) = (Arc::new(audit), subject(folder.path(), store).await);
    let mut out = io::stdout();

    let (before, began) = (processor_time(), Instant::now());
    in_parallel(CALLS, TOGETHER, &audit, &subject, Durability::Accepted).await;
    let (took, used) = (began.elapsed(), processor_time().saturating_sub(before));
    let each = used.as_secs_f64() * 1e6 / f64::from(CALLS);
    writeln!(out, "{CALLS} calls of two records, window 5 ms, a checkpoint every 1000 records")?;
    writeln!(out, "processor time a call    {each:>9.1} µs")?;
    writeln!(out, "calls a second           {:>9.0}", f64::from(CALLS) / took.as_secs_f64())?;

    let began = Instant::now();
    in_parallel(STRICT / 2, WAITING, &audit, &subject, Durability::Durable).await;
    let took = began.elapsed();
    writeln!(out, "{STRICT} strict records by {WAITING} at once")?;
    writeln!(out, "records a second         {:>9.0}", f64::from(STRICT) / took.as_secs_f64())?;
    audit.close().await;
    Ok(())
}

async fn subject(folder: &Path, store: Store) -> Arc<Subject> {
    let randomness = Arc::new(SystemRandomness);
    let sealing = SealingKey::open_or_create(&folder.join("seal.key"), randomness.clone()).expect("a key");
    let subjects = Subjects::new(store, Arc::new(sealing), Arc::new(SystemClock), randomness);
    subjects.of(&ActorId::parse("ada@example.test").expect("a name")).await.expect("a key")
}

/// Makes `calls` calls, so many at once.
async fn in_parallel(
    calls: u32,
    at_once: u32,
    audit: &Arc<Audit>,
    subject: &Arc<Subject>,
    durability: Durability,
) {
    let mut callers = Vec::new();
    for _ in 0..at_once {
        let (audit, subject) = (Arc::clone(audit), Arc::clone(subject));
        callers.push(tokio::spawn(async move {
            for _ in 0..calls / at_once {
                // As calls have them: where in the index they come depends on when they were made.
                let id = CallId::new(&SystemClock, &SystemRandomness).to_shared();
                let (intent, sealed) = intent(&id, &subject);
                audit.append(intent, Some(sealed), durability).await.expect("written");
                audit.append(outcome(&id, &subject), None, durability).await.expect("written");
            }
        }));
    }
    for caller in callers {
        caller.await.expect("a caller");
    }
}

fn record<'a>(event: Event, id: &Arc<str>, subject: &Subject) -> Record<'a> {
    let mut record = Record::new(event, SystemClock.now());
    record.actor = Some(ActorPart {
        authentication: "token",
        id: Arc::clone(subject.commitment()),
        roles: Arc::new([]),
        token: Some("tok_1"),
    });
    record.call = Some(Arc::clone(id));
    record.config = Some("cfg_1");
    record.workspace = Some("sales".into());
    record.tool = Some(ToolPart {
        connector: Some("support-desk"),
        contract: Some("sha256:0000000000000000000000000000000000000000000000000000000000000000"),
        kind: None,
        name: "desk_get_ticket".into(),
        version: Some("1.0.0"),
    });
    record
}

fn intent(id: &Arc<str>, subject: &Subject) -> (Draft, Vec<u8>) {
    let sealed = subject.seal(id, &INPUT).expect("sealed");
    let mut record = record(Event::CallIntent, id, subject);
    record.arguments = Some(quaymaster_core::arguments::sha256_text(&sealed));
    (record.into(), sealed)
}

fn outcome(id: &Arc<str>, subject: &Subject) -> Draft {
    let mut record = record(Event::CallOutcome, id, subject);
    (record.status, record.duration_us) = (Some("success"), Some(1_234));
    record.into()
}

/// What the process has used so far (proc(5): fields 14 and 15, in hundredths of a second).
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
    let ticks: u64 = fields.into_iter().flatten().filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

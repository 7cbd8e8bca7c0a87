//! SQLite: the file, the thread that writes it and the connections that read it.
//!
//! What is written and read is in the module of each family of tables.
//!
//! Invariants:
//! - One thread of this process writes. It takes jobs in order from a bounded
//!   queue; each is one transaction that takes the write lock when it begins,
//!   because other processes may write the same file.
//! - A commit is on disk when it returns: write-ahead log, `synchronous = FULL`.
//! - A job whose caller has gone before it began does not run.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::StoreError;
use crate::schema::migrate_sqlite;

/// How long a statement waits for another process's lock.
const BUSY: Duration = Duration::from_secs(5);

/// How long a caller waits for its turn and the answer together.
const WAIT: Duration = Duration::from_secs(30);

/// How many jobs may wait for the writing thread. Callers beyond that wait to queue.
const QUEUE: usize = 128;

/// How many reads run at once.
const READERS: u32 = 4;

/// How often a read looks at the time, in steps of SQLite's virtual machine.
const STEPS_PER_LOOK: i32 = 100_000;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

enum Message {
    Run(Job),
    Stop,
}

/// A store in a file.
pub(crate) struct Sqlite {
    jobs: mpsc::Sender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
    permits: Arc<Semaphore>,
    readers: Arc<Readers>,
}

impl Sqlite {
    /// Opens or creates the file and brings it to the newest schema. Blocks.
    pub(crate) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let mut connection = open_for_writing(&path)
            .map_err(|reason| StoreError::open(format!("{}: {reason}", path.display())))?;
        migrate_sqlite(&mut connection)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run_jobs(connection, queue))
            .map_err(|error| StoreError::open(format!("no thread for its writer: {error}")))?;
        Ok(Self {
            jobs,
            writer: Mutex::new(Some(writer)),
            permits: Arc::new(Semaphore::new(READERS as usize)),
            readers: Arc::new(Readers { path, idle: Mutex::new(Vec::new()) }),
        })
    }

    /// Runs `work` in a transaction of its own and returns when it is on disk.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.try_write(operation, move |transaction| work(transaction).map(Some)).await?;
        done.ok_or(StoreError::Closed { operation })
    }

    /// The same for work that may find that there is nothing to be done: with `None` nothing is changed.
    pub(crate) async fn try_write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Option<T>> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !reply.is_closed() {
                // A caller that leaves while its job runs forgoes the answer.
                let _ = reply.send(in_transaction(connection, work));
            }
        });
        let answered = timeout(WAIT, async {
            self.jobs.send(Message::Run(job)).await.ok()?;
            answer.await.ok()
        });
        match answered.await {
            Ok(Some(result)) => result.map_err(|error| StoreError::sqlite(operation, &error)),
            Ok(None) => Err(StoreError::Closed { operation }),
            Err(_) => Err(StoreError::Timeout { operation, waited: WAIT }),
        }
    }

    /// Runs `work` on a connection that only reads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = timeout(WAIT, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| StoreError::Timeout { operation, waited: WAIT })?
            .map_err(|_| StoreError::Closed { operation })?;
        let readers = Arc::clone(&self.readers);
        spawn_blocking(move || {
            let result = readers.run(work);
            drop(permit);
            result
        })
        .await
        .map_err(|_| StoreError::Closed { operation })?
        .map_err(|error| StoreError::sqlite(operation, &error))
    }

    /// Waits for running reads and queued writes and closes every connection.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        const CLOSE: &str = "close";
        let expired = |_| StoreError::Timeout { operation: CLOSE, waited: WAIT };
        // Readers go first: the last connection to leave folds the log into the file, and must be able to.
        let all = timeout(WAIT, self.permits.acquire_many(READERS)).await;
        self.permits.close();
        self.readers.forget();
        drop(all);
        // The thread may have ended already; then nobody takes the message, which is fine.
        let _ = timeout(WAIT, self.jobs.send(Message::Stop)).await.map_err(expired)?;
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            timeout(WAIT, spawn_blocking(move || writer.join().is_ok())).await.map_err(expired)?.ok();
        }
        Ok(())
    }
}

/// The connections that only read, opened as they are needed.
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.open()?,
        };
        let started = Instant::now();
        connection.progress_handler(STEPS_PER_LOOK, Some(move || started.elapsed() > WAIT))?;
        let result = work(&connection)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(result)
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY)?;
        Ok(connection)
    }

    fn forget(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn run_jobs(mut connection: Connection, mut queue: mpsc::Receiver<Message>) {
    while let Some(Message::Run(job)) = queue.blocking_recv() {
        job(&mut connection);
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Option<T>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    match result {
        Some(_) => transaction.commit()?,
        None => transaction.rollback()?,
    }
    Ok(result)
}

/// The connection that writes, or why there is none.
fn open_for_writing(path: &Path) -> Result<Connection, String> {
    // Closing a file drops all locks that the process holds on it (POSIX, fcntl), and creating it
    // privately opens and closes it: two stores of one process must not be in here together.
    static OPENING: Mutex<()> = Mutex::new(());
    let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    create_private(path).map_err(|error| error.to_string())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(reason)?;
    connection.busy_timeout(BUSY).map_err(reason)?;
    // Counts for a new file only. Audit records come in batches that fill large pages, and each
    // page costs system calls of its own, once into the log and once out of it.
    connection.execute_batch("PRAGMA page_size = 16384").map_err(reason)?;
    if !enter_wal(&connection).map_err(reason)? {
        return Err("its file system has no write-ahead log: use a local disk".into());
    }
    // `fullfsync` matters on macOS only, where a plain fsync may leave data in the disk's cache.
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON;
             PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 2048;
             PRAGMA trusted_schema = OFF;",
        )
        .map_err(reason)?;
    Ok(connection)
}

fn reason(error: rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message,
        other => other.to_string(),
    }
}

/// Creates the file so that only its owner may read it. SQLite gives the log the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Switches to the write-ahead log; false if the file system cannot.
///
/// SQLite answers "busy" at once when two processes do this to a new file
/// together: its busy time-out does not cover this lock.
fn enter_wal(connection: &Connection) -> rusqlite::Result<bool> {
    let deadline = Instant::now() + BUSY;
    loop {
        let mode =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
        match mode {
            Err(rusqlite::Error::SqliteFailure(failure, _))
                if failure.code == ErrorCode::DatabaseBusy && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            mode => return Ok(mode? == "wal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_waits_for_the_disk_and_checks_references() {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = open_for_writing(&folder.path().join("q.db")).expect("a connection");
        let pragma = |name| connection.query_row(&format!("PRAGMA {name}"), (), |row| row.get(0));
        // 2 is FULL: https://sqlite.org/pragma.html#pragma_synchronous
        assert_eq!(["synchronous", "foreign_keys", "busy_timeout"].map(pragma), [Ok(2), Ok(1), Ok(5_000)]);
    }
}

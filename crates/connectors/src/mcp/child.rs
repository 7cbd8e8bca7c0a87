//! A server as a child process: how it is started, and that it is gone afterwards.
//!
//! Owns the process and its group; what goes over its standard streams is in
//! `stdio`.
//!
//! Invariants:
//! - The child leads a process group of its own, and the whole group is killed on
//!   every way out: an orderly end, a crash of the child, a dropped connector.
//! - The group is signalled only before its leader is reaped, so its number
//!   cannot have gone to strangers meanwhile.
//! - Its environment is what its configuration names.
//! - What it says on standard error is logged at the level `trace` alone, with its
//!   secrets masked.
//!
//! If the gateway itself is killed, the child sees the end of its standard
//! input, which by the protocol is its sign to leave. (The kernel could be asked
//! to kill it with its parent, but not without `unsafe`.)

use std::cmp::Reverse;
use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::check::server::{Environment, StdioServer};
use super::failure::{Failure, shown};
use super::lines::{Line, read_line};

/// What of a child's standard error goes to the log, at most: lines, and bytes of a line.
const MAX_LOGGED_LINES: usize = 1_000;
const MAX_LOGGED_BYTES: usize = 4_096;

/// A process group that we started and have not reaped.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    leader: Child,
    pid: Pid,
    reaped: bool,
}

/// The ends of a child's standard streams.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// Starts `server` with these variables.
///
/// # Errors
///
/// [`Failure::Missing`] if there is no such program, and what else the operating system says.
pub(super) fn start(
    server: &StdioServer,
    environment: &Environment,
) -> Result<(ProcessGroup, Streams), Failure> {
    let mut command = Command::new(&server.command);
    command.args(&server.args).current_dir(&server.folder).env_clear();
    for name in &server.inherit_env {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    for (name, value) in &environment.variables {
        command.env(name, value.expose_secret());
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let program = server.command.display();
    let mut leader = command.spawn().map_err(|error| {
        let why = format!("`{program}` cannot be started: {error}");
        if error.kind() == ErrorKind::NotFound { Failure::Missing(why) } else { Failure::NotDelivered(why) }
    })?;
    let streams = (leader.stdin.take(), leader.stdout.take(), leader.stderr.take());
    let pid = leader.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    match (pid, streams) {
        (Some(pid), (Some(stdin), Some(stdout), Some(stderr))) => {
            Ok((ProcessGroup { leader, pid, reaped: false }, Streams { stdin, stdout, stderr }))
        }
        _ => Err(Failure::NotDelivered(format!("`{program}` ended while it was started"))),
    }
}

impl ProcessGroup {
    /// The leader's process id, which is the group's too.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Ends the group after its standard input was closed: waits, asks, kills, reaps.
    pub(super) async fn end(mut self, grace: Duration) {
        if !exits_within(self.pid, grace).await {
            let _ = kill_process_group(self.pid, Signal::TERM);
            exits_within(self.pid, grace).await;
        }
        let _ = kill_process_group(self.pid, Signal::KILL);
        self.reaped = self.leader.wait().await.is_ok();
    }
}

impl Drop for ProcessGroup {
    /// The leader itself is killed and reaped by the runtime (`kill_on_drop`).
    fn drop(&mut self) {
        if !self.reaped {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

async fn exits_within(leader: Pid, limit: Duration) -> bool {
    tokio::time::timeout(limit, exited(leader)).await.is_ok()
}

/// Waits until `leader`, a child of ours, has exited. Does not reap it.
pub(super) async fn exited(leader: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let Ok(mut children) = signal(SignalKind::child()) else {
        // Without signals the end of its output still tells that a child left.
        return std::future::pending().await;
    };
    while matches!(waitid(WaitId::Pid(leader), options), Ok(None)) {
        children.recv().await;
    }
}

/// Where a child's standard error goes: into the log of those who look for every detail.
pub(super) struct ErrorLog {
    connector: String,
    /// The lines of the child's secrets, longest first: one may hold another.
    masked: Vec<SecretString>,
}

impl ErrorLog {
    /// A log that shows none of `secrets`.
    pub(super) fn new(connector: &str, secrets: &[SecretString]) -> Self {
        let lines = secrets.iter().flat_map(|secret| secret.expose_secret().lines());
        let mut masked: Vec<SecretString> =
            lines.map(str::trim).filter(|line| !line.is_empty()).map(SecretString::from).collect();
        masked.sort_by_key(|line| Reverse(line.expose_secret().len()));
        Self { connector: connector.to_owned(), masked }
    }

    /// Copies `stderr` to the log, in bounds, until it ends.
    pub(super) async fn copy(self, stderr: impl AsyncRead + Unpin, stop: CancellationToken) {
        let connector = self.connector.as_str();
        let mut reader = BufReader::new(stderr);
        let (mut line, mut logged, mut is_rest) = (Vec::new(), 0_usize, false);
        loop {
            let read = tokio::select! {
                read = read_line(&mut reader, &mut line, MAX_LOGGED_BYTES) => read,
                () = stop.cancelled() => return,
            };
            if matches!(read, Ok(Line::End) | Err(_)) {
                return;
            }
            // The rest of a long line could begin in the middle of a secret.
            if std::mem::replace(&mut is_rest, matches!(read, Ok(Line::Cut))) {
                continue;
            }
            logged = logged.saturating_add(1);
            if logged <= MAX_LOGGED_LINES {
                tracing::trace!(connector, line = self.mask(&line), "stderr of an MCP server");
            } else if logged == MAX_LOGGED_LINES + 1 {
                tracing::trace!(connector, "further lines on stderr of this MCP server are not logged");
            }
        }
    }

    /// What of a line may be shown.
    fn mask(&self, line: &[u8]) -> String {
        let text = String::from_utf8_lossy(line).into_owned();
        let masked =
            self.masked.iter().fold(text, |text, secret| text.replace(secret.expose_secret(), "[secret]"));
        shown(&masked)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::{Arc, Mutex};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Keeps the level and the fields of each event.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<String>>);

    impl Subscriber for Kept {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut kept = self.0.lock().expect("no panic");
            let _ = write!(kept, "{}", event.metadata().level());
            event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                if field.name() == "line" {
                    let _ = write!(kept, " {value:?}");
                }
            });
            kept.push('\n');
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn standard_error_is_logged_for_those_who_look_for_every_detail_and_without_secrets() {
        let kept = Kept::default();
        let guard = tracing::subscriber::set_default(kept.clone());
        let long = format!("{}hunter2", " ".repeat(MAX_LOGGED_BYTES - 3));
        let stderr = format!("key is hunter2\n{long}\nready\n");
        ErrorLog::new("files", &["hunter2".into()]).copy(stderr.as_bytes(), CancellationToken::new()).await;
        drop(guard);
        let logged = kept.0.lock().expect("no panic").clone();
        let lines: Vec<&str> = logged.lines().collect();
        assert_eq!(lines.len(), 3, "{logged}");
        assert_eq!((lines[0], lines[2]), (r#"TRACE "key is [secret]""#, r#"TRACE "ready""#));
        assert!(!logged.contains("hun") && !logged.contains("ter2"), "{logged}");
    }

    #[test]
    fn a_line_on_standard_error_shows_no_secret() {
        let log = ErrorLog::new("files", &["hunter".into(), "hunter2".into(), "-key-\nabc def\n".into()]);
        assert_eq!(log.mask(b"key=hunter2, not hunter\x1b[0m"), "key=[secret], not [secret][0m");
        assert_eq!(log.mask(b"-key-"), "[secret]");
        assert_eq!(log.mask(b"> abc def"), "> [secret]");
        assert_eq!(ErrorLog::new("files", &["".into()]).mask(b"ready"), "ready");
    }
}

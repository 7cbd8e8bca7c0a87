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
//!
//! If the gateway itself is killed, the child sees the end of its standard
//! input, which by the protocol is its sign to leave. (The kernel could be asked
//! to kill it with its parent, but not without `unsafe`.)

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use secrecy::ExposeSecret;
use tokio::io::BufReader;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::check::server::StdioServer;
use super::failure::shown;
use super::lines::{Line, read_line};

/// What of a child's standard error goes to the log, at most: lines, and bytes of a line.
const MAX_LOGGED_LINES: usize = 1_000;
const MAX_LOGGED_BYTES: usize = 1_024;

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

/// Starts `server`.
///
/// # Errors
///
/// What the operating system says, such as that there is no such file.
pub(super) fn start(server: &StdioServer) -> Result<(ProcessGroup, Streams), String> {
    let mut command = Command::new(&server.command);
    command.args(&server.args).current_dir(&server.folder).env_clear();
    for name in &server.inherit_env {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    for (name, value) in &server.env {
        command.env(name, value.expose_secret());
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let program = server.command.display();
    let mut leader = command.spawn().map_err(|e| format!("`{program}` cannot be started: {e}"))?;
    let streams = (leader.stdin.take(), leader.stdout.take(), leader.stderr.take());
    let pid = leader.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    match (pid, streams) {
        (Some(pid), (Some(stdin), Some(stdout), Some(stderr))) => {
            Ok((ProcessGroup { leader, pid, reaped: false }, Streams { stdin, stdout, stderr }))
        }
        _ => Err(format!("`{program}` ended while it was started")),
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

/// Copies a child's standard error to the log, in bounds, until it ends.
pub(super) async fn log_errors(connector: String, stderr: ChildStderr, stop: CancellationToken) {
    let mut reader = BufReader::new(stderr);
    let (mut line, mut logged) = (Vec::new(), 0_usize);
    loop {
        let read = tokio::select! {
            read = read_line(&mut reader, &mut line, MAX_LOGGED_BYTES) => read,
            () = stop.cancelled() => return,
        };
        if matches!(read, Ok(Line::End) | Err(_)) {
            return;
        }
        logged = logged.saturating_add(1);
        if logged <= MAX_LOGGED_LINES {
            tracing::debug!(
                connector,
                line = shown(&String::from_utf8_lossy(&line)),
                "stderr of an MCP server"
            );
        } else if logged == MAX_LOGGED_LINES + 1 {
            tracing::debug!(connector, "further lines on stderr of this MCP server are not logged");
        }
    }
}

//! Secrets that a program prints.
//!
//! Invariants:
//! - No shell, an empty environment but for what is named, an end to its time and to what is read of it.
//! - When its time is over its whole process group is killed.
//! - What it prints on standard error is not kept: it may say too much.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use quaymaster_core::SecretError;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::checked::Program;
use super::plain::{MAX_SECRET_BYTES, text_of};

/// What of standard error is read at most, to know whether there was anything.
const MAX_COMPLAINT_BYTES: u64 = 64 * 1024;
/// How long the keyring may take: somebody may have to unlock it.
const KEYRING_LIMIT: Duration = Duration::from_secs(30);
/// What the keyring's program needs to find the bus.
const OF_SESSION: [&str; 3] = ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "HOME"];

/// What a program did.
struct Ran {
    output: Zeroizing<Vec<u8>>,
    has_complained: bool,
    code: Option<i32>,
}

/// The secret `name`, as `program` prints it.
pub(super) async fn run(name: &str, program: &Program) -> Result<SecretString, SecretError> {
    let shown = program.path.display();
    let unavailable = |reason: String| SecretError::Unavailable {
        name: name.to_owned(),
        reason: format!("{shown}: {reason}"),
    };
    let ran = run_program(program).await.map_err(unavailable)?;
    match ran.code {
        Some(0) => text_of(&ran.output).map_err(|reason| SecretError::Unusable {
            name: name.to_owned(),
            reason: format!("what {shown} printed is {reason}"),
        }),
        Some(code) => Err(unavailable(format!("it ended with exit code {code}"))),
        None => Err(unavailable("it was killed".into())),
    }
}

/// The secret `name` in the entry of the keyring that has these attributes.
///
/// `secret-tool` ends with 1 where there is no such entry, and says nothing; where there is no keyring
/// it says so.
pub(super) async fn keyring(
    name: &str,
    tool: &Path,
    attributes: &[(String, String)],
) -> Result<SecretString, SecretError> {
    let pairs = attributes.iter().flat_map(|(name, value)| [name.clone(), value.clone()]);
    let program = Program {
        path: tool.to_owned(),
        args: std::iter::once("lookup".to_owned()).chain(pairs).collect(),
        timeout: KEYRING_LIMIT,
        inherit_env: OF_SESSION.map(str::to_owned).into(),
    };
    let unavailable = |reason: String| SecretError::Unavailable { name: name.to_owned(), reason };
    let ran = run_program(&program).await.map_err(|reason| {
        unavailable(format!("the keyring cannot be asked by {}: {reason}", tool.display()))
    })?;
    match ran {
        Ran { code: Some(0), output, .. } if !output.is_empty() => {
            text_of(&output).map_err(|reason| SecretError::Unusable {
                name: name.to_owned(),
                reason: format!("what the keyring has is {reason}"),
            })
        }
        Ran { code: Some(0 | 1), has_complained: false, .. } => Err(SecretError::Missing {
            name: name.to_owned(),
            expected: "expected an entry of the keyring with its attributes".into(),
        }),
        _ => Err(unavailable("there is no keyring here, or it is locked".into())),
    }
}

async fn run_program(program: &Program) -> Result<Ran, String> {
    let mut command = Command::new(&program.path);
    command.args(&program.args).env_clear().current_dir("/");
    for name in &program.inherit_env {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let ended = timeout(program.timeout, collect(&mut child)).await;
    // Until it is reaped the group is its own; afterwards the number may be a stranger's.
    if child.id().is_some()
        && let Some(group) = group
    {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
    ended.unwrap_or_else(|_| Err(format!("no answer within {} s", program.timeout.as_secs())))
}

async fn collect(child: &mut Child) -> Result<Ran, String> {
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("it ended while it was started".into());
    };
    // One byte more than a secret and its line end may have, and never moved.
    let limit = MAX_SECRET_BYTES + 3;
    let mut output = Zeroizing::new(Vec::with_capacity(limit));
    let mut reading = stdout.take(limit as u64);
    let complained = tokio::spawn(complained(stderr));
    let read = reading.read_to_end(&mut output).await;
    read.map_err(|error| format!("its output cannot be read: {error}"))?;
    if output.len() >= limit {
        // Too much, whatever else it would do: who reads it says so, and what still runs is killed.
        return Ok(Ran { output, has_complained: false, code: Some(0) });
    }
    let has_complained = complained.await.unwrap_or(true);
    let status = child.wait().await.map_err(|error| error.to_string())?;
    Ok(Ran { output, has_complained, code: status.code() })
}

/// Whether there is anything on standard error; it is read and forgotten.
async fn complained(stderr: impl AsyncRead + Unpin) -> bool {
    let (mut some, mut stderr) = (false, stderr.take(MAX_COMPLAINT_BYTES));
    let mut buffer = Zeroizing::new([0_u8; 1024]);
    while let Ok(count) = stderr.read(buffer.as_mut()).await {
        if count == 0 {
            break;
        }
        some = true;
    }
    some
}

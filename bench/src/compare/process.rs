//! Processes that the runner starts, waits for and certainly stops.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::proc;

pub(super) struct Running {
    child: tokio::process::Child,
}

impl Running {
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
    pub(super) async fn stop(mut self) {
        if let Some(pid) = self.child.id() {
            for p in proc::tree(pid) {
                // SAFETY: signals processes that this runner started.
                unsafe { libc::kill(p as i32, libc::SIGTERM) };
            }
            if tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
                for p in proc::tree(pid) {
                    // SAFETY: as above.
                    unsafe { libc::kill(p as i32, libc::SIGKILL) };
                }
                let _ = self.child.wait().await;
            }
        }
    }
}

pub(super) fn start(name: &str, command: &[String], env: &BTreeMap<String, String>, cwd: Option<&PathBuf>, logs: &PathBuf) -> Result<Running> {
    std::fs::create_dir_all(logs)?;
    let own = std::env::current_exe()?.display().to_string();
    let words: Vec<String> = command.iter().map(|w| w.replace("{self}", &own)).collect();
    let (prog, args) = words.split_first().context("empty command")?;
    let log = std::fs::File::create(logs.join(format!("{name}.log")))?;
    let mut c = tokio::process::Command::new(prog);
    c.args(args).envs(env).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    if let Some(d) = cwd {
        c.current_dir(d);
    }
    Ok(Running { child: c.spawn().with_context(|| format!("cannot start {name}: {words:?}"))? })
}

pub(super) async fn wait_port(addr: &str, limit: Duration) -> Result<()> {
    let t = Instant::now();
    while t.elapsed() < limit {
        if tokio::net::TcpStream::connect(addr).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("nothing listens on {addr}")
}

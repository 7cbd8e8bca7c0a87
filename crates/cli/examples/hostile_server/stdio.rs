//! The server on standard input and output.

use std::io::{self, BufRead as _, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::behaviour::{Behaviour, Over};
use crate::script::{Part, Role, answer};

/// Answers what comes on standard input until that ends, or as `role` has it.
pub(crate) fn serve(role: Role, mark: &str) -> anyhow::Result<()> {
    match role.behaviour {
        Behaviour::ExitsAtStart => return Ok(()),
        Behaviour::NeverReads => wait_for_ever(),
        Behaviour::Stays => return stay(role, mark),
        other if other.over() == Over::Http => bail!("this is for HTTP alone"),
        _ => {}
    }
    answer_all(role)
}

fn answer_all(role: Role) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let asked = serde_json::from_str(&line?)?;
        for part in answer(role, &asked) {
            match part {
                Part::Messages { text, times, every } => {
                    pump(&mut output, format!("{text}\n").as_bytes(), times, every)?;
                }
                Part::Bytes { bytes, times, every } => pump(&mut output, &bytes, times, every)?,
                Part::Stop => return Ok(()),
            }
        }
    }
    Ok(())
}

/// Ignores SIGTERM and the end of the input, and so does a child that holds the output open.
fn stay(role: Role, mark: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let _ignored = signal(SignalKind::terminate())?;
    if !mark.ends_with("-child") {
        let program = std::env::current_exe().context("no path of our own")?;
        let arguments = ["stdio", &Behaviour::Stays.name(), role.era.name()];
        Command::new(program).args(arguments).arg(format!("{mark}-child")).stdin(Stdio::null()).spawn()?;
        answer_all(role)?;
    }
    wait_for_ever()
}

fn wait_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Writes `unit` so often, many at once where there is no time between them.
pub(crate) fn pump(output: &mut impl Write, unit: &[u8], times: usize, every: Duration) -> io::Result<()> {
    let at_once = if every.is_zero() { (64 * 1024 / unit.len().max(1)).clamp(1, times.max(1)) } else { 1 };
    let many = unit.repeat(at_once);
    let mut left = times;
    while left > 0 {
        std::thread::sleep(every);
        let now = at_once.min(left);
        output.write_all(many.get(..now * unit.len()).unwrap_or(&many))?;
        output.flush()?;
        // For ever is for ever.
        left = if times == usize::MAX { times } else { left - now };
    }
    Ok(())
}

//! Redacts records as `quaymaster redact` does, without the rest of the binary, and says what it cost.
//!
//! `cargo run --release -p quaymaster-redaction --example records < records.jsonl > findings.jsonl`
//!
//! Prints the findings, one JSON value a line, each with the number of its record; on standard error the
//! CPU time of a record and the bytes of JSON in a second of it, the mean of many passes. Where the kernel does
//! not tell CPU time (elsewhere than on Linux) it is the time that passes.

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use quaymaster_redaction::{Engine, Key, RedactionConfig, Scope};

const PASSES: u32 = 30;

/// Counts the CPU time of this process, or else the time that passes.
struct Clock(Option<u64>, Instant);

impl Clock {
    fn start() -> Self {
        Self(spent_ns(), Instant::now())
    }

    fn elapsed(&self) -> Duration {
        let spent = self.0.zip(spent_ns()).map(|(began, now)| Duration::from_nanos(now - began));
        spent.unwrap_or_else(|| self.1.elapsed())
    }
}

/// Nanoseconds that this process has run.
fn spent_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let began = Clock::start();
    let engine = Engine::new(&RedactionConfig::default()).map_err(|problems| format!("{problems:?}"))?;
    let key = Key::new([7; 32]);
    let scope = Scope {
        workspace: "w",
        session: "s",
        tenant_key: &key,
        session_key: &key,
        vault: None,
        withheld: &[],
    };
    let records: Vec<&str> = input.lines().collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (number, record) in records.iter().enumerate() {
        match engine.redact_json(record, &scope) {
            Ok(redacted) => {
                for finding in redacted.findings {
                    let mut line = serde_json::to_value(&finding)?;
                    line.as_object_mut().map(|line| line.insert("record".into(), number.into()));
                    writeln!(out, "{line}")?;
                }
            }
            Err(refusal) => {
                writeln!(out, "{}", serde_json::json!({"record": number, "refused": refusal.to_string()}))?;
            }
        }
    }
    out.flush()?;
    let first = began.elapsed();
    let began = Clock::start();
    for _ in 0..PASSES {
        for record in &records {
            let _ = black_box(engine.redact_json(black_box(record), &scope));
        }
    }
    // The kernel counts in ticks, so that only all passes together are told.
    let pass = began.elapsed() / PASSES;
    let count = u32::try_from(records.len().max(1))?;
    let per_record = pass / count;
    #[expect(clippy::cast_precision_loss, reason = "a rate is told to three digits")]
    let rate = input.len() as f64 / pass.as_secs_f64() / 1e6;
    writeln!(
        std::io::stderr(),
        "{count} records, {} bytes; made and first pass {} ms; {:.2} us a record, {rate:.1} MB/s",
        input.len(),
        first.as_millis(),
        per_record.as_secs_f64() * 1e6,
    )?;
    Ok(())
}

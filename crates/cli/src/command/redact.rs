//! `quaymaster redact`: records in, redacted records out.
//!
//! A record is a line of JSON. What a record is redacted to, or why it is refused, is the line of
//! the output that has its number; so anyone can compare the two, and the findings, with what they know.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::Randomness as _;
use quaymaster_gateway::config::load_classification;
use quaymaster_redaction::{Engine, Finding, KEY_BYTES, Key, MAX_TEXT_BYTES, Redacted, Refusal, Scope};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::out;

/// Redacts records, one JSON value a line, from standard input.
///
/// Prints each redacted record as one line, in the same order; for one that is refused, a line
/// `{"refused": "<why>"}`, and then the exit code is 1.
#[derive(Debug, Args)]
pub(crate) struct Redact {
    /// The classification: what is looked for, and what is done with it.
    #[arg(long, value_name = "FILE")]
    classification: PathBuf,
    /// Print what was found, one JSON value a line: `{"record", "path", "class", "action", "detector", "start", "end"}`,
    /// where `record` counts from 0. Instead of the records; or into FILE, beside them.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    findings: Option<PathBuf>,
    /// A file with a key of at least 32 bytes, with which hashes and placeholders are the same in each run.
    /// Without one they are of this run alone.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// A finding with the number of its record.
#[derive(Serialize)]
struct Numbered<'a> {
    record: u64,
    #[serde(flatten)]
    finding: &'a Finding,
}

impl Redact {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let engine = load_classification(&self.classification)
            .map_err(|found| Failure::Configuration(Box::new(found)))?
            .engine;
        let key = self.key()?;
        let scope = Scope {
            workspace: "",
            session: "redact",
            tenant_key: &key,
            session_key: &key,
            vault: None,
            withheld: &[],
        };
        let mut findings: Option<Box<dyn Write>> = match &self.findings {
            Some(file) if file != Path::new("-") => {
                Some(Box::new(BufWriter::new(File::create(file).map_err(at(file))?)))
            }
            _ => None,
        };
        let prints_findings = self.findings.as_deref() == Some(Path::new("-"));
        let mut refused = 0_u64;
        for (record, line) in (0_u64..).zip(lines()) {
            let line = line?;
            let outcome = one(&engine, &line, &scope);
            refused += u64::from(outcome.is_err());
            let (shown, found) = shown(outcome);
            let found = numbered(record, &found)?;
            if let Some(file) = &mut findings {
                file.write_all(&found).map_err(Failure::outside)?;
            }
            if prints_findings {
                out::bytes(&found)?;
            } else {
                out::line(shown)?;
            }
        }
        if let Some(mut file) = findings {
            file.flush().map_err(Failure::outside)?;
        }
        match refused {
            0 => Ok(()),
            n => Err(Failure::Refused(format!("{n} record(s) were refused"))),
        }
    }

    fn key(&self) -> Result<Key, Failure> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        match &self.key {
            Some(file) => {
                let read = File::open(file).and_then(|mut file| file.read_exact(bytes.as_mut_slice()));
                read.map_err(at(file))?;
            }
            None => SystemRandomness.fill(bytes.as_mut_slice()),
        }
        Ok(Key::new(*bytes))
    }
}

fn at(file: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::outside(format!("{}: {error}", file.display()))
}

/// The lines of standard input, none longer than a text that is looked at.
pub(super) fn lines() -> impl Iterator<Item = Result<String, Failure>> {
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut is_over = false;
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        if is_over {
            return None;
        }
        let limit = MAX_TEXT_BYTES as u64 + 2;
        match (&mut input).take(limit).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) if line.len() > MAX_TEXT_BYTES + 1 => {
                is_over = true;
                Some(Err(Failure::Refused(format!("a record is longer than {MAX_TEXT_BYTES} bytes"))))
            }
            Ok(_) => Some(
                String::from_utf8(line).map_err(|_| Failure::Refused("a record is not UTF-8 text".into())),
            ),
            Err(error) => Some(Err(Failure::outside(error))),
        }
    })
}

/// One record; an empty line is none and stays one.
fn one<'t>(engine: &Engine, line: &'t str, scope: &Scope<'_>) -> Result<Redacted<'t>, Refusal> {
    let record = line.trim();
    if record.is_empty() {
        return Ok(Redacted { text: "".into(), findings: Vec::new() });
    }
    engine.redact_json(record, scope)
}

/// A line of the output, and what was found.
fn shown(outcome: Result<Redacted<'_>, Refusal>) -> (String, Vec<Finding>) {
    match outcome {
        Ok(redacted) => (redacted.text.into_owned(), redacted.findings),
        Err(refusal) => (json!({"refused": refusal.to_string()}).to_string(), Vec::new()),
    }
}

fn numbered(record: u64, findings: &[Finding]) -> Result<Vec<u8>, Failure> {
    let mut lines = Vec::new();
    for finding in findings {
        serde_json::to_writer(&mut lines, &Numbered { record, finding }).map_err(Failure::outside)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

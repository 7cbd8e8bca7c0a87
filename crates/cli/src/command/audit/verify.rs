//! `quaymaster audit verify`, `key` and `checkpoint`: whether the log is what was signed.

use std::path::PathBuf;

use clap::Args;
use quaymaster_control::audit::VerifierKey;
use quaymaster_control::audit::verify::{Verification, verify_with};
use quaymaster_gateway::{Office, Records};

use super::super::place::Place;
use crate::failure::Failure;
use crate::out;

#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    place: Place,
    /// The public key, kept elsewhere: a file, or the key itself. Without it the key in the data folder counts,
    /// which whoever changed the log may have changed as well.
    #[arg(long, value_name = "FILE|KEY")]
    key: Option<String>,
    /// A checkpoint that was kept elsewhere: the log must go on from it. May be repeated.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Print JSON: `{"intact", "records", "root", "key", "checkpoints", "signed", "events", "open_calls",
    /// "problems", "problem_count", …}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(flatten)]
    place: Place,
    /// Write it into this file instead.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Checkpoint {
    #[command(flatten)]
    place: Place,
}

/// The key in `text`, which is one or the name of a file with one.
pub(super) fn read_key(text: &str) -> Result<VerifierKey, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(format!("--key: {error}"));
    match VerifierKey::parse(text) {
        Ok(key) => Ok(key),
        Err(error) if text.contains('+') && !std::path::Path::new(text).exists() => Err(usage(&error)),
        Err(_) => {
            let file = std::fs::read_to_string(text)
                .map_err(|error| Failure::outside(format!("{text}: {error}")))?;
            VerifierKey::parse(&file).map_err(|error| usage(&error))
        }
    }
}

impl Verify {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let key = self.key.as_deref().map(read_key).transpose()?;
        let Records { store, mut known } = Office::open_log(self.place.options()).await?;
        known.key = key.or(known.key);
        for file in &self.checkpoint {
            let place = file.display().to_string();
            let note = std::fs::read_to_string(file);
            let note = note.map_err(|error| Failure::outside(format!("{place}: {error}")))?;
            known.checkpoints.push((place, note));
        }
        let found = verify_with(&store, known).await.map_err(Failure::outside)?;
        store.close().await.map_err(Failure::outside)?;
        if self.json {
            out::json(&found)?;
        } else {
            tell(&found)?;
        }
        if found.intact { Ok(()) } else { Err(Failure::Told) }
    }
}

fn tell(found: &Verification) -> Result<(), Failure> {
    let state = if found.intact { "intact" } else { "DAMAGED" };
    out::line(format!("the audit log is {state}: {} records, root {}", found.records, found.root))?;
    if found.minimum > 0 {
        out::line(format!("  records before {} were pruned", found.minimum))?;
    }
    match &found.key {
        Some(key) => out::line(format!(
            "  {} checkpoint(s) by {key}; {} of {} records are signed",
            found.checkpoints, found.signed, found.records
        ))?,
        None => out::line("  no signature was checked: there is no key here, and none was given by --key")?,
    }
    for (event, count) in &found.events {
        out::line(format!("  {event:<18} {count}"))?;
    }
    let named = [
        (&found.open_calls, "call(s) without an outcome"),
        (&found.open_writers, "writer(s) that did not say that they stopped"),
    ];
    for (names, what) in named.into_iter().filter(|(names, _)| !names.is_empty()) {
        out::line(format!("  {} {what}: {}", names.len(), names.join(", ")))?;
    }
    for problem in &found.problems {
        out::line(format!("  problem: {problem}"))?;
    }
    let unnamed = found.problem_count.saturating_sub(found.problems.len() as u64);
    if unnamed > 0 { out::line(format!("  and {unnamed} more problem(s)")) } else { Ok(()) }
}

impl Key {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let key = office.log_key().to_string();
        office.close().await;
        match self.out {
            Some(file) => std::fs::write(&file, key + "\n")
                .map_err(|error| Failure::outside(format!("{}: {error}", file.display()))),
            None => out::line(key),
        }
    }
}

impl Checkpoint {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let checkpoint = office.checkpoint().await;
        office.close().await;
        match checkpoint? {
            Some(checkpoint) => out::bytes(checkpoint.note.as_bytes()),
            None => Err(Failure::Refused("the log has no record yet".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_given_as_itself_or_by_its_file() {
        let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        assert_eq!(read_key(key).expect("a key").to_string(), key);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("log.key");
        std::fs::write(&file, format!("{key}\n")).expect("written");
        assert_eq!(read_key(&file.display().to_string()).expect("a key").to_string(), key);
        assert!(matches!(read_key("a+b+c"), Err(Failure::Usage(_))));
        assert!(matches!(read_key("/nowhere/at/all"), Err(Failure::Outside(_))));
    }
}

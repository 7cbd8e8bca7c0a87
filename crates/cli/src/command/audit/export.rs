//! `quaymaster audit export`: the log for others.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use quaymaster_control::audit::export::export_tiles;
use quaymaster_gateway::Office;
use quaymaster_operations::evidence::Form;
use quaymaster_store::Store;

use super::super::place::Place;
use crate::failure::Failure;
use crate::out;

/// How many records are written together.
const PAGE: u32 = 1_000;

#[derive(Debug, Args)]
#[group(id = "how", required = true, multiple = false, args = ["tiles", "format"])]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
    /// The folder that gets the whole log as files (C2SP tlog-tiles): `checkpoint`, hashes and records. One
    /// that has an earlier state of the log is carried on.
    #[arg(long, value_name = "FOLDER")]
    tiles: Option<PathBuf>,
    /// Print the records in this form, oldest first, one a line.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Begin behind what the file says was printed before, and note there how far it went. What could not be
    /// printed is printed again the next time.
    #[arg(long, value_name = "FILE", requires = "format")]
    cursor: Option<PathBuf>,
    /// With `--tiles`, print JSON: `{"records", "minimum", "files"}`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// A form of records.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// As they are stored: canonical JSON.
    Jsonl,
    /// OCSF 1.9, class API Activity.
    Ocsf,
    /// RFC 5424 with structured data.
    Syslog,
}

impl From<Format> for Form {
    fn from(format: Format) -> Self {
        match format {
            Format::Jsonl => Self::JsonLines,
            Format::Ocsf => Self::Ocsf,
            Format::Syslog => Self::Syslog,
        }
    }
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        if let Some(format) = self.format {
            let store = Office::open_records(self.place.options()).await?;
            let done = print(&store, format.into(), self.cursor.as_deref()).await;
            store.close().await.map_err(Failure::outside)?;
            return done;
        }
        let office = Office::open(self.place.options()).await?;
        let done = self.export(&office).await;
        office.close().await;
        done
    }

    async fn export(&self, office: &Office) -> Result<(), Failure> {
        let Some(tiles) = &self.tiles else { return Ok(()) };
        let Some(checkpoint) = office.checkpoint().await? else {
            return Err(Failure::Refused("the log has no record yet".into()));
        };
        let head = (checkpoint.tree.size, checkpoint.note.as_str());
        let exported = export_tiles(office.store(), head, tiles).await.map_err(Failure::outside)?;
        if self.json {
            return out::json(&exported);
        }
        let folder = tiles.display();
        out::line(format!("{} records in {folder}, {} new files", exported.records, exported.files))?;
        if exported.minimum > 0 {
            out::line(format!(
                "records before {} were pruned: their hashes are there alone",
                exported.minimum
            ))?;
        }
        Ok(())
    }
}

/// Prints what the cursor does not have yet, a page at a time.
async fn print(store: &Store, form: Form, cursor: Option<&Path>) -> Result<(), Failure> {
    let minimum = store.audit_minimum().await.map_err(Failure::outside)?;
    let mut next = cursor.map(read_cursor).transpose()?.flatten().unwrap_or(minimum);
    if next < minimum {
        let gone = format!("records {next} to {} were pruned before they were exported", minimum - 1);
        return Err(Failure::Refused(format!(
            "{gone}: write {minimum} into the cursor to go on without them"
        )));
    }
    loop {
        let page = store.audit_read(next, PAGE).await.map_err(Failure::outside)?;
        let Some(last) = page.last() else { return Ok(()) };
        if let Some((missing, _)) = (next..).zip(&page).find(|(seq, record)| *seq != record.seq) {
            return Err(Failure::Refused(format!("record {missing} is missing: the log is damaged")));
        }
        let lines: String = page.iter().map(|record| form.write(&record.body) + "\n").collect();
        out::delivered(lines.as_bytes())?;
        next = last.seq + 1;
        if let Some(cursor) = cursor {
            write_cursor(cursor, next)?;
        }
    }
}

/// The number of the first record that was not printed; none if the file is not there.
fn read_cursor(file: &Path) -> Result<Option<u64>, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => match text.trim().parse() {
            Ok(next) => Ok(Some(next)),
            Err(_) => Err(Failure::Usage(format!("{} is no cursor: it holds no number", file.display()))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::outside(format!("{}: {error}", file.display()))),
    }
}

/// Puts the cursor in its place whole, so that whatever ends this leaves the old one or the new.
fn write_cursor(file: &Path, next: u64) -> Result<(), Failure> {
    let draft = file.with_extension(format!("next-{}", std::process::id()));
    let written = std::fs::write(&draft, format!("{next}\n")).and_then(|()| std::fs::rename(&draft, file));
    written.map_err(|error| Failure::outside(format!("{}: {error}", file.display())))
}

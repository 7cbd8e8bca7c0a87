//! The file of a client as it was, and how it is replaced.
//!
//! Invariants:
//! - A backup holds the file byte for byte, is readable by its owner alone (such files
//!   hold secrets), and is never written over another one.
//! - A file is replaced whole or not at all, keeps its permissions, and is not replaced
//!   if it changed since it was looked at. A link stays a link.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::super::client::read_text;
use crate::failure::Failure;

/// Where the backup of `file` is, from before the server `name` was put in.
pub(super) fn place(file: &Path, name: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(format!(".before-{name}"));
    path.into()
}

/// Keeps `text`, which is that of a file, at `backup`.
pub(super) fn keep(backup: &Path, text: &str) -> Result<(), Failure> {
    match read_text(backup).map_err(Failure::outside)? {
        Some(kept) if kept == text => return Ok(()),
        Some(_) => {
            return Err(Failure::outside(format!(
                "there is an older backup at {}: look what it is for and move it away",
                backup.display()
            )));
        }
        None => {}
    }
    let mut file = private().create_new(true).open(backup).map_err(Failure::outside)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Failure::outside)
}

/// Puts `text` in the place of `file`, which held `before` when it was looked at.
pub(super) fn replace(file: &Path, before: Option<&str>, text: &str) -> Result<(), Failure> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(Failure::outside)?;
    }
    let target = match fs::canonicalize(file) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(Failure::outside(error)),
    };
    let mut draft = target.as_os_str().to_owned();
    draft.push(format!(".quaymaster-{}", std::process::id()));
    let draft = PathBuf::from(draft);
    let replaced = write(&draft, &target, text).and_then(|()| {
        if read_text(file).ok().flatten().as_deref() != before {
            return Err(std::io::Error::other("it changed in the meantime: try again"));
        }
        fs::rename(&draft, &target)
    });
    replaced.map_err(|error| {
        let _ = fs::remove_file(&draft);
        Failure::outside(format!("{} cannot be written: {error}", file.display()))
    })
}

fn write(draft: &Path, target: &Path, text: &str) -> std::io::Result<()> {
    let mut file: File = private().create(true).truncate(true).open(draft)?;
    if let Ok(found) = fs::metadata(target) {
        file.set_permissions(found.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Takes a file away that was not there before.
pub(super) fn remove(file: &Path) -> Result<(), Failure> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::outside(error)),
        _ => Ok(()),
    }
}

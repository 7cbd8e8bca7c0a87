//! Files that hold keys: made once, replaced whole, read by their owner alone.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Writes the file whole or not at all, and leaves one that is there alone.
pub(crate) fn create_once(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if !path.exists() {
        link_once(path, content)?;
    }
    // Also where another process made the file: what this one seals must not outlive the key.
    sync_folder(path)
}

fn link_once(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    // A hard link fails if another process was first; its key is the one that counts.
    let linked = write_new(&draft, content).and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match linked {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Puts `content` in the place of what the file holds: whoever reads it sees one or the other.
pub(crate) fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension(format!("next-{}", std::process::id()));
    let renamed = write_new(&draft, content).and_then(|()| fs::rename(&draft, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&draft);
    }
    renamed.and_then(|()| sync_folder(path))
}

fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Puts the name of the file on disk, not only its bytes.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => fs::File::open(".")?.sync_all(),
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
pub(crate) fn only_for_owner(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(|e| e.to_string())?.permissions().mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err("it is readable by group or others: chmod 600 it".into()) }
}

#[cfg(not(unix))]
pub(crate) fn only_for_owner(_: &Path) -> Result<(), String> {
    Ok(())
}

//! Secrets of this machine: files, and variables of the environment.
//!
//! This is the one place that reads the environment for secrets.
//!
//! Invariants:
//! - A file that group or others may read is refused, not read.
//! - No error holds a secret, only names and paths.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

use quaymaster_core::SecretError;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Most bytes of a secret, wherever it comes from.
pub(super) const MAX_SECRET_BYTES: usize = 64 * 1024;

/// A variable that is empty counts as not set: an empty secret is a forgotten one.
#[expect(clippy::disallowed_methods, reason = "the one place that reads secrets from the environment")]
pub(super) fn read_environment(variable: &str) -> Option<SecretString> {
    std::env::var(variable).ok().filter(|value| !value.is_empty()).map(SecretString::from)
}

/// The secret `name` in the file at `path`; `None` if there is no such file.
pub(super) fn read_file(name: &str, path: &Path) -> Result<Option<SecretString>, SecretError> {
    let unreadable = |reason: String| SecretError::Unreadable {
        name: name.to_owned(),
        path: path.display().to_string(),
        reason,
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error.to_string())),
        // Looked at before opening, because opening a pipe would wait for its writer.
        Ok(found) if !found.is_file() => return Err(unreadable("not a file".into())),
        Ok(_) => {}
    }
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    // Of the opened file, so that what was looked at is what is read.
    let opened = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    if is_exposed(&opened) {
        return Err(SecretError::Exposed { name: name.to_owned(), path: path.display().to_string() });
    }
    let length = usize::try_from(opened.len()).unwrap_or(usize::MAX).min(MAX_SECRET_BYTES);
    // With room to spare, so that it is not moved while it is read.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 2));
    let limited = file.take(MAX_SECRET_BYTES as u64 + 1).read_to_end(&mut bytes);
    limited.map_err(|error| unreadable(error.to_string()))?;
    text_of(&bytes).map(Some).map_err(|reason| unreadable(reason.into()))
}

/// The secret that `bytes` are, without one line end.
///
/// # Errors
///
/// Says why they can be none.
pub(super) fn text_of(bytes: &[u8]) -> Result<SecretString, &'static str> {
    if bytes.len() > MAX_SECRET_BYTES {
        return Err("larger than 64 KiB");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8 text")?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let secret = line.strip_suffix('\r').unwrap_or(line);
    if secret.is_empty() { Err("empty") } else { Ok(SecretString::from(secret)) }
}

#[cfg(unix)]
fn is_exposed(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

/// Other systems guard files by lists that the standard library does not read.
#[cfg(not(unix))]
fn is_exposed(_: &Metadata) -> bool {
    false
}

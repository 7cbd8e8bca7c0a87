//! Where secrets come from: a folder of files, then the environment.
//!
//! A configuration names a secret ([`SecretRef`]); this module finds it. It is
//! the one place that reads the environment. It keeps nothing: a secret that is
//! changed is seen by the next who asks.
//!
//! Invariants:
//! - A file that group or others may read is refused, not read.
//! - No error and no `Debug` output holds a secret, only names and paths.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use quaymaster_core::{SecretError, SecretRef, SecretSource};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Largest file that may hold a secret, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Secrets from `<folder>/<NAME>` where a folder is configured and has that
/// file, else from the environment variable `<NAME>`.
#[derive(Clone, Debug)]
pub struct Secrets {
    files: Option<PathBuf>,
}

impl Secrets {
    /// Secrets from `files`, if there is such a folder, and from the environment.
    pub fn new(files: Option<PathBuf>) -> Self {
        Self { files }
    }

    fn expected(&self, name: &str) -> String {
        match &self.files {
            Some(folder) => {
                format!(
                    "expected the file {} or the environment variable {name}",
                    folder.join(name).display()
                )
            }
            None => format!("expected the environment variable {name}"),
        }
    }
}

impl SecretSource for Secrets {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let name = reference.name();
        // A name is made of A-Z, 0-9 and _ (see `SecretRef`), so it cannot leave the folder.
        let from_file = self.files.as_ref().map(|folder| read_file(name, &folder.join(name)));
        match from_file.transpose()?.flatten().or_else(|| read_environment(name)) {
            Some(secret) => Ok(secret),
            None => Err(SecretError::Missing { name: name.to_owned(), expected: self.expected(name) }),
        }
    }
}

/// A variable that is empty counts as not set: an empty secret is a forgotten one.
#[expect(clippy::disallowed_methods, reason = "the one place that reads secrets from the environment")]
fn read_environment(name: &str) -> Option<SecretString> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(SecretString::from)
}

/// `None` if there is no such file.
fn read_file(name: &str, path: &Path) -> Result<Option<SecretString>, SecretError> {
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
    let capacity = usize::try_from(opened.len().min(MAX_SECRET_BYTES) + 2).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    let limited = file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes);
    limited.map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(unreadable("larger than 64 KiB".into()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable("not UTF-8 text".into()))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let secret = line.strip_suffix('\r').unwrap_or(line);
    if secret.is_empty() {
        return Err(unreadable("empty".into()));
    }
    Ok(Some(SecretString::from(secret)))
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    /// Set by cargo for every test, so that no test has to change the environment.
    const IN_ENVIRONMENT: &str = "CARGO_PKG_NAME";

    fn reference(name: &str) -> SecretRef {
        SecretRef::parse(&format!("${{secret:{name}}}")).expect("a reference")
    }

    fn folder_with(name: &str, content: &[u8], mode: u32) -> (tempfile::TempDir, Secrets) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        let secrets = Secrets::new(Some(folder.path().to_owned()));
        (folder, secrets)
    }

    fn resolved(secrets: &Secrets, name: &str) -> Result<String, SecretError> {
        secrets.resolve(&reference(name)).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn a_file_wins_over_the_environment_and_loses_one_line_end() {
        let (_folder, secrets) = folder_with(IN_ENVIRONMENT, b"of the file\r\n", 0o600);
        assert_eq!(resolved(&secrets, IN_ENVIRONMENT), Ok("of the file".into()));
        let (_folder, secrets) = folder_with("OTHER", b"two\n\n", 0o400);
        assert_eq!(resolved(&secrets, "OTHER"), Ok("two\n".into()));
    }

    #[test]
    fn the_environment_is_asked_when_there_is_no_file() {
        let (_folder, secrets) = folder_with("OTHER", b"x", 0o600);
        assert_eq!(resolved(&secrets, IN_ENVIRONMENT), Ok("quaymaster-control".into()));
        assert_eq!(resolved(&Secrets::new(None), IN_ENVIRONMENT), Ok("quaymaster-control".into()));
    }

    #[test]
    fn a_missing_secret_says_where_it_was_looked_for() {
        let secrets = Secrets::new(Some("/nowhere/secrets".into()));
        insta::assert_snapshot!(
            resolved(&secrets, "QUAYMASTER_TEST_UNSET").expect_err("missing"),
            @"secret `QUAYMASTER_TEST_UNSET` is not set: expected the file /nowhere/secrets/QUAYMASTER_TEST_UNSET or the environment variable QUAYMASTER_TEST_UNSET"
        );
        insta::assert_snapshot!(
            resolved(&Secrets::new(None), "QUAYMASTER_TEST_UNSET").expect_err("missing"),
            @"secret `QUAYMASTER_TEST_UNSET` is not set: expected the environment variable QUAYMASTER_TEST_UNSET"
        );
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_even_if_the_environment_has_the_secret() {
        for mode in [0o640, 0o604, 0o660, 0o601] {
            let (_folder, secrets) = folder_with(IN_ENVIRONMENT, b"x", mode);
            assert!(
                matches!(resolved(&secrets, IN_ENVIRONMENT), Err(SecretError::Exposed { .. })),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_a_secret_is_refused_without_showing_it() {
        let large = vec![b'x'; 64 * 1024 + 1];
        for (content, reason) in
            [(&b"hunter2\xff"[..], "not UTF-8 text"), (&large, "larger than 64 KiB"), (b"\n", "empty")]
        {
            let (_folder, secrets) = folder_with("SOME", content, 0o600);
            let error = resolved(&secrets, "SOME").expect_err("refused");
            assert!(error.to_string().ends_with(reason), "{error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let (folder, secrets) = folder_with("SOME", b"x", 0o600);
        std::fs::create_dir(folder.path().join("DIRECTORY")).expect("a folder");
        assert!(matches!(resolved(&secrets, "DIRECTORY"), Err(SecretError::Unreadable { .. })));
    }

    #[test]
    fn the_largest_secret_is_still_read() {
        let (_folder, secrets) = folder_with("SOME", &vec![b'x'; 64 * 1024], 0o600);
        assert_eq!(resolved(&secrets, "SOME").map(|s| s.len()), Ok(64 * 1024));
    }
}

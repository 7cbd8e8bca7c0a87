//! Where secrets come from, and how long what came is used.
//!
//! A configuration names a secret ([`SecretRef`]); this module finds it: in a folder of files, then in the
//! environment, unless the configuration says where this one comes from: a variable, a file, the desktop's
//! keyring, a program (`command`), or a server that speaks the API of Vault (`vault`). What sources outside
//! of this process gave is kept (`slot`) and asked for again when it is due or was refused.
//!
//! Invariants:
//! - A file that group or others may read is refused, not read.
//! - No error and no `Debug` output holds a secret, only names and paths.
//! - Who follows a secret ([`LiveSecret`]) never waits for a source unless it says so.

mod checked;
mod command;
pub mod config;
mod outside;
mod plain;
mod slot;
mod sources;
mod vault;
pub mod web;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use quaymaster_core::{Clock, LiveSecret, SecretError, SecretRef, SecretSource};
use secrecy::SecretString;

pub use self::checked::{SecretSettings, SecretsProblem};
use self::slot::{Followed, Slot};
use self::sources::Sources;
use self::vault::Sessions;
use self::web::SecretWeb;

/// All secrets of one configuration. Clones share what they keep.
#[derive(Clone, Debug)]
pub struct Secrets {
    sources: Arc<Sources>,
    /// By name. As many as there are references in a configuration, which is bounded.
    slots: Arc<Mutex<HashMap<String, Arc<Slot>>>>,
}

impl Secrets {
    /// Secrets as `settings` say. Servers are asked through `web`.
    pub fn new(settings: SecretSettings, web: Arc<dyn SecretWeb>, clock: Arc<dyn Clock>) -> Self {
        let sessions = Sessions::default();
        Self { sources: Arc::new(Sources { settings, web, clock, sessions }), slots: Arc::default() }
    }

    fn slot(&self, name: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot::new(name, Arc::clone(&self.sources)));
        slots.insert(name.to_owned(), Arc::clone(&slot));
        slot
    }
}

impl SecretSource for Secrets {
    /// A file or a variable is read anew each time, so that whoever asks sees a change at once.
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let name = reference.name();
        if self.sources.is_plain(name) {
            return self.sources.plain(name);
        }
        self.slot(name).wait().map(|value| value.text.clone())
    }

    fn follow(&self, reference: &SecretRef) -> Result<Arc<dyn LiveSecret>, SecretError> {
        let slot = self.slot(reference.name());
        slot.wait()?;
        Ok(Arc::new(Followed(slot)))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use quaymaster_core::SystemClock;
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
        let secrets = of_files(Some(folder.path().to_owned()));
        (folder, secrets)
    }

    /// A network that nobody asks anything.
    #[derive(Debug)]
    struct NoWeb;

    impl SecretWeb for NoWeb {
        fn send(&self, _: web::Question) -> web::Answer<'_> {
            Box::pin(std::future::ready(Err("there is no network".into())))
        }
    }

    fn of_files(files: Option<PathBuf>) -> Secrets {
        let settings = SecretSettings { files, ..SecretSettings::default() };
        Secrets::new(settings, Arc::new(NoWeb), Arc::new(SystemClock))
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
        assert_eq!(resolved(&of_files(None), IN_ENVIRONMENT), Ok("quaymaster-control".into()));
    }

    #[test]
    fn a_missing_secret_says_where_it_was_looked_for() {
        let secrets = of_files(Some("/nowhere/secrets".into()));
        insta::assert_snapshot!(
            resolved(&secrets, "QUAYMASTER_TEST_UNSET").expect_err("missing"),
            @"secret `QUAYMASTER_TEST_UNSET` is not set: expected the file /nowhere/secrets/QUAYMASTER_TEST_UNSET or the environment variable QUAYMASTER_TEST_UNSET"
        );
        insta::assert_snapshot!(
            resolved(&of_files(None), "QUAYMASTER_TEST_UNSET").expect_err("missing"),
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

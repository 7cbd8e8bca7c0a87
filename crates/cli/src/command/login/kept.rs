//! What is kept of log-ins: one file of this person, with a credential for each installation.
//!
//! Invariants:
//! - Its folder and the file are for their owner alone; a file that others can read is not used.
//! - It is replaced whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::command::client::read_text;
use crate::failure::Failure;

/// The log-ins of this person.
#[derive(Debug)]
pub(in crate::command) struct Logins {
    file: PathBuf,
}

impl Logins {
    /// Those of this process' person: below `XDG_DATA_HOME`, or `~/.local/share`.
    pub(in crate::command) fn of_process() -> Result<Self, Failure> {
        let folder =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        let data = folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")));
        let data = data.ok_or_else(|| Failure::outside("HOME is not set"))?;
        Ok(Self { file: data.join("quaymaster/logins.json") })
    }

    /// The log-in to the installation of `config`, if there is one.
    pub(in crate::command) fn find(&self, config: &Path) -> Result<Option<String>, Failure> {
        Ok(self.read()?.remove(&name(config)?))
    }

    /// Keeps a log-in to the installation of `config`, in the place of another.
    pub(super) fn keep(&self, config: &Path, credential: &str) -> Result<(), Failure> {
        let mut all = self.read()?;
        all.insert(name(config)?, credential.to_owned());
        self.write(&all)
    }

    /// Forgets the log-in to the installation of `config`, and gives it.
    pub(super) fn forget(&self, config: &Path) -> Result<Option<String>, Failure> {
        let mut all = self.read()?;
        let forgotten = all.remove(&name(config)?);
        if forgotten.is_some() {
            self.write(&all)?;
        }
        Ok(forgotten)
    }

    fn read(&self) -> Result<BTreeMap<String, String>, Failure> {
        let Some(text) = read_text(&self.file).map_err(Failure::outside)? else {
            return Ok(BTreeMap::new());
        };
        only_for_owner(&self.file)?;
        // The parser's own message could repeat what it read.
        serde_json::from_str(&text).map_err(|_| {
            Failure::Outside(format!("{} is damaged: remove it, and log in again", self.file.display()))
        })
    }

    fn write(&self, all: &BTreeMap<String, String>) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            Failure::Outside(format!("{} cannot be written: {error}", self.file.display()))
        };
        if let Some(folder) = self.file.parent() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder).map_err(failed)?;
        }
        let draft = self.file.with_extension(format!("next-{}", std::process::id()));
        let text = serde_json::to_vec(all).map_err(Failure::outside)?;
        let replaced = write_new(&draft, &text).and_then(|()| fs::rename(&draft, &self.file));
        replaced.map_err(|error| {
            let _ = fs::remove_file(&draft);
            failed(error)
        })
    }
}

fn write_new(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// What the installation of `config` is called: where its configuration really is.
fn name(config: &Path) -> Result<String, Failure> {
    let folder = fs::canonicalize(config);
    let folder = folder.map_err(|e| Failure::Usage(format!("--config {}: {e}", config.display())))?;
    Ok(folder.to_string_lossy().into_owned())
}

#[cfg(unix)]
fn only_for_owner(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_err(Failure::outside)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::Outside(format!("{path} is readable by group or others: chmod 600 it, and log in again")))
}

#[cfg(not(unix))]
fn only_for_owner(_: &Path) -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_is_kept_for_its_installation_and_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        for config in [&one, &other] {
            fs::create_dir(config).expect("a folder");
        }
        let logins = Logins { file: folder.path().join("data/quaymaster/logins.json") };
        let find = |config: &Path| logins.find(config).expect("an answer");
        assert_eq!(find(&one), None);
        for credential in ["first", "second"] {
            logins.keep(&one, credential).expect("kept");
            assert_eq!((find(&one).as_deref(), find(&other)), (Some(credential), None));
        }
        assert_eq!(find(&one.join("../one")).as_deref(), Some("second"), "however it is named");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode(&logins.file), 0o600);
            assert_eq!(mode(logins.file.parent().expect("a folder")), 0o700);
            fs::set_permissions(&logins.file, fs::Permissions::from_mode(0o640)).expect("changed");
            assert!(logins.find(&one).is_err(), "others can read it");
            fs::set_permissions(&logins.file, fs::Permissions::from_mode(0o600)).expect("changed");
        }
        assert_eq!(logins.forget(&one).expect("forgotten").as_deref(), Some("second"));
        assert_eq!((find(&one), logins.forget(&one).expect("nothing")), (None, None));
    }
}

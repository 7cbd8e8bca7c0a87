//! Notices that a configuration changed, and reads it again.
//!
//! Looks at names, times and sizes in an interval, which works on every file
//! system, and reads only when they moved and then stood still for one more look,
//! so that a folder is not read while it is being copied. A configuration that
//! cannot be read is told like a good one; who listens keeps what it has.
//!
//! Invariants:
//! - Nothing that is in the folder ends the watching; only its listener does.
//! - What was told once is not told again, unless it was asked for.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;

use super::folder::{self, Fingerprint};
use super::{Diagnostics, Loaded, SecretCheck, check};

/// Most changes that wait for the listener.
const WAITING: usize = 4;

/// What became of a configuration that changed, or that was asked for again.
#[derive(Debug)]
pub struct Change {
    /// The digest of all its files.
    pub digest: String,
    /// Whether somebody asked for it, rather than that the folder changed.
    pub asked: bool,
    /// The new configuration, or why there is none.
    pub outcome: Result<Loaded, Diagnostics>,
}

/// Asks for the configuration to be read again at once, such as on `SIGHUP`.
#[derive(Clone, Debug)]
pub struct Reload(Sender<()>);

impl Reload {
    /// Has the configuration read and told whether it changed or not, because a secret that it
    /// names may have. Requests that come while one waits are that one.
    pub fn now(&self) {
        // Full: one is waiting already. Closed: nobody listens any more.
        let _ = self.0.try_send(());
    }
}

/// Watches `folder`, whose configuration with `digest` is at work, until the receiver is dropped.
///
/// Must be called on a tokio runtime.
pub fn watch(
    folder: PathBuf,
    digest: String,
    secrets: SecretCheck,
    interval: Duration,
) -> (Receiver<Change>, Reload) {
    let (changes, receiver) = mpsc::channel(WAITING);
    let (ask, asked) = mpsc::channel(1);
    let watcher = Watcher::new(folder, digest, secrets);
    tokio::spawn(run(watcher, interval, changes, asked));
    (receiver, Reload(ask))
}

async fn run(mut watcher: Watcher, interval: Duration, changes: Sender<Change>, mut asked: Receiver<()>) {
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listening_for_requests = true;
    loop {
        let forced = tokio::select! {
            () = changes.closed() => return,
            _ = ticks.tick() => false,
            request = asked.recv(), if listening_for_requests => {
                listening_for_requests = request.is_some();
                request.is_some()
            }
        };
        let looked = spawn_blocking(move || {
            let change = if forced { Some(watcher.read(true)) } else { watcher.look() };
            (watcher, change)
        });
        // An error is the end of the runtime; a panic cannot be, because no text makes loading panic.
        let Ok((returned, change)) = looked.await else { return };
        watcher = returned;
        if let Some(change) = change
            && changes.send(change).await.is_err()
        {
            return;
        }
    }
}

/// The state of one watched folder. Looks only when it is told to, so that it needs no time.
#[derive(Debug)]
struct Watcher {
    folder: PathBuf,
    secrets: SecretCheck,
    /// What was told last: the digest, and what could not be read and so is not in it.
    told: (String, Option<Diagnostics>),
    /// What the folder looked like when it was last read.
    read: Fingerprint,
    /// What it looked like last time, if that was different.
    moving: Option<Fingerprint>,
}

impl Watcher {
    fn new(folder: PathBuf, digest: String, secrets: SecretCheck) -> Self {
        // Empty, so that a change between loading and watching is not missed.
        Self { folder, secrets, told: (digest, None), read: Fingerprint::new(), moving: None }
    }

    /// A change, if the folder changed and stands still.
    fn look(&mut self) -> Option<Change> {
        let now = folder::fingerprint(&self.folder);
        if now == self.read {
            self.moving = None;
            return None;
        }
        if self.moving.as_ref() != Some(&now) {
            self.moving = Some(now);
            return None;
        }
        let before = self.told.clone();
        let change = self.read(false);
        (self.told != before).then_some(change)
    }

    fn read(&mut self, asked: bool) -> Change {
        // Taken before reading: what changes while it is read is seen by the next look.
        self.read = folder::fingerprint(&self.folder);
        self.moving = None;
        let (contents, found) = folder::read(&self.folder);
        let digest = contents.digest();
        self.told = (digest.clone(), found.has_errors().then(|| found.clone()));
        Change { digest, asked, outcome: check(&self.folder, contents, found, self.secrets) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{SETTINGS, folder};
    use super::super::{SETTINGS_FILE, load};
    use super::*;

    fn watched() -> (tempfile::TempDir, Watcher) {
        let folder = folder(&[]);
        let loaded = load(folder.path(), SecretCheck::Skip).expect("a good configuration");
        let mut watcher = Watcher::new(folder.path().to_owned(), loaded.digest, SecretCheck::Skip);
        assert!(watcher.look().is_none() && watcher.look().is_none() && watcher.look().is_none());
        (folder, watcher)
    }

    fn write(folder: &tempfile::TempDir, text: &str) {
        std::fs::write(folder.path().join(SETTINGS_FILE), text).expect("a file");
    }

    #[test]
    fn a_change_is_told_once_when_the_folder_stands_still() {
        let (folder, mut watcher) = watched();
        write(&folder, &format!("{SETTINGS}# one\n"));
        assert!(watcher.look().is_none());
        write(&folder, &format!("{SETTINGS}# one, two\n"));
        assert!(watcher.look().is_none());
        let change = watcher.look().expect("a change");
        assert_eq!(change.outcome.map(|loaded| loaded.digest).ok(), Some(change.digest));
        assert!(watcher.look().is_none() && watcher.look().is_none());
    }

    #[test]
    fn a_file_that_comes_or_goes_is_a_change() {
        let (folder, mut watcher) = watched();
        let policy = folder.path().join("policies/more.cedar");
        std::fs::write(&policy, "// more\n").expect("a file");
        assert!(watcher.look().is_none());
        assert!(watcher.look().is_some_and(|change| change.outcome.is_ok()));
        std::fs::remove_file(policy).expect("removed");
        assert!(watcher.look().is_none());
        assert!(watcher.look().is_some_and(|change| change.outcome.is_ok()));
    }

    #[test]
    fn a_file_that_comes_and_cannot_be_read_is_a_change() {
        let (folder, mut watcher) = watched();
        std::fs::create_dir(folder.path().join("connectors/folder.yaml")).expect("a folder");
        assert!(watcher.look().is_none());
        assert!(watcher.look().is_some_and(|change| change.outcome.is_err()));
        assert!(watcher.look().is_none());
        std::fs::remove_dir(folder.path().join("connectors/folder.yaml")).expect("removed");
        assert!(watcher.look().is_none());
        assert!(watcher.look().is_some_and(|change| change.outcome.is_ok()));
    }

    #[test]
    fn a_bad_configuration_is_told_once_and_a_good_one_after_it_too() {
        let (folder, mut watcher) = watched();
        write(&folder, "bad: [\n");
        assert!(watcher.look().is_none());
        assert!(watcher.look().is_some_and(|change| change.outcome.is_err()));
        assert!(watcher.look().is_none());
        write(&folder, SETTINGS);
        assert!(watcher.look().is_none());
        assert!(watcher.look().is_some_and(|change| change.outcome.is_ok()));
    }

    #[test]
    fn a_file_that_is_written_again_with_the_same_text_is_no_change() {
        let (folder, mut watcher) = watched();
        let path = folder.path().join(SETTINGS_FILE);
        let later = std::time::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        std::fs::File::options().write(true).open(path).and_then(|f| f.set_modified(later)).expect("a time");
        assert!(watcher.look().is_none());
        assert!(watcher.look().is_none());
        assert_eq!(watcher.moving, None);
    }

    #[test]
    fn a_folder_that_vanished_is_told_and_waited_for() {
        let (folder, mut watcher) = watched();
        let elsewhere = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_owned();
        std::fs::rename(&path, elsewhere.path().join("moved")).expect("moved");
        assert!(watcher.look().is_none());
        assert!(watcher.look().is_some_and(|change| change.outcome.is_err()));
        std::fs::rename(elsewhere.path().join("moved"), &path).expect("moved back");
        assert!(watcher.look().is_none());
        assert!(watcher.look().is_some_and(|change| change.outcome.is_ok()));
    }

    async fn heard(changes: &mut Receiver<Change>) -> Change {
        let change = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await;
        change.expect("in time").expect("a change")
    }

    #[tokio::test]
    async fn a_listener_hears_of_changes_and_of_what_it_asks_for() {
        let folder = folder(&[]);
        let loaded = load(folder.path(), SecretCheck::Skip).expect("a good configuration");
        let interval = Duration::from_millis(5);
        let (mut changes, reload) =
            watch(folder.path().to_owned(), loaded.digest.clone(), SecretCheck::Skip, interval);
        reload.now();
        let again = heard(&mut changes).await;
        assert_eq!(again.digest, loaded.digest);
        write(&folder, "bad: [\n");
        let bad = heard(&mut changes).await;
        assert!(bad.outcome.is_err() && bad.digest != loaded.digest);
        write(&folder, SETTINGS);
        let good = heard(&mut changes).await;
        assert_eq!(good.digest, loaded.digest);
        drop(reload);
        write(&folder, &format!("{SETTINGS}# more\n"));
        assert_ne!(heard(&mut changes).await.digest, good.digest);
    }
}

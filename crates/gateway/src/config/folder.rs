//! The files of a configuration folder, as texts.
//!
//! Reads `quaymaster.yaml`, `connectors/*.yaml`, `policies/*.cedar` and
//! `contracts/*.lock.json` and nothing below them; hidden files are passed over, because that is where editors and
//! Kubernetes keep theirs. What the texts mean is not looked at here.
//!
//! Invariant: every file, every folder and the whole are bounded, and only plain
//! files are opened (a pipe would wait for its writer).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use quaymaster_core::arguments::sha256_text;

use super::diagnostic::{Code, Diagnostics, Problem, Source};

/// The name of the file with the settings.
pub const SETTINGS_FILE: &str = "quaymaster.yaml";

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 512 * 1024;
/// The same for a file that pins contracts, which has the definitions of all tools of a server.
const MAX_LOCK_BYTES: u64 = 8 * 1024 * 1024;
/// Most entries that a folder may have.
const MAX_ENTRIES: usize = 1_000;
/// Most files of one kind that are read.
const MAX_FILES: usize = 256;

/// A subfolder of a configuration and what is read of it.
struct Kind {
    folder: &'static str,
    extensions: &'static [&'static str],
    /// What is worth knowing where there is no such folder.
    absent: Option<fn() -> Problem>,
}

/// The file that says what is looked for in whatever leaves.
pub(super) const CLASSIFICATION_FILE: &str = "classification.yaml";

/// The folder of the files that pin contracts.
pub const CONTRACTS_FOLDER: &str = "contracts";

const CONTRACTS: Kind = Kind { folder: CONTRACTS_FOLDER, extensions: &["json"], absent: None };

const CONNECTORS: Kind = Kind {
    folder: "connectors",
    extensions: &["yaml", "yml"],
    absent: Some(|| Problem::warning(Code::File, None, "there are no connectors, so no tool is offered")),
};

const POLICIES: Kind = Kind {
    folder: "policies",
    extensions: &["cedar"],
    absent: Some(|| {
        Problem::warning(
            Code::PolicyAbsent,
            None,
            "there are no policies: a call that no connector's `access` permits is denied",
        )
        .help("make the folder, even an empty one, to say that this is meant".to_owned())
    }),
};

/// The texts of a configuration.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) settings: Option<Source>,
    /// In the order of their names.
    pub(super) connectors: Vec<Source>,
    /// In the order of their names.
    pub(super) policies: Vec<Arc<Source>>,
    /// In the order of their names.
    pub(super) locks: Vec<Source>,
    /// What is said of the data that passes, if anything is.
    pub(super) classification: Option<Source>,
}

impl Contents {
    /// SHA-256 over the names and texts of all files, as `sha256:<64 hexadecimal digits>`.
    pub(super) fn digest(&self) -> String {
        let policies = self.policies.iter().map(Arc::as_ref);
        let all = self
            .settings
            .iter()
            .chain(&self.connectors)
            .chain(policies)
            .chain(&self.locks)
            .chain(&self.classification);
        // A name has no line end here: `read` refuses such a file.
        let listed: Vec<String> = all.map(|file| format!("{} {}", file.digest(), file.path())).collect();
        sha256_text(listed.join("\n").as_bytes())
    }
}

/// Reads the files below `root`.
pub(super) fn read(root: &Path) -> (Contents, Diagnostics) {
    let mut found = Diagnostics::default();
    let settings = read_file(root, SETTINGS_FILE.to_owned(), &mut found);
    let mut read_kind = |kind: &Kind| -> Vec<Source> {
        let listing = list(root, kind);
        found.add(listing.problems.into_iter().map(|(path, problem)| problem.at_path(path)));
        listing.files.into_iter().filter_map(|path| read_file(root, path, &mut found)).collect()
    };
    let connectors = read_kind(&CONNECTORS);
    // A policy has no place for a secret.
    let policies = read_kind(&POLICIES).into_iter().map(|file| Arc::new(file.hiding(Some(Vec::new()))));
    let policies = policies.collect();
    let locks = read_kind(&CONTRACTS);
    let classification = root.join(CLASSIFICATION_FILE);
    let classification = match classification.try_exists() {
        Ok(false) => None,
        // What cannot be looked at is told when it is read.
        Ok(true) | Err(_) => read_file(root, CLASSIFICATION_FILE.to_owned(), &mut found),
    };
    (Contents { settings, connectors, policies, locks, classification }, found)
}

/// What tells that a file may have changed, without reading it.
pub(super) type Fingerprint = Vec<(String, Option<(SystemTime, u64)>)>;

/// Names, times of change and sizes of the files below `root`.
pub(super) fn fingerprint(root: &Path) -> Fingerprint {
    let listed = [CONNECTORS, POLICIES, CONTRACTS].into_iter().flat_map(|kind| list(root, &kind).files);
    let all = std::iter::once(SETTINGS_FILE.to_owned()).chain(listed);
    let changed = |path: &str| {
        let metadata = std::fs::metadata(root.join(path)).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    all.map(|path| (path.clone(), changed(&path))).collect()
}

#[derive(Default)]
struct Listing {
    /// Paths below the root, sorted.
    files: Vec<String>,
    problems: Vec<(String, Problem)>,
}

fn list(root: &Path, kind: &Kind) -> Listing {
    let mut listing = Listing::default();
    let problem = |message: String| (kind.folder.to_owned(), Problem::error(Code::File, None, message));
    let entries = match std::fs::read_dir(root.join(kind.folder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let absent = kind.absent.map(|absent| (kind.folder.to_owned(), absent()));
            listing.problems.extend(absent);
            return listing;
        }
        Err(error) => {
            listing.problems.push(problem(format!("the folder cannot be read: {error}")));
            return listing;
        }
    };
    let names: Vec<_> = entries.filter_map(Result::ok).map(|e| e.file_name()).take(MAX_ENTRIES + 1).collect();
    if names.len() > MAX_ENTRIES {
        listing.problems.push(problem(format!("the folder has more than {MAX_ENTRIES} entries")));
        return listing;
    }
    for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
        let path = format!("{}/{}", kind.folder, name.display().to_string().escape_debug());
        let extension = Path::new(name).extension().and_then(OsStr::to_str);
        let readable = name.to_str().is_some_and(|name| !name.contains(char::is_control));
        if readable && extension.is_some_and(|e| kind.extensions.contains(&e)) {
            listing.files.push(format!("{}/{}", kind.folder, name.display()));
        } else if kind.folder != POLICIES.folder || !is_test(name) {
            let read = kind.extensions.iter().map(|e| format!("`.{e}`")).collect::<Vec<_>>().join(" and ");
            let message = format!("not read: only {read} files are");
            listing.problems.push((path, Problem::warning(Code::IgnoredFile, None, message)));
        }
    }
    listing.files.sort();
    if listing.files.len() > MAX_FILES {
        listing.problems.push(problem(format!("the folder has more than {MAX_FILES} files")));
        listing.files.clear();
    }
    listing
}

/// What the names of files with tests of policies end with.
const TESTS: &str = ".test.yaml";

fn is_test(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(TESTS) && !name.contains(char::is_control))
}

/// The tests beside the policies, in the order of their names.
pub(super) fn read_tests(root: &Path) -> (Vec<Source>, Diagnostics) {
    read_all(root, POLICIES.folder, is_test)
}

/// The policies of a folder that is no part of a configuration, in the order of their names.
pub(super) fn read_policies(folder: &Path) -> (Vec<Source>, Diagnostics) {
    let is_policy = |name: &OsStr| Path::new(name).extension().is_some_and(|extension| extension == "cedar");
    read_all(folder, ".", is_policy)
}

fn read_all(root: &Path, folder: &str, is_wanted: impl Fn(&OsStr) -> bool) -> (Vec<Source>, Diagnostics) {
    let mut found = Diagnostics::default();
    let entries = match std::fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("the folder cannot be read: {error}");
            found
                .add([Problem::error(Code::File, None, message)
                    .at_path(root.join(folder).display().to_string())]);
            return (Vec::new(), found);
        }
    };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name()).take(MAX_ENTRIES);
    let mut names: Vec<_> = names.filter(|name| is_wanted(name)).take(MAX_FILES).collect();
    names.sort();
    let path = |name: &OsStr| match folder {
        "." => name.display().to_string(),
        folder => format!("{folder}/{}", name.display()),
    };
    let files = names.iter().filter_map(|name| read_file(root, path(name), &mut found)).collect();
    (files, found)
}

/// The file at `path`, which may lie anywhere.
pub(super) fn read_one(path: &Path) -> (Option<Source>, Diagnostics) {
    let mut found = Diagnostics::default();
    let source = read_file(Path::new(""), path.display().to_string(), &mut found);
    (source, found)
}

fn read_file(root: &Path, path: String, found: &mut Diagnostics) -> Option<Source> {
    let is_lock = path.starts_with(CONTRACTS_FOLDER);
    let most = if is_lock { MAX_LOCK_BYTES } else { MAX_FILE_BYTES };
    match read_text(&root.join(&path), most) {
        Ok(text) => Some(Source::new(path, text)),
        Err(message) => {
            let help = (path == SETTINGS_FILE).then(|| {
                format!("{} is not a configuration folder; `quaymaster demo` makes one", root.display())
            });
            found.add([Problem::error(Code::File, None, message).help(help).at_path(path)]);
            None
        }
    }
}

fn read_text(path: &Path, most: u64) -> Result<String, String> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("not a file".into());
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(format!("the file has more than {} KiB", most / 1024));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = good.filter(|byte| **byte == b'\n').count() + 1;
        format!("the file is not UTF-8 text: line {line}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, content) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        folder
    }

    fn shown(found: &Diagnostics) -> String {
        found.to_string()
    }

    #[test]
    fn files_are_read_in_the_order_of_their_names_and_others_are_told_of() {
        let folder = folder(&[
            ("quaymaster.yaml", b"a"),
            ("connectors/b.yml", b"b"),
            ("connectors/a.yaml", b"c"),
            ("connectors/notes.txt", b"d"),
            ("connectors/old.yaml~", b"e"),
            ("connectors/.hidden.yaml", b"f"),
            ("connectors/below/c.yaml", b"g"),
            ("policies/z.cedar", b"h"),
            ("policies/README.md", b"i"),
        ]);
        let (contents, found) = read(folder.path());
        let paths: Vec<&str> = contents.connectors.iter().map(Source::path).collect();
        assert_eq!(paths, ["connectors/a.yaml", "connectors/b.yml"]);
        assert_eq!(contents.policies.len(), 1);
        insta::assert_snapshot!(shown(&found));
    }

    #[test]
    fn an_empty_folder_is_told_what_it_lacks() {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, found) = read(folder.path());
        assert!(found.has_errors());
        insta::assert_snapshot!(shown(&found));
    }

    #[test]
    fn what_is_not_a_text_of_moderate_size_is_refused() {
        let large = vec![b'#'; 512 * 1024 + 1];
        let folder = folder(&[
            ("quaymaster.yaml", b"a: 1\nb: \xff\n"),
            ("connectors/large.yaml", &large),
            ("connectors/full.yaml", &large[1..]),
            ("connectors/folder.yaml/x", b""),
            ("policies/x.cedar", b""),
        ]);
        let (contents, found) = read(folder.path());
        assert_eq!(contents.connectors.len(), 1);
        insta::assert_snapshot!(shown(&found));
    }

    #[test]
    fn too_many_files_are_none() {
        let names: Vec<String> = (0..=MAX_FILES).map(|n| format!("policies/{n}.cedar")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        let folder = folder(&files);
        let (contents, found) = read(folder.path());
        assert!(contents.policies.is_empty());
        assert!(shown(&found).contains("more than 256 files"));
    }

    #[test]
    fn the_digest_depends_on_every_name_and_text() {
        let digest = |files: &[(&str, &[u8])]| read(folder(files).path()).0.digest();
        let one = digest(&[("quaymaster.yaml", b"a"), ("policies/x.cedar", b"b")]);
        assert_eq!(one, digest(&[("policies/x.cedar", b"b"), ("quaymaster.yaml", b"a")]));
        assert_ne!(one, digest(&[("quaymaster.yaml", b"b"), ("policies/x.cedar", b"a")]));
        assert_ne!(one, digest(&[("quaymaster.yaml", b"a"), ("policies/y.cedar", b"b")]));
        assert_ne!(one, digest(&[("quaymaster.yaml", b"a"), ("connectors/x.yaml", b"b")]));
        assert!(one.starts_with("sha256:") && one.len() == 71);
    }
}

//! Whether a program is the one that was pinned: a file by its hash, a package by name, version and hash.
//!
//! The hash of a folder is the SHA-256 of a list with one line for each of its files, in the order of their
//! paths: `<hash of the file>  <path>`, and `-> <target>  <path>` for a link. What is looked at is what lies
//! there at that moment; whoever can write there can do so a moment later, so the folder must not be
//! writable for whoever the gateway runs as (the guide says so).
//!
//! Invariants:
//! - What is pinned and cannot be read, or is larger than can be looked at, is not what was pinned.
//! - No link is followed out of a folder, and none within one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use quaymaster_core::arguments::push_hex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::config::{PinnedConfig, ServerConfig};
use crate::problem::Problems;

/// Most files of one package.
const MAX_FILES: usize = 50_000;
/// Most bytes that are looked at for one entry.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// Deepest folder of a package.
const MAX_DEPTH: usize = 64;

/// Programs that download what they run, whatever their arguments say.
const FETCHING: [&str; 6] = ["npx", "uvx", "bunx", "pnpx", "pipx", "dlx"];

/// Programs that do so with this argument.
const FETCHING_WITH: [(&str, &str); 11] = [
    ("npm", "exec"),
    ("npm", "x"),
    ("npm", "init"),
    ("pnpm", "dlx"),
    ("pnpm", "exec"),
    ("yarn", "dlx"),
    ("bun", "x"),
    ("uv", "run"),
    ("uv", "tool"),
    ("uv", "x"),
    ("pip", "run"),
];

/// Programs that run another one, which is named in their arguments.
const RUNNERS: [&str; 9] = ["env", "sh", "bash", "dash", "zsh", "nice", "timeout", "nohup", "sudo"];

/// Programs that run containers, and other ones only by their digest.
const CONTAINERS: [&str; 3] = ["docker", "podman", "nerdctl"];

/// Programs of which what they run is an argument.
const INTERPRETERS: [&str; 9] = ["node", "python", "deno", "bun", "ruby", "java", "perl", "php", "dotnet"];

/// What has to be as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pinned {
    path: PathBuf,
    sha256: String,
    package: Option<(String, String)>,
}

/// The name of what downloads what it runs, if `command` with `args` does.
pub(super) fn fetcher(command: &Path, args: &[String]) -> Option<String> {
    let name = |path: &Path| path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let program = name(command);
    if FETCHING.contains(&program.as_str()) {
        return Some(program);
    }
    let words = || args.iter().flat_map(|arg| arg.split_whitespace());
    let first = words().find(|word| !word.starts_with('-')).unwrap_or_default();
    if FETCHING_WITH.contains(&(program.as_str(), first)) {
        return Some(format!("{program} {first}"));
    }
    if RUNNERS.contains(&program.as_str())
        && let Some(word) = words().find(|word| FETCHING.contains(&name(Path::new(word)).as_str()))
    {
        return Some(name(Path::new(word)));
    }
    let is_cli =
        |word: &&str| matches!(name(Path::new(word)).as_str(), "npx-cli" | "npm-cli" | "pnpm" | "yarn");
    if is_interpreter(command)
        && let Some(word) = words().find(is_cli)
    {
        return Some(name(Path::new(word)));
    }
    if is_interpreter(command) && first == "run" && words().any(|word| word.contains("://")) {
        return Some(format!("{program} run"));
    }
    let runs = CONTAINERS.contains(&program.as_str()) && words().any(|word| word == "run");
    (runs && !words().any(|word| word.contains("@sha256:"))).then(|| format!("{program} run"))
}

fn is_interpreter(command: &Path) -> bool {
    let name = command.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&name)
}

/// What a file says of it.
pub(super) fn read(server: &ServerConfig, problems: &mut Problems) -> Vec<Pinned> {
    let mut pinned = Vec::new();
    for (at, PinnedConfig { path, sha256, package, version }) in server.pinned.iter().enumerate() {
        let place = format!("spec.server.pinned[{at}]");
        if !Path::new(path).is_absolute() {
            problems.add(format!("{place}.path"), "not an absolute path");
        }
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if sha256.len() != 64 || !sha256.bytes().all(is_hex) {
            let help = format!("`quaymaster tools hash {}` prints it", path.escape_debug());
            problems.add_with_help(format!("{place}.sha256"), "not 64 hexadecimal digits", help);
        }
        let package = match (package, version) {
            (Some(package), Some(version)) => Some((package.clone(), version.clone())),
            (None, None) => None,
            _ => {
                problems.add(&place, "a package has a name and a version");
                None
            }
        };
        pinned.push(Pinned { path: path.into(), sha256: sha256.clone(), package });
    }
    pinned
}

/// What is missing of `pinned` for a server that is started, if something is: its program, or what the program
/// interprets.
pub fn unpinned(server: &ServerConfig) -> Option<PathBuf> {
    let command = PathBuf::from(server.command.as_deref()?);
    let covers = |path: &Path| server.pinned.iter().any(|pin| path.starts_with(&pin.path));
    if !covers(&command) {
        return Some(command);
    }
    if !is_interpreter(&command) {
        return None;
    }
    let script = server.args.iter().map(Path::new).find(|arg| arg.is_absolute());
    match script {
        Some(script) => (!covers(script)).then(|| script.to_owned()),
        // Such as `python -m server`: the folder that it is found in.
        None => {
            let others = server.pinned.iter().any(|pin| Path::new(&pin.path) != command);
            (!others).then_some(command)
        }
    }
}

/// Whether all of `pinned` is as it was.
///
/// # Errors
///
/// What is not, in one sentence.
pub(super) async fn verify(pinned: &[Pinned]) -> Result<(), String> {
    if pinned.is_empty() {
        return Ok(());
    }
    let pinned = pinned.to_owned();
    let work = tokio::task::spawn_blocking(move || pinned.iter().try_for_each(Pinned::verify));
    work.await.unwrap_or_else(|_| Err("what is pinned could not be looked at".to_owned()))
}

impl Pinned {
    fn verify(&self) -> Result<(), String> {
        let path = self.path.display();
        if let Some((package, version)) = &self.package {
            let found = package_at(&self.path, package)
                .ok_or_else(|| format!("{path} does not hold the package `{}`", package.escape_debug()))?;
            if found != *version {
                let (found, version) = (found.escape_debug(), version.escape_debug());
                return Err(format!("{path} holds version {found} and not {version}, which is pinned"));
            }
        }
        let now =
            hash(&self.path).map_err(|why| format!("{path} is pinned and cannot be looked at: {why}"))?;
        if now == self.sha256 {
            Ok(())
        } else {
            Err(format!("{path} is not what was pinned: its hash is {now}"))
        }
    }
}

/// The hash of a file or a folder, as 64 hexadecimal digits.
///
/// # Errors
///
/// Why it cannot be had.
pub fn hash(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let is_folder = fs::metadata(path).map_err(failed)?.is_dir();
    let mut left = MAX_BYTES;
    if !is_folder {
        return hash_file(path, &mut left);
    }
    let mut files = BTreeMap::new();
    list(path, path, 0, &mut files)?;
    let mut all = Sha256::new();
    for (name, (file, target)) in files {
        let line = match target {
            Some(target) => format!("-> {target}  {name}\n"),
            None => format!("{}  {name}\n", hash_file(&file, &mut left)?),
        };
        all.update(line.as_bytes());
    }
    Ok(hex(&all.finalize()))
}

type Files = BTreeMap<String, (PathBuf, Option<String>)>;

fn list(root: &Path, folder: &Path, depth: usize, files: &mut Files) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if depth > MAX_DEPTH {
        return Err(format!("its folders are nested deeper than {MAX_DEPTH}"));
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let kind = fs::symlink_metadata(&path).map_err(failed)?.file_type();
        if kind.is_dir() {
            list(root, &path, depth + 1, files)?;
            continue;
        }
        let name = path.strip_prefix(root).ok().and_then(Path::to_str);
        let Some(name) = name.filter(|name| !name.contains('\n')) else {
            return Err("it has a file whose name is no text on one line".to_owned());
        };
        let target = if kind.is_symlink() {
            Some(fs::read_link(&path).map_err(failed)?.display().to_string())
        } else if kind.is_file() {
            None
        } else {
            return Err(format!("{} is neither a file nor a link", path.display()));
        };
        files.insert(name.to_owned(), (path.clone(), target));
        if files.len() > MAX_FILES {
            return Err(format!("it has more than {MAX_FILES} files"));
        }
    }
    Ok(())
}

fn hash_file(path: &Path, left: &mut u64) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err("not a file".to_owned());
    }
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer).map_err(failed)?;
        if length == 0 {
            return Ok(hex(&digest.finalize()));
        }
        *left = left
            .checked_sub(length as u64)
            .ok_or_else(|| format!("it has more than {} MiB", MAX_BYTES / 1024 / 1024))?;
        digest.update(buffer.get(..length).unwrap_or_default());
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    push_hex(&mut text, bytes);
    text
}

/// The version of the package in `folder`, if it is the one called `name`: of npm by its `package.json`, of
/// Python by the `.dist-info` folder (PEP 376, PEP 503).
fn package_at(folder: &Path, name: &str) -> Option<String> {
    if let Ok(text) = fs::read_to_string(folder.join("package.json")) {
        let manifest: Value = serde_json::from_str(&text).ok()?;
        let is_it = manifest.get("name").and_then(Value::as_str) == Some(name);
        return manifest.get("version").and_then(Value::as_str).filter(|_| is_it).map(str::to_owned);
    }
    let normal = |name: &str| name.to_ascii_lowercase().replace(['.', '_'], "-");
    fs::read_dir(folder).ok()?.filter_map(Result::ok).take(MAX_FILES).find_map(|entry| {
        let file = entry.file_name();
        let (found, version) = file.to_str()?.strip_suffix(".dist-info")?.rsplit_once('-')?;
        (normal(found) == normal(name)).then(|| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> (PathBuf, Vec<String>) {
        let mut words = text.split(' ').map(str::to_owned);
        (PathBuf::from(words.next().expect("a program")), words.collect())
    }

    #[test]
    fn what_downloads_what_it_runs_is_known_however_it_is_started() {
        for (line, found) in [
            ("/usr/bin/npx -y server", "npx"),
            ("/usr/bin/uvx server", "uvx"),
            ("/usr/bin/npm exec server", "npm exec"),
            ("/usr/bin/uv --quiet run server", "uv run"),
            ("/usr/bin/env npx server", "npx"),
            ("/bin/sh -c npx server", "npx"),
            ("/usr/bin/node /usr/lib/node_modules/npm/bin/npx-cli.js server", "npx-cli"),
            ("/usr/bin/deno run https://example.test/server.ts", "deno run"),
            ("/usr/bin/docker run -i --rm acme/server:latest", "docker run"),
        ] {
            let (command, args) = args(line);
            assert_eq!(fetcher(&command, &args).as_deref(), Some(found), "{line}");
        }
        for line in [
            "/usr/bin/node /opt/mcp/server/index.js",
            "/usr/bin/python3.12 -m server",
            "/usr/bin/docker run -i --rm acme/server@sha256:00",
            "/usr/local/bin/mcp-server --run npx",
            "/opt/uv/server run",
        ] {
            let (command, args) = args(line);
            assert_eq!(fetcher(&command, &args), None, "{line}");
        }
    }

    #[test]
    fn a_package_is_what_was_pinned_or_it_is_told_why_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, text).expect("written");
        };
        write("package.json", r#"{"name": "@acme/server", "version": "1.2.3"}"#);
        write("lib/index.js", "run()");
        std::os::unix::fs::symlink("lib/index.js", folder.path().join("main")).expect("a link");
        let pinned = |version: &str| Pinned {
            path: folder.path().to_owned(),
            sha256: hash(folder.path()).expect("a hash"),
            package: Some(("@acme/server".into(), version.into())),
        };
        let good = pinned("1.2.3");
        assert_eq!(good.verify(), Ok(()));
        let why = pinned("1.2.4").verify().expect_err("another version");
        assert!(why.ends_with("holds version 1.2.3 and not 1.2.4, which is pinned"), "{why}");
        let changes: [&dyn Fn(); 4] = [
            &|| write("lib/index.js", "steal()"),
            &|| write("lib/more.js", ""),
            &|| fs::rename(folder.path().join("lib"), folder.path().join("other")).expect("moved"),
            &|| fs::remove_dir_all(folder.path()).expect("removed"),
        ];
        for change in changes {
            change();
            assert!(good.verify().is_err());
            if folder.path().exists() {
                let _ = fs::remove_dir_all(folder.path());
                write("package.json", r#"{"name": "@acme/server", "version": "1.2.3"}"#);
                write("lib/index.js", "run()");
                std::os::unix::fs::symlink("lib/index.js", folder.path().join("main")).expect("a link");
                assert_eq!(good.verify(), Ok(()), "the same again is the same");
            }
        }
    }

    #[test]
    fn a_python_package_is_known_by_its_dist_info() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("mcp_server_git-2.0.1.dist-info")).expect("a folder");
        assert_eq!(package_at(folder.path(), "mcp-server.git").as_deref(), Some("2.0.1"));
        assert_eq!(package_at(folder.path(), "mcp-server"), None);
    }

    #[test]
    fn a_server_is_pinned_if_its_program_and_what_that_interprets_are() {
        let server = |command: &str, args: &[&str], pinned: &[&str]| {
            let pinned: Vec<Value> = pinned
                .iter()
                .map(|path| serde_json::json!({"path": path, "sha256": "0".repeat(64)}))
                .collect();
            let config = serde_json::json!({
                "transport": "stdio", "command": command, "args": args, "pinned": pinned
            });
            unpinned(&serde_json::from_value(config).expect("a server"))
                .map(|path| path.display().to_string())
        };
        let missing = |text: &str| Some(text.to_owned());
        assert_eq!(server("/opt/server", &["/srv/data"], &["/opt/server"]), None);
        assert_eq!(server("/opt/server", &[], &[]), missing("/opt/server"));
        assert_eq!(server("/opt/bin/server", &[], &["/opt"]), None);
        assert_eq!(server("/bin/node", &["/opt/x/a.js"], &["/bin/node"]), missing("/opt/x/a.js"));
        assert_eq!(server("/bin/node", &["/opt/x/a.js"], &["/bin/node", "/opt/x"]), None);
        assert_eq!(server("/bin/python3", &["-m", "x"], &["/bin/python3"]), missing("/bin/python3"));
        assert_eq!(server("/bin/python3", &["-m", "x"], &["/bin/python3", "/opt/venv"]), None);
    }
}

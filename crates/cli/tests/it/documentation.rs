//! Every command in the README and the guides runs.
//!
//! A block marked `sh` is run by bash, in order, on one demo that serves; one
//! marked `sh fails` must end with an exit code other than 0. `make` is stood in
//! for by a look at whether the target exists, and agents by scripts that take
//! note of how they were called: the real ones are run by `make test-clients`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gateway::{BINARY, Demo};

struct Block {
    line: usize,
    fails: bool,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project")
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in markdown.lines().enumerate() {
        match (&mut open, line.trim_end()) {
            (None, "```sh") => open = Some(Block { line: number + 1, fails: false, text: String::new() }),
            (None, "```sh fails") => {
                open = Some(Block { line: number + 1, fails: true, text: String::new() });
            }
            (Some(_), "```") => found.extend(open.take()),
            (Some(block), line) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            _ => {}
        }
    }
    found
}

fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/bash\n{text}\n")).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
}

#[test]
fn every_command_block_runs() {
    let place = tempfile::tempdir().expect("a folder");
    let demo = Demo::start_in(&place.path().join("quaymaster-demo"), "127.0.0.1:0");
    let programs = place.path().join("programs");
    fs::create_dir(&programs).expect("a folder");
    std::os::unix::fs::symlink(BINARY, programs.join("quaymaster")).expect("a link");
    script(
        &programs,
        "make",
        &format!("exec /usr/bin/make -C '{}' --dry-run \"$@\" >/dev/null", root().display()),
    );
    for agent in ["codex", "claude"] {
        script(
            &programs,
            agent,
            "[ \"$1\" = mcp ] && [ \"$2\" = add ] && printf '%s\\n' \"$@\" >>agents.log",
        );
    }
    let mut documents = vec![root().join("README.md")];
    let guides = fs::read_dir(root().join("docs/guides")).expect("the guides");
    documents.extend(guides.map(|entry| entry.expect("a guide").path()));
    let mut ran = 0;
    for document in documents {
        let text = fs::read_to_string(&document).expect("a document");
        // One shell for each document: what a block exports the next one has.
        let mut program = String::from("set -u\n");
        for block in blocks(&text) {
            let commands = block.text.replace("127.0.0.1:8080", &demo.address);
            let line = block.line;
            let wrapped = if block.fails {
                format!(
                    "set +e\n{commands}[ $? -ne 0 ] || {{ echo 'the block at line {line} should fail' >&2; exit 1; }}\n"
                )
            } else {
                format!("set -e\ntrap 'echo the block at line {line} failed >&2' ERR\n{commands}trap - ERR\n")
            };
            program.push_str(&wrapped);
            ran += 1;
        }
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
        let done = Command::new("/bin/bash")
            .arg("-c")
            .arg(&program)
            .current_dir(place.path())
            .env("PATH", path)
            // What is told of other clients touches nobody's own.
            .env("HOME", place.path())
            .env_remove("CODEX_HOME")
            .env_remove("CLAUDE_CONFIG_DIR")
            .env_remove("XDG_CONFIG_HOME")
            .output();
        let done = done.expect("bash");
        assert!(
            done.status.success(),
            "{}: {}{}",
            document.display(),
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
    }
    assert!(ran >= 10, "{ran} blocks were found");
    let agents = fs::read_to_string(place.path().join("agents.log")).expect("the agents were set up");
    assert!(agents.contains("--bearer-token-env-var") && agents.contains("Authorization: Bearer qmt_"));
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut checked = 0;
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/adr/README.md"] {
        let path = root().join(document);
        let text = fs::read_to_string(&path).expect("a document");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let file = path.parent().expect("a folder").join(target.split('#').next().unwrap_or(target));
            assert!(file.exists(), "{document} links to {target}, which is not there");
            checked += 1;
        }
    }
    assert!(checked > 5);
}

#[test]
fn the_documents_name_files_and_tests_that_exist() {
    let sources = sources(&root().join("crates"));
    for (document, least) in [("ARCHITECTURE.md", 15), ("docs/security-tests.md", 40)] {
        let text = fs::read_to_string(root().join(document)).expect("the document");
        let mut names = 0;
        for word in text.split('`').skip(1).step_by(2) {
            if word.starts_with("crates/") {
                assert!(
                    root().join(word.trim_end_matches(", `View::resolve`")).exists(),
                    "{document}: {word} is not there"
                );
                names += 1;
            } else if word.contains('_')
                && word.len() > 22
                && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
            {
                assert!(sources.contains(&format!("fn {word}(")), "{document}: there is no test `{word}`");
                names += 1;
            }
        }
        assert!(names > least, "{names} names of {document} were checked");
    }
}

fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path());
    entries
        .map(|path| match path.extension().and_then(|e| e.to_str()) {
            _ if path.is_dir() => sources(&path),
            Some("rs") => fs::read_to_string(&path).expect("a file"),
            _ => String::new(),
        })
        .collect()
}

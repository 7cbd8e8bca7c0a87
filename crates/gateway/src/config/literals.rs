//! Secrets that stand in a file of the configuration folder, whatever file that is.
//!
//! Where a secret is expected, anything but a reference is refused when the file is read (`decode`). Here
//! all texts of the folder are looked through, also those that are never read: by the detectors of
//! `quaymaster-redaction`, line by line, and in YAML by the names of keys.
//!
//! Invariants:
//! - What was found is in no message, and covered wherever its file is shown.
//! - Folders, files and depth are bounded; a file that is too large is said to be so and not passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quaymaster_redaction::{Engine, KEY_BYTES, Key, Kind, KindAction, RedactionConfig, Scope};

use super::diagnostic::{Code, Diagnostic, Diagnostics, Problem, Source, Span};
use super::yaml::{self, Node, Value};

/// Largest file that is looked through, in bytes: that of a file that pins contracts.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
const MAX_FILES: usize = 4_000;
const MAX_DEPTH: usize = 6;
/// Most literals of one file that are told.
const MAX_TOLD: usize = 50;
const EXTENSIONS: [&str; 13] =
    ["yaml", "yml", "json", "jsonl", "cedar", "md", "txt", "toml", "ini", "conf", "cfg", "properties", "csv"];
/// What begins a private key in PEM (RFC 7468), whose lines look like nothing.
const PEM: &str = "PRIVATE KEY-----";

/// Last words of a key whose value is a secret.
const SECRET_WORDS: [&str; 9] =
    ["password", "passwd", "passphrase", "pwd", "secret", "token", "apikey", "credential", "credentials"];
/// Last two words of such a key.
const SECRET_PAIRS: [(&str, &str); 7] = [
    ("api", "key"),
    ("access", "key"),
    ("private", "key"),
    ("signing", "key"),
    ("encryption", "key"),
    ("auth", "key"),
    ("account", "key"),
];

/// What is looked for secrets with.
struct Detectors {
    engine: Engine,
    key: Key,
}

/// Looks through the texts below `root`, but for what is below one of `apart`: state, and the files that hold
/// secrets.
pub(crate) fn find(root: &Path, apart: &[PathBuf]) -> Diagnostics {
    let mut found = Diagnostics::default();
    let Some(detectors) = Detectors::new() else { return found };
    let (mut files, mut is_cut) = (Vec::new(), false);
    collect(root, Path::new(""), apart, &mut files, &mut is_cut);
    if is_cut {
        let message = format!(
            "more than {MAX_FILES} files or {MAX_DEPTH} folders deep: not all were looked through for secrets"
        );
        found.add([Problem::warning(Code::File, None, message).at_path(".")]);
    }
    for path in files {
        let shown = path.display().to_string().escape_debug().to_string();
        match read(&root.join(&path)) {
            Ok(Some(text)) => found.add(detectors.look(shown, text)),
            Ok(None) => {}
            Err(message) => found.add([Problem::warning(Code::File, None, message).at_path(shown)]),
        }
    }
    found
}

/// Covers what was `found` wherever else `told` shows its file.
pub(crate) fn cover(found: &Diagnostics, told: Diagnostics) -> Diagnostics {
    let mut spans: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for literal in found.iter() {
        spans.entry(&literal.file).or_default().extend(literal.span);
    }
    let covered = |diagnostic: Diagnostic| match (spans.get(diagnostic.file.as_str()), &diagnostic.source) {
        (Some(spans), Some(source)) => {
            let hidden = source.hidden().unwrap_or_default().iter().chain(spans).copied().collect();
            let source = Some(Arc::new(Source::clone(source).hiding(Some(hidden))));
            Diagnostic { source, ..diagnostic }
        }
        _ => diagnostic,
    };
    told.into_iter().map(covered).collect()
}

fn collect(root: &Path, below: &Path, apart: &[PathBuf], files: &mut Vec<PathBuf>, is_cut: &mut bool) {
    let Ok(entries) = std::fs::read_dir(root.join(below)) else { return };
    let mut names: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
        let path = below.join(name);
        let whole = root.join(&path);
        // Links to files are followed, as they are where the configuration is read; those to folders are not.
        let Ok(metadata) = std::fs::metadata(&whole) else { continue };
        let is_link = std::fs::symlink_metadata(&whole).is_ok_and(|itself| itself.is_symlink());
        if metadata.is_dir() && !is_link && !apart.contains(&whole) {
            if path.components().count() >= MAX_DEPTH {
                *is_cut = true;
            } else {
                collect(root, &path, apart, files, is_cut);
            }
        } else if metadata.is_file() && is_text(&path) {
            if files.len() >= MAX_FILES {
                *is_cut = true;
                return;
            }
            files.push(path);
        }
    }
}

fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

/// The text; none if it is no text.
fn read(path: &Path) -> Result<Option<String>, String> {
    let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length > MAX_BYTES {
        return Err(format!("more than {} MiB: not looked through for secrets", MAX_BYTES / 1024 / 1024));
    }
    Ok(std::fs::read(path).ok().and_then(|bytes| String::from_utf8(bytes).ok()))
}

impl Detectors {
    fn new() -> Option<Self> {
        let others = Kind::ALL.iter().filter(|kind| !kind.is_secret()).map(|kind| (*kind, KindAction::Off));
        let config = RedactionConfig { kinds: others.collect(), ..RedactionConfig::default() };
        // Nothing is put in place of what is found, so the key is of no use to anybody.
        Some(Self { engine: Engine::new(&config).ok()?, key: Key::new([0; KEY_BYTES]) })
    }

    fn look(&self, path: String, text: String) -> Vec<Diagnostic> {
        let mut literals: Vec<Literal> = self.by_content(&text);
        let is_yaml = yaml::is_named(&path);
        // There, names of kinds of secrets stand for what is done with them.
        if is_yaml
            && path != super::folder::CLASSIFICATION_FILE
            && let Ok(root) = yaml::parse(&text)
        {
            by_name(&root, None, &mut literals);
        }
        literals.sort_by_key(|literal| literal.span.offset);
        // Two ways to find one and the same.
        literals.dedup_by(|later, earlier| {
            let is_within = later.span.offset < earlier.span.end();
            if is_within && later.span.end() > earlier.span.end() {
                earlier.span.length = later.span.end() - earlier.span.offset;
            }
            is_within
        });
        let hidden = literals.iter().map(|literal| literal.span).collect();
        let source = Arc::new(Source::new(path, text).hiding(Some(hidden)));
        let told = literals.into_iter().take(MAX_TOLD).map(|literal| literal.problem().in_file(&source));
        told.collect()
    }

    /// By the forms that providers publish, and by words with something random behind them.
    fn by_content(&self, text: &str) -> Vec<Literal> {
        let scope = Scope {
            workspace: "",
            session: "check",
            tenant_key: &self.key,
            session_key: &self.key,
            vault: None,
            withheld: &[],
        };
        let (mut literals, mut offset) = (Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            let whole = || Span::new(offset, line.trim_end().len());
            if line.contains(PEM) && line.contains("-----BEGIN") {
                literals.push(Literal { span: whole(), what: "a private key".into() });
            } else if let Ok(redacted) = self.engine.redact_text(line, &scope) {
                // What cannot be looked into is no text of a configuration.
                literals.extend(redacted.findings.iter().filter_map(|finding| {
                    let written = line.get(finding.start..finding.end).filter(|_| finding.path.is_empty());
                    if written.is_some_and(|text| is_reference(text) || is_name(text, finding.class)) {
                        return None;
                    }
                    let length = finding.end.saturating_sub(finding.start);
                    let span = written.map(|_| Span::new(offset + finding.start, length));
                    let what = format!("what looks like a secret (`{}`)", finding.class);
                    Some(Literal { span: span.unwrap_or_else(whole), what })
                }));
            }
            offset += line.len();
        }
        literals
    }
}

/// A secret in a text.
struct Literal {
    span: Span,
    /// What it is, without itself.
    what: String,
}

impl Literal {
    fn problem(self) -> Problem {
        let message = format!("{} stands here, in a file that others read", self.what);
        Problem::error(Code::SecretLiteral, self.span, message).help(
            "put it where secrets come from, write `${secret:NAME}` here, and replace it at its source: it is known by now"
                .to_owned(),
        )
    }
}

/// By the names of keys.
fn by_name(node: &Node, name: Option<&str>, literals: &mut Vec<Literal>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| by_name(item, name, literals)),
        Value::Map(entries) => {
            for entry in entries {
                by_name(&entry.node, Some(&entry.key), literals);
            }
        }
        Value::Text(text) => {
            let Some(name) = name.filter(|name| is_of_secret(name)) else { return };
            if !text.trim().is_empty() && !is_reference(text) {
                let what = format!("a literal value of `{}`", name.escape_debug());
                literals.push(Literal { span: node.whole, what });
            }
        }
        Value::Signed(_) | Value::Unsigned(_) | Value::Float(_) => {
            let is_password = |name: &&str| words(name).last().is_some_and(|word| word.starts_with("pass"));
            if let Some(name) = name.filter(is_password) {
                let what = format!("a literal value of `{}`", name.escape_debug());
                literals.push(Literal { span: node.whole, what });
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Whether a key of this name has a secret as its value.
fn is_of_secret(name: &str) -> bool {
    let words = words(name);
    match words.as_slice() {
        [.., last] if SECRET_WORDS.contains(&last.as_str()) => true,
        [.., before, last] => SECRET_PAIRS.contains(&(before.as_str(), last.as_str())),
        _ => false,
    }
}

/// The words of a name in any spelling: `clientSecret`, `client_secret` and `CLIENT-SECRET` are one.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase() || letter.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What stands for a secret, or for where one goes, without being one.
fn is_reference(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("${") || (text.starts_with('<') && text.ends_with('>'))
}

/// What has the beginning of a token and is the name of something: lower-case words, such as the name of a tool;
/// a path; and the place for a port of a template, which is no password.
fn is_name(text: &str, class: Kind) -> bool {
    let is_path = text.starts_with('/') && text.matches('/').count() > 1 && !text.contains(['+', '=']);
    let is_word = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-' | b'.');
    match class {
        Kind::SecretPassword => false,
        Kind::SecretUrl => text.contains(":@"),
        _ => is_path || text.bytes().all(is_word),
    }
}

#[cfg(test)]
mod tests;

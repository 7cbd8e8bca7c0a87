//! What is wrong with a configuration, and where.
//!
//! A [`Problem`] is known to the part that found it and speaks of a place in one
//! text; in a [`Source`] it becomes a [`Diagnostic`] with file, line and column.
//! How diagnostics look is in [`super::render`].
//!
//! Invariants:
//! - A diagnostic never holds a secret: a problem at a place where one may have
//!   been written is `concealed` and carries no source text.
//! - Codes are stable: programs match on them.

use std::fmt;
use std::sync::Arc;

use quaymaster_core::arguments::sha256_text;
use serde::{Serialize, Serializer};

/// A part of a text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Where it starts.
    pub offset: usize,
    /// How long it is.
    pub length: usize,
}

impl Span {
    pub(super) const fn new(offset: usize, length: usize) -> Self {
        Self { offset, length }
    }

    pub(super) fn end(self) -> usize {
        self.offset.saturating_add(self.length)
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration is not put to work.
    Error,
    /// The configuration works, but probably not as meant.
    Warning,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What kind of problem it is. Never renamed without a major version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as programs see it, such as `config.unknown_key`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// A file or folder is missing, cannot be read, is too large, or there are too many.
    File = "config.file";
    /// A file lies where it has no effect.
    IgnoredFile = "config.ignored_file";
    /// The text is not the YAML that is read here.
    Yaml = "config.yaml";
    /// A mapping has the same key twice.
    DuplicateKey = "config.duplicate_key";
    /// A key that the format does not have.
    UnknownKey = "config.unknown_key";
    /// A key that the format requires.
    MissingKey = "config.missing_key";
    /// A value of another type than expected.
    Type = "config.type";
    /// A value of the right type that cannot be meant.
    Value = "config.value";
    /// An engine that does not exist.
    UnknownEngine = "config.unknown_engine";
    /// A role that is not declared.
    UnknownRole = "config.unknown_role";
    /// A workspace that is not declared.
    UnknownWorkspace = "config.unknown_workspace";
    /// Two connectors with one name, prefix or tool.
    Duplicate = "config.duplicate";
    /// Something that is not a reference stands where a secret is referred to.
    SecretLiteral = "config.secret_literal";
    /// A secret that is referred to cannot be had.
    Secret = "config.secret";
    /// The gateway would be reachable from elsewhere without being told so.
    Exposed = "config.exposed";
    /// A connector contradicts itself.
    Connector = "config.connector";
    /// An MCP server is not there, or does not have what the configuration names.
    Upstream = "config.upstream";
    /// A file that pins contracts cannot be used, or a tool is not as one has it.
    Contract = "config.contract";
    /// There is no policy at all.
    PolicyAbsent = "policy.absent";
    /// A policy cannot be read or does not fit the catalogue.
    PolicyInvalid = "policy.invalid";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One file of a configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    path: String,
    text: String,
    /// Where something stands that may be a secret and is never shown; `None` if it is not known.
    hidden: Option<Vec<Span>>,
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Self {
        Self { path, text, hidden: None }
    }

    #[must_use]
    pub(super) fn hiding(self, hidden: Option<Vec<Span>>) -> Self {
        Self { hidden, ..self }
    }

    /// The path below the configuration folder, with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole text. May hold what should have been a secret: not for showing.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text.
    pub fn digest(&self) -> String {
        sha256_text(self.text.as_bytes())
    }

    pub(super) fn hidden(&self) -> Option<&[Span]> {
        self.hidden.as_deref()
    }
}

/// Without the text, which may hold what should have been a secret.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A problem in one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) severity: Severity,
    pub(super) span: Option<Span>,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// A secret may stand here: nothing of the source is shown.
    pub(super) concealed: bool,
}

impl Problem {
    pub(super) fn error(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            span: span.into(),
            message: message.into(),
            help: None,
            concealed: false,
        }
    }

    pub(super) fn warning(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    #[must_use]
    pub(super) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    #[must_use]
    pub(super) fn concealed(self) -> Self {
        Self { concealed: true, ..self }
    }

    pub(super) fn in_file(self, source: &Arc<Source>) -> Diagnostic {
        let place = self.span.map(|span| line_and_column(&source.text, span.offset));
        Diagnostic {
            code: self.code,
            severity: self.severity,
            file: source.path.clone(),
            line: place.map(|p| p.0),
            column: place.map(|p| p.1),
            span: self.span,
            message: self.message,
            help: self.help,
            source: (!self.concealed).then(|| Arc::clone(source)),
        }
    }

    /// A problem with something that is not the content of a file.
    pub(super) fn at_path(self, path: impl Into<String>) -> Diagnostic {
        let nothing = Arc::new(Source::new(path.into(), String::new()));
        Self { span: None, ..self }.concealed().in_file(&nothing)
    }
}

/// A problem with its place, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What kind of problem it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The file, below the configuration folder.
    pub file: String,
    /// The line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The place in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(skip)]
    pub(super) source: Option<Arc<Source>>,
}

/// As in compilers, so that editors find the place: `file:line:column: severity[code]: message`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}[{}]: {}", self.code, self.message)
    }
}

/// Everything that was found, ordered by file and place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds what else was found.
    pub fn add(&mut self, more: impl IntoIterator<Item = Diagnostic>) {
        self.0.extend(more);
        self.0.sort_by(|a, b| {
            let place = |d: &Diagnostic| d.span.map(|s| s.offset);
            (&a.file, place(a), a.severity).cmp(&(&b.file, place(b), b.severity))
        });
    }

    /// Whether anything is wrong enough that the configuration is not put to work.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many problems were found.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Every problem, ordered by file and place.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(problems: I) -> Self {
        let mut all = Self::default();
        all.add(problems);
        all
    }
}

/// One line a problem, for logs.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Line and column of `offset`, in characters and counted from 1.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..text.floor_char_boundary(offset)).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.bytes().filter(|b| *b == b'\n').count() + 1, line.chars().count() + 1)
}

/// The offset of a line and column, counted from 1 and in characters.
pub(super) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for (number, content) in (1..).zip(text.split_inclusive('\n')) {
        if number == line {
            let within = content.trim_end_matches(['\n', '\r']);
            let skipped = within.char_indices().nth(column.saturating_sub(1));
            return start + skipped.map_or(within.len(), |(at, _)| at);
        }
        start += content.len();
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_bytes_and_its_line_and_column_belong_together() {
        let text = "ä: 1\r\nöö: x\nlast";
        for (offset, place) in [(0, (1, 1)), (2, (1, 2)), (7, (2, 1)), (13, (2, 5)), (15, (3, 1))] {
            assert_eq!(line_and_column(text, offset), place);
            assert_eq!(offset_of(text, place.0, place.1), offset);
        }
        assert_eq!(line_and_column(text, 999), (3, 5));
        assert_eq!(offset_of(text, 99, 1), text.len());
        assert_eq!(offset_of(text, 1, 99), 5);
    }

    #[test]
    fn the_codes_are_frozen() {
        let codes: Vec<&str> = Code::ALL.iter().map(|c| c.as_str()).collect();
        insta::assert_snapshot!(codes.join("\n"));
    }

    #[test]
    fn a_concealed_problem_keeps_its_place_and_loses_its_text() {
        let source = Arc::new(Source::new("a.yaml".into(), "url: hunter2".into()));
        let diagnostic =
            Problem::error(Code::SecretLiteral, Span::new(5, 7), "no").concealed().in_file(&source);
        assert_eq!(diagnostic.to_string(), "a.yaml:1:6: error[config.secret_literal]: no");
        assert!(!format!("{diagnostic:?}").contains("hunter2"));
    }
}

//! How diagnostics look to a person: message, source line, caret, help.
//!
//! Drawn by miette. Source lines are shown with whatever may be a secret blotted
//! out: what stands where a reference to one should (the source knows those), and
//! as a second net what looks like a password by its key or its place in a URL.

use std::fmt;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode, SourceSpan};

use super::diagnostic::{Diagnostic, Diagnostics, Severity, Source, Span};

/// Longest source line that is shown, in bytes.
const MAX_LINE_BYTES: usize = 400;
/// Width to which messages are wrapped, in columns.
const WIDTH: usize = 100;
/// A key with one of these words in it may be followed by a secret.
const SECRET_WORDS: &[&str] =
    &["password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "credential"];
/// So may these, where the file could not be read and so nothing is known of it.
const SUSPECT_WORDS: &[&str] = &["url", "key", "auth", "cookie", "dsn", "pwd", "pin"];

/// Whether the reader is a terminal with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With colours, for a terminal.
    Coloured,
    /// Without, for pipes and files.
    Plain,
}

impl Diagnostics {
    /// Everything that was found, with source lines and carets, and a count at the end.
    pub fn render(&self, style: Style) -> String {
        let theme = match style {
            Style::Coloured => GraphicalTheme::unicode(),
            Style::Plain => GraphicalTheme::unicode_nocolor(),
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false);
        let mut text = String::new();
        let mut blotter = Blotter::default();
        for diagnostic in self.iter() {
            let start = text.len();
            if handler.render_report(&mut text, &Shown::new(diagnostic, &mut blotter)).is_err() {
                // Only a span outside of the source could do this; the place is in the line.
                text.truncate(start);
                text.push_str(&diagnostic.to_string());
            }
            text.push('\n');
        }
        text.push_str(&self.count());
        text
    }

    fn count(&self) -> String {
        let of = |severity| self.iter().filter(|d| d.severity == severity).count();
        let counted = [(of(Severity::Error), "error"), (of(Severity::Warning), "warning")];
        let parts = counted.iter().filter(|(count, _)| *count > 0).map(|(count, word)| {
            let plural = if *count == 1 { "" } else { "s" };
            format!("{count} {word}{plural}")
        });
        let parts: Vec<String> = parts.collect();
        if parts.is_empty() { String::new() } else { format!("{}\n", parts.join(", ")) }
    }
}

/// A diagnostic as miette takes it.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    snippet: Option<(NamedSource<Arc<str>>, SourceSpan)>,
}

impl<'a> Shown<'a> {
    fn new(diagnostic: &'a Diagnostic, blotter: &mut Blotter) -> Self {
        let source = diagnostic.source.as_ref().zip(diagnostic.span);
        let snippet = source.filter(|(source, span)| fits(source.text(), *span)).map(|(source, span)| {
            let text = NamedSource::new(source.path(), blotter.blotted(source));
            (text, SourceSpan::from((span.offset, span.length)))
        });
        Self { diagnostic, snippet }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.snippet.is_none() {
            f.write_str(&self.diagnostic.file)?;
            for number in [self.diagnostic.line, self.diagnostic.column].into_iter().flatten() {
                write!(f, ":{number}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.snippet.as_ref().map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.snippet.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, *span))))
    }
}

/// Whether the line of `span` and its neighbours are short enough to be shown.
fn fits(text: &str, span: Span) -> bool {
    let Some((before, after)) = text.split_at_checked(span.offset) else { return false };
    if span.end() > text.len() {
        return false;
    }
    let above = before.rsplit('\n').take(2).map(str::len);
    let below = after.split('\n').take(2).map(str::len);
    above.chain(below).all(|length| length <= MAX_LINE_BYTES)
}

/// The text that was blotted last, because most problems come several to a file.
#[derive(Default)]
struct Blotter(Option<(Arc<Source>, Arc<str>)>);

impl Blotter {
    fn blotted(&mut self, source: &Arc<Source>) -> Arc<str> {
        match &self.0 {
            Some((last, text)) if Arc::ptr_eq(last, source) => Arc::clone(text),
            _ => {
                let text: Arc<str> = blotted(source).into();
                self.0 = Some((Arc::clone(source), Arc::clone(&text)));
                text
            }
        }
    }
}

/// The text with everything that may be a secret blotted out, byte for byte.
fn blotted(source: &Source) -> String {
    let text = source.text();
    let mut bytes = text.as_bytes().to_vec();
    let mut blot = |span: Span| {
        for byte in bytes.iter_mut().take(span.end()).skip(span.offset) {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b'*';
            }
        }
    };
    source.hidden().unwrap_or_default().iter().copied().for_each(&mut blot);
    let suspect = if source.hidden().is_none() { SUSPECT_WORDS } else { &[] };
    let mut offset = 0;
    // How deep a key is indented whose value, a block of text, is a secret.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indentation = line.len() - line.trim_start_matches([' ', '-']).len();
        block = block.filter(|depth| indentation > *depth || line.trim().is_empty());
        let at = if block.is_some() { Some(indentation) } else { secret_after_key(line, suspect) };
        if let Some(at) = at {
            blot(Span::new(offset + at, line.len() - at));
            if line.get(at..).is_some_and(|value| value.starts_with(['|', '>'])) {
                block = block.or(Some(indentation));
            }
        }
        if let Some((at, length)) = password_in_url(line) {
            blot(Span::new(offset + at, length));
        }
        offset += line.len();
    }
    // A span covers whole characters, so this always is UTF-8; showing nothing is safe anyway.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Where the value of a key starts that may be a secret, unless it is a reference to one.
fn secret_after_key(line: &str, suspect: &[&str]) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let words = SECRET_WORDS.iter().chain(suspect);
    let ends = words.flat_map(|word| {
        let found =
            lower.match_indices(word).filter(|(at, _)| !lower.get(..*at).unwrap_or_default().ends_with("${"));
        found.map(|(at, _)| at + word.len())
    });
    let values = ends.filter_map(|end| {
        let rest = line.get(end..)?;
        let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '"' | '\'');
        let value = rest.trim_start_matches(in_name).trim_start().strip_prefix(':')?.trim_start();
        let harmless = value.is_empty() || value.trim_start_matches(['"', '\'']).starts_with("${secret:");
        (!harmless).then(|| line.len() - value.len())
    });
    values.min()
}

/// Where user and password stand in a URL such as `postgres://ada:hunter2@db`.
fn password_in_url(line: &str) -> Option<(usize, usize)> {
    let start = line.find("://")? + 3;
    let authority = line.get(start..)?;
    let end =
        authority.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(authority.len());
    let length = authority.get(..end)?.rfind('@')?;
    Some((start, length))
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::{Code, Problem};
    use super::*;

    fn shown(text: &str, span: Span, problem: fn(Problem) -> Problem) -> String {
        let source = Arc::new(Source::new("connectors/desk.yaml".into(), text.into()));
        let found = problem(Problem::error(Code::Type, span, "expected a text, found a number"));
        Diagnostics::from_iter([found.in_file(&source)]).render(Style::Plain)
    }

    #[test]
    fn a_problem_is_shown_with_its_line_and_a_caret() {
        let text = "a: 1\nb: öäü 22\nc: 3\n";
        insta::assert_snapshot!(shown(text, Span::new(15, 2), |p| p.help("put it in quotes".to_owned())));
    }

    #[test]
    fn a_concealed_problem_is_shown_without_its_line() {
        let shown = shown("url: hunter2\n", Span::new(5, 7), Problem::concealed);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("connectors/desk.yaml:1:6: expected a text"), "{shown}");
    }

    #[test]
    fn a_line_without_end_is_not_shown() {
        let text = format!("a: 1 # {}\n", "x".repeat(1_000));
        assert!(!shown(&text, Span::new(3, 1), |p| p).contains("xxx"));
    }

    #[test]
    fn colours_are_only_for_terminals() {
        let source = Arc::new(Source::new("a.yaml".into(), "a: 1\n".into()));
        let found =
            Diagnostics::from_iter([Problem::error(Code::Type, Span::new(3, 1), "no").in_file(&source)]);
        assert!(found.render(Style::Coloured).contains('\u{1b}'));
        assert!(!found.render(Style::Plain).contains('\u{1b}'));
    }

    #[test]
    fn less_is_shown_of_a_file_that_could_not_be_read() {
        let text = "url: hunter2\nname: desk\nAuthorization: hunter2\n";
        let unread = Source::new("a".into(), text.into());
        assert_eq!(blotted(&unread), "url: *******\nname: desk\nAuthorization: *******\n");
        assert_eq!(blotted(&unread.hiding(Some(Vec::new()))), text);
    }

    #[test]
    fn what_may_be_a_secret_is_blotted_out() {
        let text = "password: hunter2\n\
                    env: { API_TOKEN: hunter2, other: x }\n\
                    - \"client_secret\" : 'hunter2'\n\
                    key: postgres://ada:hunter2@db/metrics?x=1\n\
                    token: ${secret:TOKEN}\n\
                    secrets:\n  files: ./secrets\n\
                    dbPassword: |\n  hunter2\n  hunter2\nnext: here\n\
                    url: hünter2\n";
        let start = text.find("hünter2").expect("there");
        let source = Source::new("a".into(), text.into()).hiding(Some(vec![Span::new(start, 8)]));
        insta::assert_snapshot!(blotted(&source));
    }

    proptest::proptest! {
        #[test]
        fn blotting_keeps_every_place(text in "(token: |url: x://|[a-c:@ \né'\"|>-]){0,20}", at in 0_usize..60) {
            let at = text.floor_char_boundary(at.min(text.len()));
            let source = Source::new("a".into(), text.clone()).hiding(Some(vec![Span::new(at, text.len() - at)]));
            let out = blotted(&source);
            assert_eq!(out.len(), text.len());
            assert_eq!(out.matches('\n').count(), text.matches('\n').count());
        }
    }
}

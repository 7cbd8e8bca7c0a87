//! The text of a query template, with its `:name` parameters made positional.
//!
//! It finds parameters where the database's own scanner would look for them:
//! outside literals, quoted identifiers, dollar quotes, comments and `::` casts.
//! What the two scanners could read differently is refused. Whether the query
//! only reads is the database's to enforce; the first word is checked here only
//! because that makes the better message. Values are `parameter`'s business.
//!
//! Invariants:
//! - The text that is sent is made when the configuration is loaded. No function
//!   here takes a value, so no value can get into a text.
//! - A template is one statement.

use std::sync::Arc;

use super::config::Dialect;

const MAX_TEXT_BYTES: usize = 64 * 1024;
const MAX_PARAMETERS: usize = 100;

/// A query that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    text: Arc<str>,
    names: Vec<String>,
}

/// Why a text cannot be a template, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Template {
    /// Reads the statement of a template.
    pub(crate) fn parse(sql: &str, dialect: Dialect) -> Result<Self, TemplateError> {
        if sql.len() > MAX_TEXT_BYTES {
            return Err(error("the statement is longer than 64 KiB"));
        }
        if sql.contains('\0') {
            return Err(error("the statement holds a NUL character"));
        }
        let mut scanner = Scanner {
            sql,
            dialect,
            at: 0,
            copied: 0,
            text: String::with_capacity(sql.len()),
            names: Vec::new(),
            first_word: None,
        };
        let end = scanner.scan()?;
        scanner.copy_to(end);
        scanner.check_first_word()?;
        if scanner.names.len() > MAX_PARAMETERS {
            return Err(error(format!("the statement has more than {MAX_PARAMETERS} parameters")));
        }
        Ok(Self { text: scanner.text.trim().into(), names: scanner.names })
    }

    /// What is sent to the database.
    pub(crate) fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The parameters' names; the first is bound to `$1` or `?1`, and so on.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

struct Scanner<'a> {
    sql: &'a str,
    dialect: Dialect,
    at: usize,
    copied: usize,
    text: String,
    names: Vec<String>,
    first_word: Option<&'a str>,
}

impl<'a> Scanner<'a> {
    /// Scans the one statement and returns where it ends.
    fn scan(&mut self) -> Result<usize, TemplateError> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b';' => return self.end_of_statement(),
                _ if self.skip_space_or_comment()? => {}
                b':' => self.colon()?,
                _ => self.token(byte)?,
            }
        }
        Ok(self.at)
    }

    fn token(&mut self, byte: u8) -> Result<(), TemplateError> {
        let postgres = self.dialect == Dialect::Postgres;
        if !is_word_start(byte) {
            // Anything but a word in first place is no SELECT.
            self.first_word.get_or_insert("");
        }
        match byte {
            b'\'' => self.literal(),
            b'"' => self.quoted(b'"', "quoted identifier"),
            b'`' if !postgres => self.quoted(b'`', "quoted identifier"),
            b'[' if !postgres => self.bracketed(),
            b'$' if postgres => self.dollar_quoted(),
            b'$' | b'?' | b'@' if !postgres => Err(positional(byte)),
            b'0'..=b'9' => {
                self.at += self.length_of(|b| is_word_part(b) || b == b'.');
                Ok(())
            }
            _ if is_word_start(byte) => {
                let word = self.slice(self.at, self.at + self.length_of(is_word_part));
                self.first_word.get_or_insert(word);
                self.at += word.len();
                Ok(())
            }
            _ => {
                self.at += 1;
                Ok(())
            }
        }
    }

    /// A `:`, which begins a parameter, is half of a cast, or part of an array slice.
    fn colon(&mut self) -> Result<(), TemplateError> {
        self.first_word.get_or_insert("");
        let next = self.peek(1).unwrap_or(b' ');
        if next == b':' {
            self.at += 2;
            return Ok(());
        }
        if !(next.is_ascii_alphabetic() || next == b'_') {
            if is_word_part(next) && self.dialect == Dialect::Sqlite {
                return Err(positional(b':'));
            }
            self.at += 1;
            return Ok(());
        }
        let start = self.at;
        self.at += 1;
        let name = self.slice(self.at, self.at + self.length_of(|b| b.is_ascii_alphanumeric() || b == b'_'));
        let after = self.peek(name.len()).unwrap_or(b' ');
        let before = start.checked_sub(1).and_then(|at| self.sql.as_bytes().get(at)).copied();
        if before.is_some_and(is_word_part) || is_word_part(after) {
            return Err(TemplateError {
                message: format!("the parameter `:{name}` touches the word beside it"),
                help: Some("put a space before and after it; in an array slice, after its colon".into()),
            });
        }
        self.copy_to(start);
        let position = self.position_of(name);
        self.text.push(if self.dialect == Dialect::Postgres { '$' } else { '?' });
        self.text.push_str(&position.to_string());
        self.at += name.len();
        self.copied = self.at;
        Ok(())
    }

    fn position_of(&mut self, name: &str) -> usize {
        if let Some(at) = self.names.iter().position(|n| n == name) {
            return at + 1;
        }
        self.names.push(name.to_owned());
        self.names.len()
    }

    /// After a `;` there may be nothing but white space and comments.
    fn end_of_statement(&mut self) -> Result<usize, TemplateError> {
        let end = self.at;
        while let Some(byte) = self.peek(0) {
            if byte == b';' {
                self.at += 1;
            } else if !self.skip_space_or_comment()? {
                return Err(TemplateError {
                    message: "the statement goes on after a `;`".into(),
                    help: Some("a template is one statement; make one tool of each".into()),
                });
            }
        }
        Ok(end)
    }

    fn skip_space_or_comment(&mut self) -> Result<bool, TemplateError> {
        match (self.peek(0), self.peek(1)) {
            (Some(byte), _) if byte.is_ascii_whitespace() || byte == 0x0b => self.at += 1,
            (Some(b'-'), Some(b'-')) => self.at += self.length_of(|b| b != b'\n'),
            (Some(b'/'), Some(b'*')) => self.block_comment()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// PostgreSQL nests block comments, SQLite does not.
    fn block_comment(&mut self) -> Result<(), TemplateError> {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth = if self.dialect == Dialect::Postgres { depth + 1 } else { 1 };
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(unclosed("comment")),
            }
        }
    }

    /// Whether a backslash escapes a quote depends, in PostgreSQL, on a letter in
    /// front of the literal, on the literal before it, and on a setting of the
    /// server. So that one is refused rather than guessed.
    fn literal(&mut self) -> Result<(), TemplateError> {
        let start = self.at;
        self.quoted(b'\'', "literal")?;
        if self.dialect == Dialect::Postgres && self.slice(start, self.at).contains("\\'") {
            return Err(TemplateError {
                message: "a literal holds a backslash before a quote, which can be read in two ways".into(),
                help: Some("write a quote as `''`, or use a dollar-quoted literal".into()),
            });
        }
        Ok(())
    }

    /// Skips what stands between two `quote`s; a doubled one does not end it.
    fn quoted(&mut self, quote: u8, what: &str) -> Result<(), TemplateError> {
        self.at += 1;
        loop {
            self.at += self.length_of(|b| b != quote);
            match (self.peek(0), self.peek(1)) {
                (Some(_), Some(second)) if second == quote => self.at += 2,
                (Some(_), _) => {
                    self.at += 1;
                    return Ok(());
                }
                (None, _) => return Err(unclosed(what)),
            }
        }
    }

    fn bracketed(&mut self) -> Result<(), TemplateError> {
        self.at += self.length_of(|b| b != b']');
        if self.peek(0).is_none() {
            return Err(unclosed("quoted identifier"));
        }
        self.at += 1;
        Ok(())
    }

    fn dollar_quoted(&mut self) -> Result<(), TemplateError> {
        let rest = self.slice(self.at + 1, self.sql.len());
        let tag = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()));
        let tag = rest.get(..tag.unwrap_or(rest.len())).unwrap_or_default();
        let closed = self.peek(1 + tag.len()) == Some(b'$');
        if !closed || tag.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(positional(b'$'));
        }
        let fence = format!("${tag}$");
        let body = self.at + fence.len();
        let length =
            self.slice(body, self.sql.len()).find(&fence).ok_or_else(|| unclosed("dollar-quoted literal"))?;
        self.at = body + length + fence.len();
        Ok(())
    }

    fn check_first_word(&self) -> Result<(), TemplateError> {
        let word = self.first_word.unwrap_or_default();
        if ["select", "with", "values"].iter().any(|w| word.eq_ignore_ascii_case(w)) {
            return Ok(());
        }
        Err(TemplateError {
            message: "the statement does not begin with SELECT, WITH or VALUES".into(),
            help: Some("a template reads; statements that change something come with a later version".into()),
        })
    }

    fn copy_to(&mut self, end: usize) {
        let part = self.slice(self.copied, end);
        self.text.push_str(part);
        self.copied = end;
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.as_bytes().get(self.at + ahead).copied()
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.sql.get(from..to).unwrap_or_default()
    }

    /// How many of the next bytes are `part` of the same thing.
    fn length_of(&self, part: impl Fn(u8) -> bool) -> usize {
        let rest = self.sql.as_bytes().get(self.at..).unwrap_or_default();
        rest.iter().position(|b| !part(*b)).unwrap_or(rest.len())
    }
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn error(message: impl Into<String>) -> TemplateError {
    TemplateError { message: message.into(), help: None }
}

fn unclosed(what: &str) -> TemplateError {
    error(format!("a {what} is not closed"))
}

fn positional(byte: u8) -> TemplateError {
    TemplateError {
        message: format!("the statement holds a `{}` parameter", char::from(byte)),
        help: Some("write parameters as `:name`".into()),
    }
}

#[cfg(test)]
mod tests;

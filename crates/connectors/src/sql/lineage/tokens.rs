//! The words and signs of a statement, as far as they say which names it speaks of.
//!
//! What the databases could read in another way than this is read as [`Token::Strange`], of which nothing can be traced.

use crate::sql::config::Dialect;

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name or a keyword, in small letters where it is not quoted.
    Word { text: String, is_quoted: bool },
    /// A text.
    Literal,
    /// A number or a parameter.
    Value,
    /// A sign; `::` is one.
    Sign(&'static str),
    /// Another sign.
    Other,
    /// Something of which nothing can be told.
    Strange,
}

impl Token {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word { text, is_quoted: false } if text == keyword)
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(other) if *other == sign)
    }
}

/// The parts of `sql`, without white space and comments.
pub(super) fn tokens(sql: &str, dialect: Dialect) -> Vec<Token> {
    let mut reader = Reader { rest: sql, dialect };
    std::iter::from_fn(|| reader.next()).collect()
}

struct Reader<'a> {
    rest: &'a str,
    dialect: Dialect,
}

impl Reader<'_> {
    /// What comes next; nothing at the end.
    fn next(&mut self) -> Option<Token> {
        loop {
            let first = self.rest.chars().next()?;
            if first.is_whitespace() {
                self.skip(first.len_utf8());
            } else if self.rest.starts_with("--") {
                self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                if !self.comment() {
                    return Some(Token::Strange);
                }
            } else {
                return Some(self.token(first));
            }
        }
    }

    fn token(&mut self, first: char) -> Token {
        let is_postgres = self.dialect == Dialect::Postgres;
        match first {
            '\'' => self.quoted('\'').map_or(Token::Strange, |_| Token::Literal),
            '"' => self.name('"'),
            '`' if !is_postgres => self.name('`'),
            '[' if !is_postgres => self.bracketed(),
            '$' if is_postgres && !self.rest.starts_with(|c: char| c.is_ascii_digit()) => self.dollar(),
            '0'..='9' | '?' | '@' => {
                self.take(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '?' | '@'));
                Token::Value
            }
            c if c.is_alphabetic() || c == '_' => self.word(),
            ':' if self.rest.starts_with("::") => self.sign("::", 2),
            '(' => self.sign("(", 1),
            ')' => self.sign(")", 1),
            ',' => self.sign(",", 1),
            '.' => self.sign(".", 1),
            '*' => self.sign("*", 1),
            c => {
                self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
                Token::Other
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn sign(&mut self, sign: &'static str, bytes: usize) -> Token {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
        Token::Sign(sign)
    }

    fn take(&mut self, fits: impl Fn(char) -> bool) -> &str {
        let end = self.rest.find(|c: char| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> Token {
        let text = self.take(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).to_lowercase();
        // `U&"…"` and `E'…'` have escapes of their own.
        if matches!(text.as_str(), "u" | "e") && self.rest.starts_with(['&', '\'']) {
            return Token::Strange;
        }
        Token::Word { text, is_quoted: false }
    }

    /// What stands between two quotes; a doubled one does not end it.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut rest = self.rest.get(quote.len_utf8()..)?;
        loop {
            let (before, after) = rest.split_once(quote)?;
            text.push_str(before);
            match after.strip_prefix(quote) {
                Some(more) => {
                    text.push(quote);
                    rest = more;
                }
                None => {
                    self.rest = after;
                    return Some(text);
                }
            }
        }
    }

    fn name(&mut self, quote: char) -> Token {
        match self.quoted(quote) {
            Some(text) => Token::Word { text: text.to_lowercase(), is_quoted: true },
            None => self.end(),
        }
    }

    fn bracketed(&mut self) -> Token {
        match self.rest.get(1..).and_then(|rest| rest.split_once(']')) {
            Some((text, after)) => {
                let token = Token::Word { text: text.to_lowercase(), is_quoted: true };
                self.rest = after;
                token
            }
            None => self.end(),
        }
    }

    /// `$1`, or a text in dollars.
    fn dollar(&mut self) -> Token {
        let after = self.rest.get(1..).unwrap_or_default();
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            self.rest = after;
            self.take(|c| c.is_ascii_digit());
            return Token::Value;
        }
        let tag = after.find('$').and_then(|end| self.rest.get(..end + 2));
        let closed = tag.and_then(|tag| {
            let body = self.rest.get(tag.len()..)?;
            body.get(body.find(tag)? + tag.len()..)
        });
        match closed {
            Some(after) => {
                self.rest = after;
                Token::Literal
            }
            None => self.end(),
        }
    }

    /// Skips a comment; false if it does not end. PostgreSQL nests them, SQLite does not.
    fn comment(&mut self) -> bool {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") && (depth == 0 || self.dialect == Dialect::Postgres) {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
                if depth == 0 {
                    return true;
                }
            } else {
                let Some(next) = self.rest.chars().next() else { return false };
                self.skip(next.len_utf8());
            }
        }
    }

    /// What is not closed is nothing that a database would have taken.
    fn end(&mut self) -> Token {
        self.rest = "";
        Token::Strange
    }
}

//! One pass over JSON text that finds where values end and decodes nothing.
//!
//! Follows the grammar of RFC 8259 byte by byte, without recursion, so that no
//! depth exhausts a stack; how deep a value may be is up to whoever reads it. The
//! text is UTF-8 already, and every byte that the grammar names is ASCII, so an
//! offset at such a byte is always one at which text can be cut.

use super::Raw;
use crate::json::{JsonError, first_special, needs_escape};

/// Bytes that are looked at together while nothing in a string is special.
const CHUNK: usize = 16;

/// How many chunks there are before a string counts as long.
const SHORT_CHUNKS: usize = 8;

/// Bytes of a long string that are looked at together. They are looked at twice, so they are fewer
/// than a processor's nearest cache holds.
const BLOCK: usize = 8 * 1024;

/// What was expected, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    expected: &'static str,
    place: Place,
}

impl Fault {
    pub(crate) fn in_text(self, text: &str) -> JsonError {
        self.place.describe(&format!("expected {}", self.expected), text)
    }
}

/// A place in a text, to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(usize);

impl Place {
    /// The error `what`, with the place as people count: from 1, in bytes.
    pub(crate) fn describe(self, what: &str, text: &str) -> JsonError {
        let before = text.as_bytes().get(..self.0).unwrap_or(text.as_bytes());
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        let end = if self.0 >= text.len() { ", where the text ends" } else { "" };
        JsonError::new(format!("{what} at line {line} column {column}{end}"))
    }
}

/// What is open around a place: one bit for each level, whether it is an object.
/// Levels beyond the first 128 are kept in words of as many.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    levels: u128,
    outer: Vec<u128>,
}

impl Nesting {
    const WORD: usize = 128;

    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(Self::WORD) {
            self.outer.push(self.levels);
        }
        self.levels = self.levels << 1 | u128::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.levels >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(Self::WORD) {
            self.levels = self.outer.pop().unwrap_or_default();
        }
    }

    /// Whether the innermost level is an object, if there is a level.
    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.levels & 1 == 1)
    }
}

/// A place in a text.
#[derive(Clone, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self, expected: &'static str) -> Fault {
        Fault { expected, place: self.place() }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        self.space();
        if self.peek() != Some(byte) {
            return Err(self.fault(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes past nothing but space to the end.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at < self.text.len() { Err(self.fault("nothing after the value")) } else { Ok(()) }
    }

    /// What it has gone past since `offset`.
    pub(crate) fn since(&self, offset: usize) -> &'a str {
        self.text.get(offset..self.at).unwrap_or_default()
    }

    /// The byte that the next value begins with.
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        self.space();
        self.peek()
    }

    pub(crate) fn place(&self) -> Place {
        Place(self.at)
    }

    /// Where it is, in bytes.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn open_list(&mut self) -> Result<(), Fault> {
        self.expect(b'[', "a list")
    }

    /// Goes to the next value of the list at hand, or past the end of the list.
    pub(crate) fn next_item(&mut self, is_first: bool) -> Result<bool, Fault> {
        self.next(b']', is_first, if is_first { "a value or `]`" } else { "`,` or `]`" })
    }

    pub(crate) fn open_object(&mut self) -> Result<(), Fault> {
        self.expect(b'{', "an object")
    }

    /// Goes to the next name of the object at hand, or past the end of the object.
    pub(crate) fn next_name(&mut self, is_first: bool) -> Result<bool, Fault> {
        self.next(b'}', is_first, if is_first { "a name or `}`" } else { "`,` or `}`" })
    }

    fn next(&mut self, end: u8, is_first: bool, expected: &'static str) -> Result<bool, Fault> {
        self.space();
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if is_first => Ok(true),
            _ => Err(self.fault(expected)),
        }
    }

    /// Goes past a name and its colon; returns the name with its quotes.
    pub(crate) fn name(&mut self) -> Result<&'a str, Fault> {
        self.space();
        let from = self.at;
        self.expect(b'"', "a name in quotes")?;
        self.string()?;
        let name = self.text.get(from..self.at).unwrap_or_default();
        self.expect(b':', "`:`")?;
        Ok(name)
    }

    /// Goes past one value and returns it, raw.
    pub(crate) fn raw(&mut self) -> Result<Raw<'a>, Fault> {
        self.value().map(Raw)
    }

    /// Goes past one value and returns its text.
    pub(crate) fn value(&mut self) -> Result<&'a str, Fault> {
        self.space();
        let from = self.at;
        let mut open = Nesting::default();
        loop {
            self.space();
            if let Some(is_object) = self.begin_value()?
                && !self.is_empty(is_object)?
            {
                open.push(is_object);
                continue;
            }
            while let Some(is_object) = open.top()
                && self.closes(is_object)?
            {
                open.pop();
            }
            if open.top().is_none() {
                return Ok(self.text.get(from..self.at).unwrap_or_default());
            }
        }
    }

    /// Goes past a value, or into one that holds others: then whether it is an object.
    fn begin_value(&mut self) -> Result<Option<bool>, Fault> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string()?;
            }
            Some(b'{') => {
                self.at += 1;
                return Ok(Some(true));
            }
            Some(b'[') => {
                self.at += 1;
                return Ok(Some(false));
            }
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err(self.fault("a value")),
        }
        Ok(None)
    }

    /// Whether what was opened ends at once; else its first value is next.
    fn is_empty(&mut self, is_object: bool) -> Result<bool, Fault> {
        self.space();
        let end = if is_object { b'}' } else { b']' };
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(true);
        }
        if is_object {
            self.name()?;
        }
        Ok(false)
    }

    /// Whether what is open ends here; else its next value is next.
    fn closes(&mut self, is_object: bool) -> Result<bool, Fault> {
        self.space();
        match (self.peek(), is_object) {
            (Some(b'}'), true) | (Some(b']'), false) => {
                self.at += 1;
                Ok(true)
            }
            (Some(b','), _) => {
                self.at += 1;
                if is_object {
                    self.name()?;
                }
                Ok(false)
            }
            (_, true) => Err(self.fault("`,` or `}`")),
            (_, false) => Err(self.fault("`,` or `]`")),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.fault("`true`, `false` or `null`"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from { Err(self.fault("a digit")) } else { Ok(()) }
    }

    /// Goes past a string whose first quote is behind us.
    ///
    /// Long stretches of plain text are gone through many bytes at a time, and those of many
    /// lines in blocks; where escapes are dense, as in JSON within a string, byte by byte is faster.
    fn string(&mut self) -> Result<(), Fault> {
        let mut is_sparse = true;
        loop {
            let from = self.at;
            if is_sparse {
                let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
                let (chunks, _) = rest.as_chunks::<CHUNK>();
                let short = chunks.iter().take(SHORT_CHUNKS);
                let plain = short.take_while(|chunk| !needs_escape(*chunk)).count();
                self.at += plain * CHUNK;
                if plain == SHORT_CHUNKS {
                    self.blocks();
                }
            }
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += first_special(rest).unwrap_or(rest.len());
            is_sparse = self.at - from >= CHUNK;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault("no control character in a string")),
                None => return Err(self.fault("the end of a string")),
            }
        }
    }

    /// Goes past plain text, block by block, up to near its end: what is special is looked for, and
    /// then control characters, while the block is still in the nearest cache.
    fn blocks(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        for block in rest.chunks(BLOCK) {
            let end = memchr::memchr2(b'"', b'\\', block).unwrap_or(block.len());
            let text = block.get(..end).unwrap_or_default();
            if text.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < b' ' {
                return;
            }
            self.at += end;
            if end < block.len() {
                return;
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.fault("four hexadecimal digits after `\\u`"));
                }
                self.at += 5;
                Ok(())
            }
            _ => Err(self.fault("an escape that JSON has")),
        }
    }
}

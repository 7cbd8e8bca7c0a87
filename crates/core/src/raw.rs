//! JSON text that is read no further than it has to be.
//!
//! A message passes through as the text that it came as; what has to be known of
//! it is where the members of an object begin and end. [`Members`] finds that in
//! one pass and checks on the way that all of the text is JSON (RFC 8259), so
//! whoever is handed a [`Raw`] can take it for well-formed.
//!
//! Invariants:
//! - A [`Raw`] is one well-formed JSON value without space around it, of any depth.
//! - Nothing is decoded or copied but what somebody asks for.

use std::borrow::Cow;
use std::fmt;

use bytestring::ByteString;

use crate::json::JsonError;

mod parted;
pub(crate) mod scan;
mod walk;

pub use parted::{Parted, PartedBuf};
use scan::{Fault, Scanner};

pub use walk::{Event, Walk};

/// A JSON value as its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Takes `text`, which is one JSON value, with space around it or without.
    ///
    /// # Errors
    ///
    /// Says what was expected, and where.
    pub fn read(text: &'a str) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value().and_then(|value| scanner.end().map(|()| value));
        value.map(Raw).map_err(|fault| fault.in_text(text))
    }

    /// The text.
    pub fn get(self) -> &'a str {
        self.0
    }

    /// The string that this value is, decoded; nothing for a value of another type,
    /// and for a string with half of a surrogate pair, which is no text.
    pub fn text(self) -> Option<Cow<'a, str>> {
        decode(self.0)
    }

    /// The members, if this value is an object.
    pub fn members(self) -> Option<Members<'a>> {
        Members::read(self.0).ok()
    }

    /// The items, if this value is a list.
    pub fn items(self) -> Option<Items<'a>> {
        Items::read(self.0).ok()
    }

    /// The member `name` of the object that this is.
    ///
    /// # Errors
    ///
    /// [`JsonError`] if this is no object, or it has the member twice: then it could be read in two ways.
    pub fn member(self, name: &str) -> Result<Option<Raw<'a>>, JsonError> {
        let mut found = None;
        for member in Members::read(self.0)? {
            let (other, value) = member?;
            if other == name && found.replace(value).is_some() {
                return Err(JsonError::new(format!("the member `{name}` is there twice")));
            }
        }
        Ok(found)
    }

    /// A copy that stands by itself.
    pub fn to_buf(self) -> RawBuf {
        RawBuf(self.0.into())
    }
}

impl fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A JSON value as its text, owned. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBuf(ByteString);

impl RawBuf {
    /// Takes `text`, which is one JSON value, with space around it or without.
    ///
    /// # Errors
    ///
    /// Says what was expected, and where.
    pub fn read(text: &str) -> Result<Self, JsonError> {
        Raw::read(text).map(Raw::to_buf)
    }

    /// `raw` without a copy, where it is a part of `whole`: this then stays in memory as long.
    pub fn part_of(whole: &ByteString, raw: Raw<'_>) -> Self {
        let starts_at = raw.0.as_ptr().addr().checked_sub(whole.as_ptr().addr());
        let is_within = starts_at.is_some_and(|at| at + raw.0.len() <= whole.len());
        if is_within { Self(whole.slice_ref(raw.0)) } else { raw.to_buf() }
    }

    /// The value, to look into.
    pub fn as_raw(&self) -> Raw<'_> {
        Raw(&self.0)
    }

    /// The text.
    pub fn get(&self) -> &str {
        &self.0
    }
}

/// The members of an object in their order, each name decoded and each value raw.
///
/// A fault in the text ends them, as an error; so does what follows the object
/// and is not space. Whoever has taken the last one knows that all of it is JSON.
/// A name that is there twice is given twice.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    scanner: Scanner<'a>,
    text: &'a str,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    First,
    Further,
    Done,
}

impl<'a> Members<'a> {
    /// Begins to read `text`, which is one object.
    ///
    /// # Errors
    ///
    /// Says so if it does not begin as an object does.
    pub fn read(text: &'a str) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(text);
        scanner.open_object().map_err(|fault| fault.in_text(text))?;
        Ok(Self { scanner, text, state: State::First })
    }

    /// Goes to the next name, if there is one.
    fn advance(&mut self) -> Result<Option<&'a str>, Fault> {
        if !self.scanner.next_name(self.state == State::First)? {
            self.state = State::Done;
            return self.scanner.end().map(|()| None);
        }
        self.state = State::Further;
        self.scanner.name().map(Some)
    }

    /// The next member, whose value `read` goes past.
    pub(crate) fn next_read<T>(
        &mut self,
        read: impl FnOnce(Cow<'a, str>, &mut Scanner<'a>) -> Result<T, Fault>,
    ) -> Option<Result<T, JsonError>> {
        if self.state == State::Done {
            return None;
        }
        let name = self.advance().map_err(|fault| fault.in_text(self.text)).transpose()?;
        let member = name.and_then(|name| {
            let name = decode(name).ok_or_else(|| JsonError::new("a name holds half of a surrogate pair"))?;
            read(name, &mut self.scanner).map_err(|fault| fault.in_text(self.text))
        });
        if member.is_err() {
            self.state = State::Done;
        }
        Some(member)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(Cow<'a, str>, Raw<'a>), JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_read(|name, scanner| Ok((name, Raw(scanner.value()?))))
    }
}

/// The items of a list in their order, each raw.
///
/// A fault in the text ends them, as an error; so does what follows the list and is
/// not space. Whoever has taken the last one knows that all of it is JSON.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    scanner: Scanner<'a>,
    text: &'a str,
    state: State,
}

impl<'a> Items<'a> {
    /// Begins to read `text`, which is one list.
    ///
    /// # Errors
    ///
    /// Says so if it does not begin as a list does.
    pub fn read(text: &'a str) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(text);
        scanner.open_list().map_err(|fault| fault.in_text(text))?;
        Ok(Self { scanner, text, state: State::First })
    }

    fn advance(&mut self) -> Result<Option<&'a str>, scan::Fault> {
        if !self.scanner.next_item(self.state == State::First)? {
            self.state = State::Done;
            return self.scanner.end().map(|()| None);
        }
        self.state = State::Further;
        self.scanner.value().map(Some)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Raw<'a>, JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let item = self.advance().map_err(|fault| fault.in_text(self.text)).transpose()?;
        if item.is_err() {
            self.state = State::Done;
        }
        Some(item.map(Raw))
    }
}

/// The string that the JSON text `text` is.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(text).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

#[cfg(test)]
mod tests;

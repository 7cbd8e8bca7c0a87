//! A value whose members are known, because whoever went through it passed them.
//!
//! The result of an answer is looked into by several stages. Its members are noted while the
//! message is read, so that none of them goes through it again.
//!
//! Invariant: what is noted is what [`Raw::members`] would give, names that are there twice included.

use std::borrow::Cow;
use std::ops::{Deref, Range};

use bytestring::ByteString;

use super::scan::{Fault, Scanner};
use super::{Raw, RawBuf, decode};

/// Of an object with more members than this, none are noted.
const MAX_MEMBERS: usize = 64;

/// Where a member's name, with its quotes, and its value are in the text of their object.
type Spans = Vec<(Range<usize>, Range<usize>)>;

/// A JSON value as its text, and its members if it is an object of few.
#[derive(Clone, Debug)]
pub struct Parted<'a> {
    raw: Raw<'a>,
    spans: Option<Spans>,
}

impl<'a> Parted<'a> {
    /// Goes past the next value.
    pub(crate) fn scan(scanner: &mut Scanner<'a>) -> Result<Self, Fault> {
        if scanner.next_byte() != Some(b'{') {
            return Ok(Self { raw: Raw(scanner.value()?), spans: None });
        }
        let begins = scanner.offset();
        scanner.open_object()?;
        let (mut spans, mut is_few, mut is_first) = (Spans::with_capacity(4), true, true);
        while scanner.next_name(is_first)? {
            is_first = false;
            let (name, value) = (scanner.name()?, scanner.value()?);
            is_few &= spans.len() < MAX_MEMBERS && decode(name).is_some();
            if is_few {
                let ends = scanner.offset();
                let whole = scanner.since(begins);
                spans.push((span(whole, name), ends - begins - value.len()..ends - begins));
            }
        }
        Ok(Self { raw: Raw(scanner.since(begins)), spans: is_few.then_some(spans) })
    }

    /// The members of `raw`, which is gone through.
    pub fn of(raw: Raw<'a>) -> Self {
        Self::scan(&mut Scanner::new(raw.0)).unwrap_or(Self { raw, spans: None })
    }

    /// The value.
    pub fn raw(&self) -> Raw<'a> {
        self.raw
    }

    /// The members in their order, each name decoded, if they are known. Those of an object with very many
    /// are not, nor those of one with a name that is no text, nor those of what is no object.
    pub fn members(&self) -> Option<impl Iterator<Item = (Cow<'a, str>, Raw<'a>)>> {
        let text = self.raw.0;
        let part = |span: &Range<usize>| text.get(span.clone()).unwrap_or_default();
        let members = self.spans.as_ref()?.iter();
        Some(members.filter_map(move |(name, value)| Some((decode(part(name))?, Raw(part(value))))))
    }
}

/// Where `part` is in `whole`.
fn span(whole: &str, part: &str) -> Range<usize> {
    let begins = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    begins..begins + part.len()
}

/// The same, owned. Cheap to move, and to make of a part of a message.
#[derive(Clone, Debug)]
pub struct PartedBuf {
    whole: RawBuf,
    spans: Option<Spans>,
}

impl PartedBuf {
    /// `parted` without a copy of its text, where it is a part of `message`.
    pub fn part_of(message: &ByteString, parted: Parted<'_>) -> Self {
        Self { whole: RawBuf::part_of(message, parted.raw), spans: parted.spans }
    }

    /// `parted` with a text of its own.
    pub fn copy_of(parted: Parted<'_>) -> Self {
        Self { whole: parted.raw.to_buf(), spans: parted.spans }
    }

    /// The value, with its members.
    pub fn as_parted(&self) -> Parted<'_> {
        Parted { raw: self.whole.as_raw(), spans: self.spans.clone() }
    }

    /// The value alone.
    pub fn into_whole(self) -> RawBuf {
        self.whole
    }
}

impl Deref for PartedBuf {
    type Target = RawBuf;

    fn deref(&self) -> &RawBuf {
        &self.whole
    }
}

impl From<RawBuf> for PartedBuf {
    fn from(whole: RawBuf) -> Self {
        let spans = Parted::of(whole.as_raw()).spans;
        Self { whole, spans }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Told = Vec<(String, String)>;

    fn told<'a>(members: impl Iterator<Item = (Cow<'a, str>, Raw<'a>)>) -> Told {
        members.map(|(name, value)| (name.into_owned(), value.get().to_owned())).collect()
    }

    /// What is noted of `text`, and what going through it gives.
    fn both(text: &str) -> (Option<Told>, Option<Told>) {
        let raw = Raw::read(text).expect("JSON");
        let noted = Parted::of(raw).members().map(told);
        let members = raw.members().and_then(|members| members.collect::<Result<Vec<_>, _>>().ok());
        (noted, members.map(|members| told(members.into_iter())))
    }

    #[test]
    fn what_is_noted_is_what_the_value_has() {
        for text in [
            "{}",
            " { } ",
            r#"{"a":1}"#,
            r#" {"a" : [1, {"b": "}"}] , "\u0061":"x" ,"a":null } "#,
            r#"{"":{"":""}}"#,
        ] {
            let (noted, members) = both(text);
            assert_eq!(noted, members, "{text}");
            assert!(noted.is_some(), "{text}");
        }
    }

    #[test]
    fn nothing_is_noted_of_what_is_no_object_has_too_many_members_or_a_name_that_is_no_text() {
        let many = |count: usize| format!("{{{}}}", vec![r#""a":1"#; count].join(","));
        assert_eq!(both(&many(MAX_MEMBERS)).0.map(|members| members.len()), Some(MAX_MEMBERS));
        for text in ["[]", "1", r#""{}""#, &many(MAX_MEMBERS + 1), r#"{"\ud800":1}"#] {
            assert_eq!(both(text).0, None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_part_of_a_message_keeps_its_members(
            names in prop::collection::vec("[a-z\"\\\\é]{0,3}", 0..6),
            before in "[ a-z]{0,9}",
        ) {
            let members: Vec<String> =
                names.iter().map(|name| format!("{} : [{{}}, 1]", serde_json::Value::from(name.as_str()))).collect();
            let message = ByteString::from(format!(r#"{{"x":"{before}","result": {{ {} }} }}"#, members.join(" ,")));
            let raw = Raw::read(&message).expect("JSON").member("result").expect("JSON").expect("a result");
            let buf = PartedBuf::part_of(&message, Parted::of(raw));
            let noted: Vec<String> = buf.as_parted().members().expect("noted").map(|(name, _)| name.into_owned()).collect();
            prop_assert_eq!(noted, names);
            prop_assert_eq!(buf.get(), raw.get());
        }
    }
}

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

use crate::json::JsonError;

pub(crate) mod scan;

use scan::Scanner;

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

/// A JSON value as its text, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBuf(Box<str>);

impl RawBuf {
    /// Takes `text`, which is one JSON value, with space around it or without.
    ///
    /// # Errors
    ///
    /// Says what was expected, and where.
    pub fn read(text: &str) -> Result<Self, JsonError> {
        Raw::read(text).map(Raw::to_buf)
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

    fn advance(&mut self) -> Result<Option<(&'a str, &'a str)>, scan::Fault> {
        if !self.scanner.next_name(self.state == State::First)? {
            self.state = State::Done;
            return self.scanner.end().map(|()| None);
        }
        self.state = State::Further;
        let name = self.scanner.name()?;
        Ok(Some((name, self.scanner.value()?)))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<(Cow<'a, str>, Raw<'a>), JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let member = self.advance().map_err(|fault| fault.in_text(self.text)).transpose()?;
        let member = member.and_then(|(name, value)| {
            let name = decode(name).ok_or_else(|| JsonError::new("a name holds half of a surrogate pair"))?;
            Ok((name, Raw(value)))
        });
        if member.is_err() {
            self.state = State::Done;
        }
        Some(member)
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
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn members(text: &str) -> Result<Vec<(String, String)>, String> {
        let members = Members::read(text).map_err(|e| e.to_string())?;
        members
            .map(|member| member.map(|(name, value)| (name.into_owned(), value.get().to_owned())))
            .collect::<Result<_, _>>()
            .map_err(|e| e.to_string())
    }

    #[test]
    fn members_are_given_in_their_order_with_names_decoded_and_values_raw() {
        let text = " {\"a\" : [1, {\"b\":\"]}\\\"\"}] ,\n\"\\u0061b\":-1.5e+3,\"\":{},\"a\":null}\t";
        let expected = [("a", "[1, {\"b\":\"]}\\\"\"}]"), ("ab", "-1.5e+3"), ("", "{}"), ("a", "null")];
        assert_eq!(members(text), Ok(expected.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec()));
        assert_eq!(members("{}"), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            "",
            "[1]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":tru}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u00g0\"}",
            "{\"a\":\"\n\"}",
            "{\"a\":[1,]}",
            "{\"a\":[1}}",
            "{\"a\":{\"b\"}}",
            "{\"a\":1} 2",
            "{\n\"a\":\n nul}",
            "{\"\\ud800\":1}",
        ];
        let report: Vec<String> =
            cases.iter().map(|case| format!("{case:?}: {}", members(case).expect_err(case))).collect();
        insta::assert_snapshot!(report.join("\n"));
    }

    #[test]
    fn a_long_string_is_read_like_a_short_one_wherever_something_special_stands() {
        for at in [0, 1, 15, 16, 127, 128, 129, 8_191, 8_319, 8_320, 8_321, 16_511, 16_512, 16_513, 19_998] {
            let with =
                |special: &str| format!("[\"{}{special}{}\",7]", "x".repeat(at), "é".repeat(10_000 - at / 2));
            for plain in ["\\\"", "\\\\", "\u{7f}", "]", ""] {
                let text = with(plain);
                assert_eq!(Raw::read(&text).map(Raw::get), Ok(&*text), "{plain:?} at {at}");
            }
            for (fault, column) in [("\n", at + 3), ("\u{1f}", at + 3), ("\"", at + 4), ("\\x", at + 4)] {
                let place = Raw::read(&with(fault)).expect_err("a fault").to_string();
                assert!(place.ends_with(&format!("column {column}")), "{fault:?} at {at}: {place}");
            }
        }
    }

    #[test]
    fn items_are_given_in_their_order_and_a_fault_ends_them() {
        let items = |text: &str| -> Result<Vec<String>, String> {
            let items = Items::read(text).map_err(|e| e.to_string())?;
            items.map(|item| item.map(|item| item.get().to_owned()).map_err(|e| e.to_string())).collect()
        };
        let read = items(" [1 , {\"a\":[\"]\"]},\n[]\t] ");
        assert_eq!(read, Ok(["1", "{\"a\":[\"]\"]}", "[]"].map(str::to_owned).to_vec()));
        assert_eq!(items("[]"), Ok(vec![]));
        for bad in ["", "{}", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "[1]]", "[1]x", "[nul]"] {
            assert!(items(bad).is_err(), "{bad}");
        }
        assert_eq!(Raw::read("{}").ok().and_then(Raw::items).map(Iterator::count), None);
    }

    #[test]
    fn any_depth_is_gone_through_without_a_stack() {
        for depth in [1, 127, 128, 129, 256, 257, 1_000_000] {
            let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert!(Raw::read(&lists).is_ok());
            let objects = format!("{}1{}", "{\"a\":[".repeat(depth), "]}".repeat(depth));
            assert!(Raw::read(&objects).is_ok());
            let crossed = format!("{}1{}", "{\"a\":[".repeat(depth), "}]".repeat(depth));
            assert!(Raw::read(&crossed).is_err());
            assert!(Raw::read(&objects[..objects.len() - 1]).is_err());
        }
    }

    #[test]
    fn a_text_is_decoded_where_it_is_one() {
        let text = |json: &str| Raw::read(json).ok().and_then(Raw::text).map(Cow::into_owned);
        assert_eq!(text("\"a\\u00e9\\n\"").as_deref(), Some("aé\n"));
        assert_eq!(text(" \"plain\" ").as_deref(), Some("plain"));
        for other in ["1", "null", "{}", "\"\\ud800\""] {
            assert_eq!(text(other), None, "{other}");
        }
    }

    /// JSON with mistakes in it: near enough to the real thing to get far into the scanner.
    fn almost_json() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"\\u00e9\"",
            "\"\\ud83d\\ude00\"",
            "\"\\\"",
            "\"",
            "1",
            "-0",
            "0.5",
            "1e9",
            "01",
            "-",
            "true",
            "false",
            "null",
            "nul",
            " ",
            "\n",
            "é",
            "\u{1}",
            "\"0123456789abcdef0123456789\"",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn a_text_is_well_formed_for_us_exactly_where_it_is_for_serde_json(text in almost_json()) {
            let theirs = serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get);
            prop_assert_eq!(Raw::read(&text).ok().map(Raw::get), theirs);
        }

        #[test]
        fn no_text_makes_the_scanner_panic(text in ".{0,64}") {
            let _ = members(&text);
        }
    }
}

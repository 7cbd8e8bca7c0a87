//! A walk over all of a JSON text, in one pass and without a tree.
//!
//! For whoever has to see every value of a text whose shape is not known. Nothing is
//! decoded; where a scalar stands is told, so that it alone can be written anew.

use crate::json::JsonError;

use super::scan::{Fault, Scanner};

/// What comes next in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// An object begins.
    Object,
    /// A list begins.
    List,
    /// The innermost object or list ends.
    End,
    /// The name of a member, with its quotes, and where it begins, in bytes.
    Name(&'a str, usize),
    /// A string with its quotes, a number, `true`, `false` or `null`, and where it begins, in bytes.
    Scalar(&'a str, usize),
}

/// A walk over one JSON value.
///
/// Whoever has been told that there is nothing more knows that all of the text is JSON.
#[derive(Debug)]
pub struct Walk<'a> {
    scanner: Scanner<'a>,
    text: &'a str,
    /// What is open: whether it is an object, and whether nothing of it has come yet.
    open: Vec<(bool, bool)>,
    max_depth: usize,
    begun: bool,
    named: bool,
}

impl<'a> Walk<'a> {
    /// Begins to walk over `text`, in which at most `max_depth` levels are nested.
    pub fn new(text: &'a str, max_depth: usize) -> Self {
        let scanner = Scanner::new(text);
        Self { scanner, text, open: Vec::new(), max_depth, begun: false, named: false }
    }

    /// What comes next; nothing after the end.
    ///
    /// # Errors
    ///
    /// What is not JSON (RFC 8259) or nested deeper than was allowed, with its place.
    pub fn advance(&mut self) -> Result<Option<Event<'a>>, JsonError> {
        let text = self.text;
        match self.step() {
            Ok(Some(_)) if self.open.len() > self.max_depth => {
                let what = format!("nested deeper than {} levels", self.max_depth);
                Err(self.scanner.place().describe(&what, text))
            }
            other => other.map_err(|fault| fault.in_text(text)),
        }
    }

    fn step(&mut self) -> Result<Option<Event<'a>>, Fault> {
        let Some((is_object, is_first)) = self.open.last_mut() else {
            if self.begun {
                return self.scanner.end().map(|()| None);
            }
            self.begun = true;
            return self.value();
        };
        if self.named {
            self.named = false;
            return self.value();
        }
        let first = std::mem::replace(is_first, false);
        if *is_object {
            if !self.scanner.next_name(first)? {
                self.open.pop();
                return Ok(Some(Event::End));
            }
            self.named = true;
            self.scanner.next_byte();
            let at = self.scanner.offset();
            return self.scanner.name().map(|name| Some(Event::Name(name, at)));
        }
        if !self.scanner.next_item(first)? {
            self.open.pop();
            return Ok(Some(Event::End));
        }
        self.value()
    }

    fn value(&mut self) -> Result<Option<Event<'a>>, Fault> {
        match self.scanner.next_byte() {
            Some(b'{') => {
                self.scanner.open_object()?;
                self.open.push((true, true));
                Ok(Some(Event::Object))
            }
            Some(b'[') => {
                self.scanner.open_list()?;
                self.open.push((false, true));
                Ok(Some(Event::List))
            }
            _ => {
                let at = self.scanner.offset();
                self.scanner.value().map(|token| Some(Event::Scalar(token, at)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn walk(text: &str, max_depth: usize) -> Result<Vec<Event<'_>>, String> {
        let mut walk = Walk::new(text, max_depth);
        let mut events = Vec::new();
        while let Some(event) = walk.advance().map_err(|e| e.to_string())? {
            events.push(event);
        }
        Ok(events)
    }

    #[test]
    fn everything_is_told_in_its_order_and_with_its_place() {
        let text = " {\"a\" : [1, {}], \"b\":\"x\\\"\"} ";
        let expected = [
            Event::Object,
            Event::Name("\"a\"", 2),
            Event::List,
            Event::Scalar("1", 9),
            Event::Object,
            Event::End,
            Event::End,
            Event::Name("\"b\"", 17),
            Event::Scalar("\"x\\\"\"", 21),
            Event::End,
        ];
        assert_eq!(walk(text, 3), Ok(expected.to_vec()));
        assert_eq!(walk("7", 0), Ok(vec![Event::Scalar("7", 0)]));
        assert!(
            walk(text, 2).is_err() && walk("[[[]]]", 2).is_err_and(|e| e.contains("deeper than 2 levels"))
        );
    }

    proptest! {
        #[test]
        fn a_text_can_be_walked_over_exactly_where_it_is_json(text in "[\\[\\]{}:,\"a1 ]{0,16}") {
            let is_json = serde_json::from_str::<Value>(&text).is_ok();
            prop_assert_eq!(walk(&text, 64).is_ok(), is_json);
        }
    }
}

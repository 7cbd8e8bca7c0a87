//! One JSON object, written member by member into a text.
//!
//! For what is written at every call, where a detour over values or a serializer
//! would cost more than the text itself. The order is the caller's: members given
//! in alphabetical order make the canonical form.

use std::fmt::Write as _;

use super::write_string;

/// An object that is being written. Without [`ObjectWriter::end`] it stays open.
#[derive(Debug)]
#[must_use = "an object that is not ended is not JSON"]
pub struct ObjectWriter<'a> {
    out: &'a mut String,
    empty: bool,
}

impl<'a> ObjectWriter<'a> {
    /// Begins an object at the end of `out`.
    pub fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// Begins a member, whose value the caller writes. Needs a name without anything to escape.
    pub fn member(&mut self, name: &'static str) -> &mut String {
        self.separate();
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }

    /// Begins a member of any name, whose value the caller writes.
    pub fn any_member(&mut self, name: &str) -> &mut String {
        self.separate();
        write_string(self.out, name);
        self.out.push(':');
        self.out
    }

    /// Writes a string.
    pub fn string(&mut self, name: &'static str, text: &str) {
        write_string(self.member(name), text);
    }

    /// Writes a string, if there is one.
    pub fn optional(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.string(name, text);
        }
    }

    /// Writes an integer.
    pub fn number(&mut self, name: &'static str, number: u64) {
        // Writing to a string does not fail.
        let _ = write!(self.member(name), "{number}");
    }

    /// Writes `true` or `false`.
    pub fn boolean(&mut self, name: &'static str, flag: bool) {
        self.member(name).push_str(if flag { "true" } else { "false" });
    }

    /// Writes a list of strings.
    pub fn strings<T: AsRef<str>>(&mut self, name: &'static str, items: &[T]) {
        let out = self.member(name);
        out.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_string(out, item.as_ref());
        }
        out.push(']');
    }

    /// Ends the object.
    pub fn end(self) {
        self.out.push('}');
    }

    fn separate(&mut self) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_written_in_the_order_given_and_escaped() {
        let mut text = String::new();
        let mut object = ObjectWriter::begin(&mut text);
        object.string("a", "\"\n");
        object.optional("b", None);
        object.number("c", u64::MAX);
        object.strings("d", &["x", "y\\"]);
        object.strings::<&str>("e", &[]);
        let inner = ObjectWriter::begin(object.member("f"));
        inner.end();
        object.any_member("g\"").push('1');
        object.end();
        assert_eq!(text, r#"{"a":"\"\n","c":18446744073709551615,"d":["x","y\\"],"e":[],"f":{},"g\"":1}"#);
    }
}

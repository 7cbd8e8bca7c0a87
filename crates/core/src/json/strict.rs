//! The strict reader: a text becomes a value only if it has one meaning.

use serde_json::{Map, Number, Value};

use super::{JsonError, MAX_DEPTH, MAX_SAFE_INTEGER};
use crate::raw::scan::{Fault, Scanner};

/// Reads `text`; see [`super::parse_strict`].
pub(super) fn read(text: &str) -> Result<Value, JsonError> {
    let mut reader = Reader { scanner: Scanner::new(text), text };
    let value = reader.value(MAX_DEPTH)?;
    reader.scanner.end().map_err(|fault| fault.in_text(text))?;
    Ok(value)
}

struct Reader<'a> {
    scanner: Scanner<'a>,
    text: &'a str,
}

impl Reader<'_> {
    /// One value, in which `depth` levels may be nested.
    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        match self.scanner.next_byte() {
            Some(b'{') => self.object(self.inner(depth)?).map(Value::Object),
            Some(b'[') => self.list(self.inner(depth)?).map(Value::Array),
            _ => self.scalar(),
        }
    }

    fn inner(&self, depth: usize) -> Result<usize, JsonError> {
        depth.checked_sub(1).ok_or_else(|| self.wrong(&format!("nested deeper than {MAX_DEPTH} levels")))
    }

    fn object(&mut self, depth: usize) -> Result<Map<String, Value>, JsonError> {
        let mut object = Map::new();
        self.scanner.open_object().map_err(|fault| self.fault(fault))?;
        while self.scanner.next_name(object.is_empty()).map_err(|fault| self.fault(fault))? {
            let name = self.scanner.name().map_err(|fault| self.fault(fault))?;
            let name = self.string(name)?;
            if object.contains_key(&name) {
                return Err(self.wrong(&format!("key `{}` is repeated", name.escape_debug())));
            }
            let value = self.value(depth)?;
            object.insert(name, value);
        }
        Ok(object)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, JsonError> {
        let mut items = Vec::new();
        self.scanner.open_list().map_err(|fault| self.fault(fault))?;
        while self.scanner.next_item(items.is_empty()).map_err(|fault| self.fault(fault))? {
            items.push(self.value(depth)?);
        }
        Ok(items)
    }

    fn scalar(&mut self) -> Result<Value, JsonError> {
        let token = self.scanner.value().map_err(|fault| self.fault(fault))?;
        match token {
            "null" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ if token.starts_with('"') => self.string(token).map(Value::String),
            _ => self.number(token).map(Value::Number),
        }
    }

    fn number(&self, token: &str) -> Result<Number, JsonError> {
        // A zero with a sign is a double, which an integer could not hold.
        if !token.starts_with("-0")
            && let Ok(integer) = token.parse::<i64>()
        {
            return Ok(integer.into());
        }
        let number: Number = serde_json::from_str(token).map_err(|_| self.wrong("number out of range"))?;
        if !number.is_f64() || number.as_f64().is_some_and(|double| double.abs() < MAX_SAFE_INTEGER) {
            return Ok(number);
        }
        Err(self.wrong("number too large to be read exactly; send it as a string"))
    }

    /// The text of a string, given with its quotes.
    fn string(&self, token: &str) -> Result<String, JsonError> {
        let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
        match unescaped(inner) {
            Some(text) => Ok(text),
            None => serde_json::from_str(token).map_err(|_| self.wrong("half of a surrogate pair")),
        }
    }

    fn fault(&self, fault: Fault) -> JsonError {
        fault.in_text(self.text)
    }

    /// An error of meaning, where the reader stands.
    fn wrong(&self, what: &str) -> JsonError {
        self.scanner.place().describe(what, self.text)
    }
}

/// The text that stands between the quotes of a well-formed string, unless it has `\u`.
fn unescaped(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.bytes().position(|byte| byte == b'\\') {
        text.push_str(rest.get(..at)?);
        text.push(match rest.as_bytes().get(at + 1)? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return None,
            byte => char::from(*byte),
        });
        rest = rest.get(at + 2..)?;
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests;

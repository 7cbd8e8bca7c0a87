//! TOML as Codex keeps its configuration in, read into a JSON value.
//!
//! Reads what TOML 1.0 has, for `import` and to look before `connect` has Codex
//! change its file; writes nothing. Dates become texts. It forgives a table that is
//! opened twice, because it judges nothing: Codex does.
//!
//! Invariant: no text makes it panic or go deeper than [`MAX_DEPTH`], and no error
//! repeats what stands in a file, which may be a secret.

use serde_json::{Map, Value};

use super::jsonc::Unreadable;

const MAX_DEPTH: usize = 50;

/// Reads `text`.
pub(crate) fn parse(text: &str) -> Result<Value, Unreadable> {
    let mut reader = Reader { text, at: if text.starts_with('\u{feff}') { 3 } else { 0 } };
    let mut root = Map::new();
    let mut table: Vec<String> = Vec::new();
    loop {
        reader.skip_lines();
        match reader.peek() {
            None => return Ok(Value::Object(root)),
            Some(b'[') => table = reader.header(&mut root)?,
            Some(_) => {
                let keys = reader.keys()?;
                reader.take(b'=', "an equals sign")?;
                reader.skip_blanks();
                let value = reader.value(0)?;
                let place = descend(&mut root, &table).ok_or_else(|| reader.expected("a table"))?;
                put(place, &keys, value).ok_or_else(|| reader.expected("a key that is not there yet"))?;
                reader.end_of_line()?;
            }
        }
    }
}

/// The table at `path`, made if it is not there; of a list of tables, the last.
fn descend<'a>(root: &'a mut Map<String, Value>, path: &[String]) -> Option<&'a mut Map<String, Value>> {
    path.iter().try_fold(root, |table, key| {
        let next = table.entry(key.as_str()).or_insert_with(|| Value::Object(Map::new()));
        match next {
            Value::Object(table) => Some(table),
            Value::Array(tables) => tables.last_mut().and_then(Value::as_object_mut),
            _ => None,
        }
    })
}

/// Puts `value` at the end of `keys`; `None` if something is there.
fn put(table: &mut Map<String, Value>, keys: &[String], value: Value) -> Option<()> {
    let (last, path) = keys.split_last()?;
    let table = descend(table, path)?;
    if table.contains_key(last) {
        return None;
    }
    table.insert(last.clone(), value);
    Some(())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn expected(&self, expected: &'static str) -> Unreadable {
        let before = self.text.as_bytes().iter().take(self.at);
        Unreadable { line: before.filter(|byte| **byte == b'\n').count() + 1, expected }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Unreadable> {
        if self.peek() != Some(byte) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    /// Passes over white space, line ends and comments.
    fn skip_lines(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            if self.peek() != Some(b'#') {
                return;
            }
            let rest = self.rest();
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    fn end_of_line(&mut self) -> Result<(), Unreadable> {
        self.skip_blanks();
        match self.peek() {
            None | Some(b'\n' | b'\r' | b'#') => Ok(()),
            Some(_) => Err(self.expected("the end of the line")),
        }
    }

    /// `[a.b]` or `[[a.b]]`: the path of the table that is open from here on.
    fn header(&mut self, root: &mut Map<String, Value>) -> Result<Vec<String>, Unreadable> {
        let is_list = self.rest().starts_with("[[");
        self.at += if is_list { 2 } else { 1 };
        let path = self.keys()?;
        self.take(b']', "a closing bracket")?;
        if is_list {
            self.take(b']', "two closing brackets")?;
            let (last, above) = path.split_last().ok_or_else(|| self.expected("a name"))?;
            let above = descend(root, above).ok_or_else(|| self.expected("a table"))?;
            match above.entry(last.as_str()).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(tables) => tables.push(Value::Object(Map::new())),
                _ => return Err(self.expected("a list of tables")),
            }
        } else {
            descend(root, &path).ok_or_else(|| self.expected("a table"))?;
        }
        self.end_of_line()?;
        Ok(path)
    }

    /// A key, or several with dots between.
    fn keys(&mut self) -> Result<Vec<String>, Unreadable> {
        let mut keys = Vec::new();
        loop {
            self.skip_blanks();
            keys.push(match self.peek() {
                Some(b'"') => self.basic()?,
                Some(b'\'') => self.literal()?,
                _ => self.bare()?,
            });
            self.skip_blanks();
            if self.peek() != Some(b'.') {
                return Ok(keys);
            }
            if keys.len() > MAX_DEPTH {
                return Err(self.expected("fewer levels"));
            }
            self.at += 1;
        }
    }

    fn bare(&mut self) -> Result<String, Unreadable> {
        let rest = self.rest();
        let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let key = rest.get(..rest.find(|c| !is_key(c)).unwrap_or(rest.len())).unwrap_or_default();
        if key.is_empty() {
            return Err(self.expected("a key"));
        }
        self.at += key.len();
        Ok(key.to_owned())
    }

    fn value(&mut self, depth: usize) -> Result<Value, Unreadable> {
        if depth > MAX_DEPTH {
            return Err(self.expected("fewer levels"));
        }
        let rest = self.rest();
        match self.peek() {
            Some(b'"') if rest.starts_with(r#"""""#) => self.long(r#"""""#).map(Value::String),
            Some(b'\'') if rest.starts_with("'''") => self.long("'''").map(Value::String),
            Some(b'"') => self.basic().map(Value::String),
            Some(b'\'') => self.literal().map(Value::String),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.inline_table(depth),
            _ => self.word(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Unreadable> {
        self.at += 1;
        let mut elements = Vec::new();
        loop {
            self.skip_lines();
            if self.peek() == Some(b']') {
                break;
            }
            elements.push(self.value(depth + 1)?);
            self.skip_lines();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.expected("a comma or a closing bracket")),
            }
        }
        self.at += 1;
        Ok(Value::Array(elements))
    }

    fn inline_table(&mut self, depth: usize) -> Result<Value, Unreadable> {
        self.at += 1;
        let mut table = Map::new();
        loop {
            self.skip_lines();
            if self.peek() == Some(b'}') {
                break;
            }
            let keys = self.keys()?;
            self.take(b'=', "an equals sign")?;
            self.skip_blanks();
            let value = self.value(depth + 1)?;
            put(&mut table, &keys, value).ok_or_else(|| self.expected("a key that is not there yet"))?;
            self.skip_lines();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.expected("a comma or a closing brace")),
            }
        }
        self.at += 1;
        Ok(Value::Object(table))
    }

    /// `'…'` on one line: nothing is escaped.
    fn literal(&mut self) -> Result<String, Unreadable> {
        let inner = self.rest().get(1..).unwrap_or_default();
        let text = inner.split('\'').next().filter(|text| text.len() < inner.len() && !text.contains('\n'));
        let text = text.ok_or_else(|| self.expected("a closing quotation mark"))?;
        self.at += text.len() + 2;
        Ok(text.to_owned())
    }

    /// `"…"` on one line.
    fn basic(&mut self) -> Result<String, Unreadable> {
        let inner = self.rest().get(1..).unwrap_or_default();
        let end = closing(inner, "\"").filter(|end| !inner.get(..*end).unwrap_or_default().contains('\n'));
        let end = end.ok_or_else(|| self.expected("a closing quotation mark"))?;
        let text = self.unescaped(inner.get(..end).unwrap_or_default())?;
        self.at += end + 2;
        Ok(text)
    }

    /// A text between three quotation marks, over several lines.
    fn long(&mut self, marks: &'static str) -> Result<String, Unreadable> {
        let inner = self.rest().get(3..).unwrap_or_default();
        let end = if marks == "'''" { inner.find(marks) } else { closing(inner, marks) };
        let mut end = end.ok_or_else(|| self.expected("three closing quotation marks"))?;
        // Up to two more marks belong to the text: the last three close it.
        let mark = marks.get(..1).unwrap_or_default();
        for _ in 0..2 {
            let more = inner.get(end + 3..).unwrap_or_default();
            end += usize::from(more.starts_with(mark));
        }
        let text = inner.get(..end).unwrap_or_default();
        let first_line = text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')).unwrap_or(text);
        let text = if marks == "'''" { first_line.to_owned() } else { self.unescaped(first_line)? };
        self.at += end + 6;
        Ok(text)
    }

    fn unescaped(&self, text: &str) -> Result<String, Unreadable> {
        let bad = || self.expected("an escape that TOML knows");
        let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, after)) = rest.split_once('\\') {
            plain.push_str(before);
            let mut characters = after.chars();
            let escape = characters.next().ok_or_else(bad)?;
            rest = characters.as_str();
            let digits = match escape {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                // A backslash at the end of a line takes the white space after it away.
                ' ' | '\t' | '\r' | '\n' => {
                    rest = after.trim_start();
                    continue;
                }
                _ => 0,
            };
            if digits == 0 {
                plain.push(escaped(escape).ok_or_else(bad)?);
                continue;
            }
            let code = rest.get(..digits).and_then(|code| u32::from_str_radix(code, 16).ok());
            plain.push(code.and_then(char::from_u32).ok_or_else(bad)?);
            rest = rest.get(digits..).unwrap_or_default();
        }
        plain.push_str(rest);
        Ok(plain)
    }

    /// A truth value, a number, or a date, which stays a text.
    fn word(&mut self) -> Result<Value, Unreadable> {
        let rest = self.rest();
        let end = rest.find([',', ']', '}', '#', '\n', '\r']).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default().trim_end();
        let number = word.replace('_', "");
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ if number.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit())
                && word.bytes().all(|b| b.is_ascii_hexdigit() || b":.TtZz+-_ xo".contains(&b)) =>
            {
                let float = || number.parse().ok().and_then(serde_json::Number::from_f64).map(Value::Number);
                let whole = number.parse::<i64>().ok().map(Value::from);
                whole.or_else(float).unwrap_or_else(|| Value::String(word.to_owned()))
            }
            "inf" | "+inf" | "-inf" | "nan" | "+nan" | "-nan" => Value::String(word.to_owned()),
            _ => return Err(self.expected("a value")),
        };
        self.at += word.len();
        Ok(value)
    }
}

fn escaped(escape: char) -> Option<char> {
    Some(match escape {
        'b' => '\u{8}',
        't' => '\t',
        'n' => '\n',
        'f' => '\u{c}',
        'r' => '\r',
        'e' => '\u{1b}',
        '"' | '\\' => escape,
        _ => return None,
    })
}

/// Where `marks` stand for the first time without a backslash before them.
fn closing(text: &str, marks: &str) -> Option<usize> {
    let mut escaped = false;
    let found = text.char_indices().find(|(at, character)| {
        let ends = !escaped && text.get(*at..).is_some_and(|rest| rest.starts_with(marks));
        escaped = *character == '\\' && !escaped;
        ends
    });
    found.map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_of_codex_is_read_as_codex_reads_it() {
        let text = r#"
model = "gpt-5" # a comment with "quotes"
'odd key' . "b.c" = 1_000
since = 2026-11-21T10:00:00Z
[mcp_servers.files]
command = '/usr/bin/node'
args = [
  "a\tb\u00e9", # one
  'C:\raw',
]
env = { KEY = "x=y", "N" = 2.5, deep.er = true }
[mcp_servers."odd name".tools.read]
approval_mode = """
first \
   line
"quoted"""""
[[profiles]]
name = '''it's'''
[[profiles]]
[profiles.more]
a = -7
"#;
        assert_eq!(
            parse(text),
            Ok(json!({
                "model": "gpt-5",
                "odd key": {"b.c": 1000},
                "since": "2026-11-21T10:00:00Z",
                "mcp_servers": {
                    "files": {
                        "command": "/usr/bin/node",
                        "args": ["a\tb\u{e9}", "C:\\raw"],
                        "env": {"KEY": "x=y", "N": 2.5, "deep": {"er": true}}
                    },
                    "odd name": {"tools": {"read": {"approval_mode": "first line\n\"quoted\"\""}}}
                },
                "profiles": [{"name": "it's"}, {"more": {"a": -7}}]
            }))
        );
        assert_eq!(parse("a = \"x\"\r\n[t]\r\nb = 1\r\n"), Ok(json!({"a": "x", "t": {"b": 1}})));
        assert_eq!(parse("\u{feff}"), Ok(json!({})));
    }

    #[test]
    fn what_is_not_toml_is_refused_with_its_line_and_without_its_text() {
        let nested = format!("a = {}", "[".repeat(MAX_DEPTH + 2));
        for (text, line) in [
            ("a = 1\na = 2", 2),
            ("a = hunter2", 1),
            ("a = \"hunter2\nb = 1", 1),
            ("\n[a\nb = 1", 2),
            ("a = 1 2 hunter2 3", 1),
            ("a = [1, 2", 1),
            ("a = \"\\q\"", 1),
            ("a", 1),
            ("a = 1\n[a]", 2),
            ("= 1", 1),
            ("a = '''x", 1),
            (nested.as_str(), 1),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}

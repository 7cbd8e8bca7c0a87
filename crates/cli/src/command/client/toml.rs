//! TOML as Codex keeps its configuration in, read into a JSON value.
//!
//! For `import`, and to look before `connect` has Codex change its file; writes
//! nothing. Dates become texts.
//!
//! Invariant: no error repeats what stands in a file, which may be a secret.

use serde_json::{Map, Number, Value};
use toml::Value as Toml;

use super::jsonc::Unreadable;

/// Reads `text`.
pub(crate) fn parse(text: &str) -> Result<Value, Unreadable> {
    // The library's own message quotes the line; the place is enough.
    toml::from_str(text).map(|table| json(Toml::Table(table))).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        Unreadable { line, expected: "what TOML has" }
    })
}

fn json(value: Toml) -> Value {
    match value {
        Toml::String(text) => Value::String(text),
        Toml::Integer(integer) => Value::from(integer),
        Toml::Float(float) => Number::from_f64(float).map_or(Value::Null, Value::Number),
        Toml::Boolean(truth) => Value::Bool(truth),
        Toml::Datetime(datetime) => Value::String(datetime.to_string()),
        Toml::Array(items) => items.into_iter().map(json).collect(),
        Toml::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, json(value))).collect::<Map<_, _>>())
        }
    }
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
        let nested = format!("a = {}", "[".repeat(500));
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

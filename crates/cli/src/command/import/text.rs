//! The text of a draft.
//!
//! Owns the YAML and its comments; what stands in it is decided in `draft`.
//!
//! Invariant: whatever a name or a value from a client's file holds, it stays in its
//! place: it ends no comment and no quoted text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use quaymaster_connectors::mcp::survey::{Claims, OfferedTool};

use super::draft::prefix;

const LINE_CHARS: usize = 110;
/// What stands for an argument that a person has to name. No server has one of this name.
pub(super) const UNDECIDED: &str = "to_be_decided";

/// Everything but the comments at the top. `server` are the lines of `spec.server`.
pub(super) fn body(name: &str, workspace: &str, server: &[String], tools: &[OfferedTool]) -> String {
    let prefix = prefix(name);
    let server: String = server.iter().fold(String::new(), |text, line| text + "    " + line + "\n");
    let mut text = format!(
            "apiVersion: connector/v1
kind: Connector
metadata:
  name: {name}
  version: 0.1.0
  owner: {{ team: to-be-decided, contact: to-be-decided }}   # who answers for it
  workspaces: [{workspace}]
spec:
  engine: mcp
  prefix: {prefix}   # agents see {prefix}_<tool>
  server:
{server}  limits: {{ timeout: 30s }}
  classification: {{ default: restricted }}   # until somebody has looked at what its results hold
  # Decide for each tool what it does to the world (`effect`) and who may use it (`access`); remove what no agent
  # needs. Until then it is taken for a write that cannot be recognised when it is repeated, and is not offered.
  tools:
"
        );
    let mut taken = BTreeSet::new();
    for tool in tools {
        text.push_str(&tool_text(tool, &prefix, &mut taken));
    }
    if tools.is_empty() {
        text.push_str(
                "    # No tool is known: `quaymaster import … --list` asks the server for them. This entry keeps their \
                 place.\n",
            );
        let placeholder = OfferedTool { name: UNDECIDED.into(), annotations: Claims::default() };
        text.push_str(&tool_text(&placeholder, &prefix, &mut taken));
    }
    text
}

fn tool_text(tool: &OfferedTool, prefix: &str, taken: &mut BTreeSet<String>) -> String {
    let mut text = format!("    - name: {}\n", quoted(&tool.name));
    let own = fitting(&tool.name, 63 - prefix.len().min(60), taken);
    if own != tool.name {
        let _ = writeln!(text, "      rename: {own}");
    }
    let claim = claim(tool.annotations).map(|claim| format!("   # {claim}")).unwrap_or_default();
    let _ = write!(
        text,
        "      effect: write{claim}
      idempotency: {{ from: [{UNDECIDED}], argument: {UNDECIDED} }}
      access: {{ roles: [] }}
"
    );
    text
}

/// What the server says of a tool, for a person to believe or not.
fn claim(claims: Claims) -> Option<&'static str> {
    match (claims.read_only_hint, claims.destructive_hint) {
        (Some(true), _) => Some("the server says: read, which needs no `idempotency`"),
        (_, Some(true)) => Some("the server says: destructive, which needs an `approval` too"),
        (_, Some(false)) => Some("the server says: write"),
        _ => None,
    }
}

/// A name that agents can have, near to `name` and not yet taken.
fn fitting(name: &str, max_bytes: usize, taken: &mut BTreeSet<String>) -> String {
    let one = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let plain: String = name.chars().map(one).take(max_bytes).collect();
    let mut fitting = plain.clone();
    for number in 2_u32.. {
        if taken.insert(fitting.clone()) {
            break;
        }
        let end = format!("_{number}");
        fitting = plain.chars().take(max_bytes.saturating_sub(end.len())).collect::<String>() + &end;
    }
    fitting
}

/// Adds `words` as comments, in lines of bearable length.
pub(super) fn comment(text: &mut String, bullet: &str, words: &str) {
    let mut line = format!("# {bullet}");
    let begin = line.len();
    // A name from a client's file could hold anything; nothing of it ends the comment.
    let words = words.replace(|c: char| c.is_control(), " ");
    for word in words.split_whitespace() {
        if line.len() > begin && line.chars().count() + word.chars().count() >= LINE_CHARS {
            text.push_str(line.trim_end());
            text.push('\n');
            line = format!("# {}", " ".repeat(bullet.len()));
        }
        line.push_str(word);
        line.push(' ');
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// `text` in the double-quoted style of YAML 1.2, which takes the escapes of JSON.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    for character in serde_json::Value::from(text).to_string().chars() {
        match character {
            // Not printable in YAML, or a line break to some readers.
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            printable => quoted.push(printable),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tools_are_made_to_fit() {
        let mut taken = BTreeSet::new();
        let names: Vec<_> =
            ["a.b", "a-b", "a_b", "toolong"].iter().map(|n| fitting(n, 5, &mut taken)).collect();
        assert_eq!(names, ["a_b", "a_b_2", "a_b_3", "toolo"]);
    }

    #[test]
    fn whatever_a_name_holds_it_cannot_break_out_of_its_place() {
        let mut text = String::new();
        comment(&mut text, "- ", "one\nkind: Other\u{2028}\r\u{85}two");
        assert_eq!(text.lines().count(), 1, "{text}");
        let read: String = serde_saphyr::from_str(&quoted("a\"\n: \u{2028}\u{7f}é")).expect("YAML");
        assert_eq!(read, "a\"\n: \u{2028}\u{7f}é");
    }
}

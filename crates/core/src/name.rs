//! The names under which agents know tools, prompts and groups of resources.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// The name under which agents know a tool: `[a-z0-9_]`, at most 64 bytes, starting with a letter.
///
/// Codex replaces any other character by a hash, so other names would not be
/// the same for every client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ToolName(Arc<str>);

impl ToolName {
    /// Takes `name` as a tool's name.
    ///
    /// # Errors
    ///
    /// Says what a name may look like.
    pub fn parse(name: &str) -> Result<Self, String> {
        let fits = name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if fits {
            return Ok(Self(name.into()));
        }
        Err(format!(
            "`{}` is not a tool name: expected a letter and then at most 63 of a-z, 0-9 and _",
            name.escape_debug()
        ))
    }

    /// The name of the values for the arguments of what is called so; none if it would be too
    /// long. Then there are no values, which agents can do without.
    pub fn of_completion(&self) -> Option<Self> {
        Self::parse(&format!("{self}_completion")).ok()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as text that is shared, not copied.
    pub fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_name_is_one_that_every_client_shows_unchanged() {
        assert!(ToolName::parse("desk_get_ticket").is_ok());
        for bad in ["", "9lives", "a-b", "a.b", "Ärger", "get ticket", "_x", &"a".repeat(65)] {
            assert!(ToolName::parse(bad).is_err(), "{bad}");
        }
        let completion = |name: &str| ToolName::parse(name).expect("a name").of_completion();
        assert_eq!(completion("desk_review").expect("a name").as_str(), "desk_review_completion");
        assert_eq!(completion(&"a".repeat(60)), None);
    }
}

//! Where what a server answers comes from, and where what its tools are called with goes to.
//!
//! What a person wrote counts. Where nobody wrote anything the worse is taken: what a server says of itself
//! counts only where that server is trusted.

use quaymaster_core::{Destination, Effect, Trust};

use super::config::{McpSpec, McpToolConfig};

/// What the file of a server says of both.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ways {
    trust: Trust,
    destination: Option<Destination>,
}

impl Ways {
    /// Those of `spec`.
    pub fn of(spec: &McpSpec) -> Self {
        Self { trust: spec.trust, destination: spec.destination }
    }

    /// Who may have written what `tool` answers, and who may come to know what it is called with.
    /// `open_world` is what the server says of that (MCP 2026-07-28, server/tools, `openWorldHint`).
    pub fn of_tool(self, tool: &McpToolConfig, open_world: Option<bool>) -> (Trust, Destination) {
        let destination = tool.destination.unwrap_or_else(|| self.destination(tool.effect, open_world));
        (tool.trust.unwrap_or(self.trust), destination)
    }

    /// The same of prompts, resources and completions.
    pub fn of_reads(self) -> (Trust, Destination) {
        (self.trust, self.destination(Effect::Read, None))
    }

    /// The server itself comes to know what its tools are called with, whatever these answer.
    fn destination(self, effect: Effect, open_world: Option<bool>) -> Destination {
        self.destination.unwrap_or(match (self.trust, effect, open_world) {
            (Trust::Internal, Effect::Read, None) | (Trust::Internal, _, Some(false)) => {
                Destination::Internal
            }
            _ => Destination::Public,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_says_of_a_server_is_taken_for_the_worse() {
        let strange = Ways::default();
        let own = Ways { trust: Trust::Internal, destination: None };
        for effect in [Effect::Read, Effect::Write, Effect::Destructive] {
            for hint in [None, Some(true), Some(false)] {
                assert_eq!(strange.destination(effect, hint), Destination::Public, "{effect:?} {hint:?}");
                let inside = hint == Some(false) || (hint.is_none() && effect == Effect::Read);
                let expected = if inside { Destination::Internal } else { Destination::Public };
                assert_eq!(own.destination(effect, hint), expected, "{effect:?} {hint:?}");
                let said = Ways { destination: Some(Destination::Partner), ..own };
                assert_eq!(said.destination(effect, hint), Destination::Partner);
            }
        }
    }
}

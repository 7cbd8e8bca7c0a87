//! All that can be asked for. The part of it that one actor may see is in `view`.
//!
//! Invariant: an address leads to one group of resources of a workspace at most.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::{Kind, ToolDeclaration};

use crate::search::is_reserved;
use crate::tool::{Ruled, Tool};
use crate::view::View;

/// Why a declaration is not in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueProblem {
    /// The connector that declared the tool.
    pub connector: String,
    /// The tool's public name.
    pub tool: String,
    /// What is wrong.
    pub message: String,
}

/// Every tool of every connector, by name.
#[derive(Debug, Default)]
pub struct Catalogue {
    tools: BTreeMap<String, Arc<Tool>>,
}

impl Catalogue {
    /// Compiles declarations. What cannot be used is left out and reported; it
    /// takes nothing else down.
    pub fn build(declarations: impl IntoIterator<Item = ToolDeclaration>) -> (Self, Vec<CatalogueProblem>) {
        let mut catalogue = Self::default();
        let mut problems = Vec::new();
        for declaration in declarations {
            let (connector, name) = (declaration.connector.to_string(), declaration.name.to_string());
            let added = Tool::new(declaration).and_then(|tool| catalogue.add(tool));
            if let Err(message) = added {
                problems.push(CatalogueProblem { connector, tool: name, message });
            }
        }
        (catalogue, problems)
    }

    /// The same with what the rules change in what agents are told of each tool.
    #[must_use]
    pub fn with_rules(self, ruled: impl Fn(&Tool) -> Ruled) -> Self {
        let tools = self.tools.into_iter().filter_map(|(name, tool)| {
            let ruled = ruled(&tool);
            // What compiled once compiles again; what did not is not there.
            let anew = || Tool::ruled(tool.declaration().clone(), ruled).ok().map(Arc::new);
            let tool = if ruled == tool.rules() { Some(Arc::clone(&tool)) } else { anew() };
            tool.map(|tool| (name, tool))
        });
        Self { tools: tools.collect() }
    }

    fn add(&mut self, tool: Tool) -> Result<(), String> {
        let name = tool.name().to_string();
        if tool.kind() == Kind::Tool && is_reserved(&name) {
            return Err("the name is one of Quaymaster's own: give the tool another".into());
        }
        if let Some(other) = self.tools.values().find(|other| other.meets(&tool)) {
            return Err(format!(
                "its addresses may also be those of `{}` of connector `{}`: an address must lead to one of them",
                other.name(),
                other.declaration().connector
            ));
        }
        if let Some(other) = self.tools.get(&name) {
            return Err(format!(
                "connector `{}` already has one of this name",
                other.declaration().connector
            ));
        }
        self.tools.insert(name, Arc::new(tool));
        Ok(())
    }

    /// Everything that can be asked for, in the order of the names.
    pub fn offers(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }

    /// All tools in the order of their names.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values().filter(|tool| tool.kind() == Kind::Tool)
    }

    /// What is called `name`.
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.get(name)
    }

    /// What `may_see` lets through.
    pub fn view(&self, may_see: impl Fn(&Tool) -> bool) -> View {
        self.view_listing(may_see, |_, _| true)
    }

    /// What `may_see` lets through, and of the resources that are listed what `may_list` does.
    pub fn view_listing(
        &self,
        may_see: impl Fn(&Tool) -> bool,
        may_list: impl Fn(&Tool, &str) -> bool,
    ) -> View {
        let seen = self.tools.values().filter(|tool| may_see(tool));
        View::of(seen, may_list, |tool| tool.name().as_str())
    }
}

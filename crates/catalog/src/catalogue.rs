//! All tools, and the part of them that one actor may see.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::{CallError, CallRequest, ErrorCode, ToolDeclaration};

use crate::call::{Call, Unresolved};
use crate::tool::Tool;

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

    fn add(&mut self, tool: Tool) -> Result<(), String> {
        let name = tool.name().to_string();
        if let Some(other) = self.tools.get(&name) {
            return Err(format!(
                "connector `{}` already has a tool of this name",
                other.declaration().connector
            ));
        }
        self.tools.insert(name, Arc::new(tool));
        Ok(())
    }

    /// All tools in the order of their names.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }

    /// The tool called `name`.
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.get(name)
    }

    /// The tools that `may_see` lets through.
    pub fn view(&self, may_see: impl Fn(&Tool) -> bool) -> View {
        let tools: BTreeMap<String, Arc<Tool>> =
            self.tools.iter().filter(|(_, t)| may_see(t)).map(|(n, t)| (n.clone(), Arc::clone(t))).collect();
        let mut listing = String::from("[");
        for tool in tools.values() {
            if listing.len() > 1 {
                listing.push(',');
            }
            listing.push_str(tool.listing());
        }
        listing.push(']');
        View { tools, listing: listing.into() }
    }
}

/// What one actor may see. For it, nothing else exists.
#[derive(Debug)]
pub struct View {
    tools: BTreeMap<String, Arc<Tool>>,
    listing: Arc<str>,
}

impl View {
    /// The tools in the order of their names.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }

    /// The JSON array of `Tool` objects, ready for the wire.
    pub fn listing(&self) -> Arc<str> {
        Arc::clone(&self.listing)
    }

    /// Finds the tool that a request names: the first step of the path of a call.
    ///
    /// Hidden and unknown tools take the same way to the same answer.
    ///
    /// # Errors
    ///
    /// [`Unresolved`] with `tool.not_found`.
    pub fn resolve(&self, request: CallRequest) -> Result<Call, Unresolved> {
        match self.tools.get(&request.tool) {
            Some(tool) => Ok(Call { tool: Arc::clone(tool), request }),
            None => {
                let shown: String = request.tool.chars().take(64).flat_map(char::escape_debug).collect();
                let error = CallError::new(ErrorCode::ToolNotFound, format!("there is no tool `{shown}`"))
                    .hint("tools/list names the tools you may use");
                Err(Unresolved { request: Box::new(request), error })
            }
        }
    }
}

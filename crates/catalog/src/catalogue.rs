//! All that can be asked for, and the part of it that one actor may see.
//!
//! Invariant: an address leads to one group of resources of a workspace at most.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::{CallError, CallRequest, Completed, ErrorCode, Kind, Offer, ToolDeclaration};

use crate::call::{Call, Unresolved};
use crate::search::{Lookup, is_reserved};
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
        let mut view = View::default();
        for (name, tool) in self.tools.iter().filter(|(_, tool)| may_see(tool)) {
            let tool = Arc::clone(tool);
            match tool.kind() {
                Kind::Tool => _ = view.tools.insert(name.clone(), tool),
                Kind::Prompt => _ = view.prompts.insert(name.clone(), tool),
                Kind::Resource => view.resources.push(tool),
                Kind::Completion => view.completions.push(tool),
            }
        }
        // What completes something that is hidden is hidden with it.
        let View { prompts, resources, completions, .. } = &mut view;
        completions.retain(|offer| match &offer.declaration().offer {
            Offer::Completion(Completed::Prompt(name)) => prompts.contains_key(name.as_str()),
            Offer::Completion(Completed::Resource(pattern)) => {
                resources.iter().any(|group| group.is_of(pattern))
            }
            _ => false,
        });
        view.shelves = Shelves {
            tools: array(view.tools.values().map(|tool| tool.listing())),
            prompts: array(view.prompts.values().map(|prompt| prompt.listing())),
            resources: array(view.resources.iter().flat_map(|group| {
                group.listed().filter(|(uri, _)| may_list(group, uri)).map(|(_, object)| object)
            })),
            templates: array(view.resources.iter().flat_map(|group| group.templates())),
        };
        view
    }
}

fn array<'a>(items: impl Iterator<Item = &'a str>) -> Arc<str> {
    let mut array = String::from("[");
    for item in items {
        if array.len() > 1 {
            array.push(',');
        }
        array.push_str(item);
    }
    array.push(']');
    array.into()
}

/// The lists that MCP has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    ResourceTemplates,
}

#[derive(Debug, Default)]
struct Shelves {
    tools: Arc<str>,
    prompts: Arc<str>,
    resources: Arc<str>,
    templates: Arc<str>,
}

/// What one actor may see. For it, nothing else exists.
#[derive(Debug, Default)]
pub struct View {
    tools: BTreeMap<String, Arc<Tool>>,
    prompts: BTreeMap<String, Arc<Tool>>,
    resources: Vec<Arc<Tool>>,
    completions: Vec<Arc<Tool>>,
    shelves: Shelves,
    pub(crate) lookup: Lookup,
}

impl View {
    /// The tools in the order of their names.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }

    /// Everything that can be asked for: tools, prompts and groups of resources.
    pub fn offers(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values().chain(self.prompts.values()).chain(&self.resources).chain(&self.completions)
    }

    /// The JSON array of `Tool` objects, ready for the wire.
    pub fn listing(&self) -> Arc<str> {
        self.list(Shelf::Tools)
    }

    /// The JSON array of a list's objects, ready for the wire.
    pub fn list(&self, which: Shelf) -> Arc<str> {
        let Shelves { tools, prompts, resources, templates } = &self.shelves;
        Arc::clone(match which {
            Shelf::Tools => tools,
            Shelf::Prompts => prompts,
            Shelf::Resources => resources,
            Shelf::ResourceTemplates => templates,
        })
    }

    /// Whether there are values for the arguments of some prompt or template.
    pub fn completes(&self) -> bool {
        !self.completions.is_empty()
    }

    /// Whether the tool called `name` can be called as a task; without a name, whether one can.
    pub fn takes_tasks(&self, name: Option<&str>) -> bool {
        let takes = |tool: &Arc<Tool>| tool.declaration().tasks;
        match name {
            Some(name) => self.tool(name).is_some_and(takes),
            None => self.tools.values().any(takes),
        }
    }

    /// The group of resources that `uri` belongs to, if it is in this view.
    pub fn resource(&self, uri: &str) -> Option<&Arc<Tool>> {
        self.resources.iter().find(|group| group.holds(uri))
    }

    /// The tool called `name`, if it is in this view.
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.get(name)
    }

    fn find(&self, request: &CallRequest) -> Option<&Arc<Tool>> {
        match request.kind {
            Kind::Tool => self.tools.get(&request.tool),
            Kind::Prompt => self.prompts.get(&request.tool),
            Kind::Resource => self.resource(&request.tool),
            Kind::Completion => self.completions.iter().find(|offer| offer.completes(&request.tool)),
        }
    }

    /// Finds what a request names: the first step of the path of a call.
    ///
    /// What is hidden and what is unknown take the same way to the same answer.
    ///
    /// # Errors
    ///
    /// [`Unresolved`] with `tool.not_found`.
    pub fn resolve(&self, request: CallRequest) -> Result<Call, Unresolved> {
        match self.find(&request) {
            Some(tool) => Ok(Call { tool: Arc::clone(tool), request }),
            None => {
                let shown: String = request.tool.chars().take(64).flat_map(char::escape_debug).collect();
                let kind = request.kind.as_str();
                let hint = match request.kind {
                    Kind::Tool => "tools/list names the tools you may use",
                    Kind::Prompt => "prompts/list names the prompts you may use",
                    Kind::Completion => "the prompts and templates of your lists may have values",
                    Kind::Resource => "resources/list and resources/templates/list name those you may read",
                };
                let error = CallError::new(ErrorCode::ToolNotFound, format!("there is no {kind} `{shown}`"))
                    .hint(hint);
                Err(Unresolved { request: Box::new(request), error })
            }
        }
    }
}

//! The part of the catalogue that one actor may see, and what of it one route shows.
//!
//! Invariants:
//! - Only [`View::resolve`] makes a [`Call`], whose request names what is called by its
//!   full name, whatever it was called on the route.
//! - A tool that is quarantined is in no list and in no search; whoever may see it can name it, and is
//!   told why it is not called.
//! - What is seen of one connector is a part of what is seen at all: it is made of the
//!   view and of nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::setting::Slug;
use quaymaster_core::{CallError, CallRequest, Completed, ErrorCode, Kind, Memory, Offer};

use crate::call::{Call, Unresolved};
use crate::own::{AWAIT_APPROVAL, await_approval};
use crate::search::Lookup;
use crate::shelf::{Listing, Page, Shelf};
use crate::tool::Tool;

/// How a request for values begins whose reference is a prompt's.
const PROMPT: &str = "prompt:";

#[derive(Debug, Default)]
struct Shelves {
    tools: Listing,
    prompts: Listing,
    resources: Listing,
    templates: Listing,
}

/// What one actor may see. For it, nothing else exists.
#[derive(Debug, Default)]
pub struct View {
    /// By the names that are shown.
    tools: BTreeMap<String, Arc<Tool>>,
    prompts: BTreeMap<String, Arc<Tool>>,
    resources: Vec<Arc<Tool>>,
    completions: Vec<Arc<Tool>>,
    shelves: Shelves,
    /// Whether somebody may have to agree to some of it.
    awaits: bool,
    pub(crate) lookup: Lookup,
    /// What is seen of connectors by themselves, as far as somebody asked.
    parts: Memory<Slug, Arc<View>>,
}

impl View {
    /// A view of `offers`, each under the name that `name` gives, with those of the resources
    /// that `may_list` lets through.
    pub(crate) fn of<'a>(
        offers: impl Iterator<Item = &'a Arc<Tool>>,
        may_list: impl Fn(&Tool, &str) -> bool,
        name: impl for<'t> Fn(&'t Tool) -> &'t str,
    ) -> Self {
        let mut view = Self::default();
        for tool in offers {
            let (name, tool) = (name(tool).to_owned(), Arc::clone(tool));
            match tool.kind() {
                Kind::Tool => _ = view.tools.insert(name, tool),
                Kind::Prompt => _ = view.prompts.insert(name, tool),
                Kind::Resource => view.resources.push(tool),
                Kind::Completion => view.completions.push(tool),
            }
        }
        view.hide_completions();
        view.shelves = Shelves {
            tools: named(&view.tools),
            prompts: named(&view.prompts),
            resources: Listing::new(view.resources.iter().flat_map(|group| {
                let listed = group.listed().filter(|(uri, _)| may_list(group, uri));
                listed.map(|(uri, object)| (uri.to_owned(), Cow::Borrowed(object)))
            })),
            templates: Listing::new(view.resources.iter().flat_map(|group| {
                group.templates().map(|(pattern, object)| (pattern.to_owned(), Cow::Borrowed(object)))
            })),
        };
        view
    }

    /// The same for whoever may have to wait until somebody agrees: with the tool to do so.
    #[must_use]
    pub fn awaiting(mut self) -> Self {
        self.awaits = true;
        let own = (AWAIT_APPROVAL.to_owned(), Cow::Owned(await_approval().to_string()));
        let tools = listed(&self.tools).map(|(name, tool)| (name.clone(), tool.listing_as(name)));
        self.shelves.tools = Listing::new(tools.chain(std::iter::once(own)));
        self
    }

    /// Whether somebody may have to agree to some of it.
    pub fn awaits(&self) -> bool {
        self.awaits
    }

    /// What completes something that is hidden is hidden with it.
    fn hide_completions(&mut self) {
        let Self { prompts, resources, completions, .. } = self;
        completions.retain(|offer| match &offer.declaration().offer {
            Offer::Completion(Completed::Prompt(name)) => {
                prompts.values().any(|prompt| prompt.name() == name)
            }
            Offer::Completion(Completed::Resource(pattern)) => {
                resources.iter().any(|group| group.is_of(pattern))
            }
            _ => false,
        });
    }

    /// What is seen of one connector, by names without `prefix`, which is how its names begin.
    ///
    /// Of a connector that is hidden, or that does not exist, the same is seen: nothing.
    pub fn of_connector(&self, connector: &Slug, prefix: &str) -> Arc<Self> {
        if let Some(known) = self.parts.get(connector) {
            return known;
        }
        let mut own = self.offers().filter(|tool| tool.declaration().connector == *connector).peekable();
        if own.peek().is_none() {
            // Anybody can make up names, so nothing is kept for those.
            return Arc::default();
        }
        let listed = |_: &Tool, uri: &str| self.shelves.resources.has(uri);
        let part = Self::of(own, listed, |tool| without(prefix, tool.name().as_str()));
        let part = Arc::new(if self.awaits { part.awaiting() } else { part });
        self.parts.insert(connector.clone(), Arc::clone(&part));
        part
    }

    /// The tools that are listed, in the order of their names.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        listed(&self.tools).map(|(_, tool)| tool)
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
        self.shelf(which).text()
    }

    /// At most `size` objects of a list, behind the one with the key `after`: a name, an address,
    /// or the pattern of a template.
    pub fn page(&self, which: Shelf, after: Option<&str>, size: usize) -> Page {
        self.shelf(which).page(after, size)
    }

    fn shelf(&self, which: Shelf) -> &Listing {
        let Shelves { tools, prompts, resources, templates } = &self.shelves;
        match which {
            Shelf::Tools => tools,
            Shelf::Prompts => prompts,
            Shelf::Resources => resources,
            Shelf::ResourceTemplates => templates,
        }
    }

    /// Whether something of `connector` is shown in a list.
    pub fn shows(&self, connector: &str, which: Shelf) -> bool {
        let is_of = |tool: &Arc<Tool>| tool.declaration().connector.as_str() == connector;
        match which {
            Shelf::Tools => self.tools.values().any(is_of),
            Shelf::Prompts => self.prompts.values().any(is_of),
            Shelf::Resources => {
                let is_listed =
                    |group: &Arc<Tool>| group.listed().any(|(uri, _)| self.shelves.resources.has(uri));
                self.resources.iter().any(|group| is_of(group) && is_listed(group))
            }
            Shelf::ResourceTemplates => {
                self.resources.iter().any(|group| is_of(group) && group.templates().next().is_some())
            }
        }
    }

    /// Whether there are values for the arguments of some prompt or template.
    pub fn completes(&self) -> bool {
        !self.completions.is_empty()
    }

    /// Whether the tool called `name` can be called as a task; without a name, whether one can.
    pub fn takes_tasks(&self, name: Option<&str>) -> bool {
        let takes = |tool: &Arc<Tool>| tool.takes_tasks();
        match name {
            Some(name) => self.tool(name).is_some_and(takes),
            None => self.tools.values().any(takes),
        }
    }

    /// The group of resources that `uri` belongs to, if it is in this view.
    pub fn resource(&self, uri: &str) -> Option<&Arc<Tool>> {
        self.resources.iter().find(|group| group.holds(uri))
    }

    /// The tool that is shown as `name`, if it is in this view.
    pub fn tool(&self, name: &str) -> Option<&Arc<Tool>> {
        self.tools.get(name)
    }

    fn completion(&self, reference: &str) -> Option<&Arc<Tool>> {
        let prompt = reference.strip_prefix(PROMPT).map(|name| self.prompts.get(name));
        let full = match prompt {
            Some(prompt) => Cow::Owned(format!("{PROMPT}{}", prompt?.name())),
            None => Cow::Borrowed(reference),
        };
        self.completions.iter().find(|offer| offer.completes(&full))
    }

    fn find(&self, request: &CallRequest) -> Option<&Arc<Tool>> {
        match request.kind {
            Kind::Tool => self.tools.get(&request.tool),
            Kind::Prompt => self.prompts.get(&request.tool),
            Kind::Resource => self.resource(&request.tool),
            Kind::Completion => self.completion(&request.tool),
        }
    }

    /// Finds what a request names: the first step of the path of a call.
    ///
    /// What is hidden and what is unknown take the same way to the same answer.
    ///
    /// # Errors
    ///
    /// [`Unresolved`] with `tool.not_found`.
    pub fn resolve(&self, mut request: CallRequest) -> Result<Call, Unresolved> {
        match self.find(&request) {
            Some(tool) => {
                let tool = Arc::clone(tool);
                if let Some(full) = full_name(&tool).filter(|full| **full != request.tool) {
                    request.tool = full.into_owned();
                }
                Ok(Call { request, tool })
            }
            None => Err(unresolved(request)),
        }
    }
}

/// A list of things that have names, by the names that are shown.
fn named(offers: &BTreeMap<String, Arc<Tool>>) -> Listing {
    Listing::new(listed(offers).map(|(name, tool)| (name.clone(), tool.listing_as(name))))
}

/// Those that are not quarantined.
fn listed(offers: &BTreeMap<String, Arc<Tool>>) -> impl Iterator<Item = (&String, &Arc<Tool>)> {
    offers.iter().filter(|(_, tool)| tool.quarantine().is_none())
}

fn without<'a>(prefix: &str, name: &'a str) -> &'a str {
    let short = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
    short.filter(|short| !prefix.is_empty() && !short.is_empty()).unwrap_or(name)
}

/// What a request for it names on the route to everything; none where every route has one name.
fn full_name(tool: &Tool) -> Option<Cow<'_, str>> {
    match &tool.declaration().offer {
        Offer::Tool | Offer::Prompt => Some(Cow::Borrowed(tool.name().as_str())),
        Offer::Completion(of) => Some(Cow::Owned(of.reference())),
        Offer::Resources(_) => None,
    }
}

fn unresolved(request: CallRequest) -> Unresolved {
    let shown: String = request.tool.chars().take(64).flat_map(char::escape_debug).collect();
    let kind = request.kind.as_str();
    let hint = match request.kind {
        Kind::Tool => "tools/list names the tools you may use",
        Kind::Prompt => "prompts/list names the prompts you may use",
        Kind::Completion => "the prompts and templates of your lists may have values",
        Kind::Resource => "resources/list and resources/templates/list name those you may read",
    };
    let error = CallError::new(ErrorCode::ToolNotFound, format!("there is no {kind} `{shown}`")).hint(hint);
    Unresolved { request: Box::new(request), error: Box::new(error) }
}

//! Everything that a call is governed by, as it stood when the call began.
//!
//! A plane never changes. A new configuration, or an upstream whose tools
//! changed, makes a new plane; calls that run go on with the one they began on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quaymaster_catalog::own::AWAIT_APPROVAL;
use quaymaster_catalog::{Catalogue, Page, Shelf, Tool, View};
use quaymaster_connectors::mcp::{Announced, Watch};
use quaymaster_connectors::{Connector, Connectors};
use quaymaster_control::{Evidence, Guards, Rulebook, may_read};
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, Caller, Memory, PerActor, Reach, ToolName};
use tokio_util::task::TaskTracker;

use crate::finder::Finding;
use crate::integrity::Standing;
use crate::people::People;
use crate::upstreams::{Expected, servers};

/// Catalogue, rules, systems and evidence of one configuration.
#[derive(Debug)]
pub struct Plane {
    pub(crate) catalogue: Catalogue,
    pub(crate) rulebook: Rulebook,
    pub(crate) connectors: Connectors,
    pub(crate) people: People,
    pub(crate) evidence: Evidence,
    pub(crate) guards: Guards,
    /// The calls that run on this plane.
    pub(crate) calls: TaskTracker,
    /// Who searches for tools instead of listing them.
    pub(crate) finding: Finding,
    /// What should be there beside what is.
    pub(crate) expected: Expected,
    /// How the tools of MCP servers stand to what was accepted of them.
    pub(crate) standings: Arc<[Standing]>,
    /// How the names of each connector begin.
    prefixes: BTreeMap<Slug, String>,
    /// What each actor sees; none where that depends on when it is asked.
    views: PerActor<Option<Arc<View>>>,
    /// The views by the names of what they show: who sees the same shares one, with its index.
    shared: Memory<BTreeSet<String>, Arc<View>>,
}

impl Plane {
    pub(crate) fn new(
        catalogue: Catalogue,
        rulebook: Rulebook,
        connectors: Connectors,
        people: People,
        (evidence, guards): (Evidence, Guards),
    ) -> Self {
        let (calls, views) = (TaskTracker::new(), PerActor::default());
        let (finding, expected, shared) = (Finding::default(), Expected::default(), Memory::default());
        let (prefixes, standings) = (BTreeMap::new(), Arc::default());
        Self {
            catalogue,
            rulebook,
            connectors,
            people,
            evidence,
            guards,
            calls,
            finding,
            expected,
            standings,
            prefixes,
            views,
            shared,
        }
    }

    /// The same with a search instead of long lists.
    pub(crate) fn with_finding(self, finding: Finding) -> Self {
        Self { finding, ..self }
    }

    /// The same with what should be there.
    pub(crate) fn with_expected(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// The same with how its tools stand to what was accepted of them.
    pub(crate) fn with_standings(self, standings: Arc<[Standing]>) -> Self {
        Self { standings, ..self }
    }

    /// The same with connectors whose names begin so; on their own routes they do not.
    pub(crate) fn with_prefixes(self, prefixes: BTreeMap<Slug, String>) -> Self {
        Self { prefixes, ..self }
    }

    /// Whether the configuration has a connector of this name. For the people who run the
    /// gateway: whoever calls learns of a connector by what they may see of it.
    pub fn has_connector(&self, name: &Slug) -> bool {
        self.prefixes.contains_key(name)
    }

    /// All tools, whoever may see them. For those who publish tools, not for agents.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What `actor` may see: tools of its workspace of which some call could be permitted, and of
    /// their resources those that it may read now. Whether a tool is hidden or does not exist takes
    /// the same time.
    pub fn view(&self, actor: &Actor) -> Arc<View> {
        let lasting = self.views.get_or_make(actor, || {
            let (view, lasts) = self.view_now(actor);
            lasts.then_some(view)
        });
        lasting.unwrap_or_else(|| self.view_now(actor).0)
    }

    /// The same, made now; and whether it will be the same at any other time.
    fn view_now(&self, actor: &Actor) -> (Arc<View>, bool) {
        let (policies, now) = (self.rulebook.policies(), self.evidence.clock.now());
        let seen = self.catalogue.offers().filter(|tool| {
            tool.declaration().workspaces.contains(&actor.workspace) && policies.could_permit(actor, tool)
        });
        let (mut shown, mut awaits, mut lasts) = (BTreeSet::new(), false, true);
        for tool in seen {
            let name = tool.name();
            awaits |= policies.may_need_approval(tool);
            shown.insert(name.to_string());
            lasts &= tool.listed().next().is_none() || !policies.asks_time(tool);
            let listed = tool.listed().filter(|(uri, _)| may_read(actor, tool, uri, &self.rulebook, now));
            shown.extend(listed.map(|(uri, _)| place(name, uri)));
        }
        if awaits {
            shown.insert(AWAIT_APPROVAL.to_owned());
        }
        let view = self.shared.get(&shown).unwrap_or_else(|| {
            let is_seen = |tool: &Tool| shown.contains(tool.name().as_str());
            let is_listed = |tool: &Tool, uri: &str| shown.contains(&place(tool.name(), uri));
            let view = self.catalogue.view_listing(is_seen, is_listed);
            let view = Arc::new(if awaits { view.awaiting() } else { view });
            self.shared.insert(shown.clone(), Arc::clone(&view));
            view
        });
        (view, lasts)
    }

    /// What `actor` may see of what `reach` leads to. Of a connector that is hidden, or that
    /// does not exist, the same is seen: nothing.
    pub(crate) fn reached(&self, actor: &Actor, reach: &Reach) -> Arc<View> {
        let view = self.view(actor);
        match reach {
            Reach::All => view,
            Reach::One(connector) => {
                let prefix = self.prefixes.get(connector).map_or("", String::as_str);
                view.of_connector(connector, prefix)
            }
        }
    }

    /// Watches a resource, without a record (see `watch`), that `actor` may read; none if there is no such, or it cannot
    /// be watched.
    pub(crate) fn watch(&self, actor: &Actor, reach: &Reach, uri: &str) -> Option<Watch> {
        let (view, now) = (self.reached(actor, reach), self.evidence.clock.now());
        let group = view.resource(uri).filter(|group| may_read(actor, group, uri, &self.rulebook, now))?;
        match self.connectors.connector(&group.declaration().connector)? {
            Connector::Mcp(upstream) => upstream.watch(actor, uri),
            Connector::Sql(_) => None,
        }
    }

    /// Whether `actor` could watch the resource at `uri`.
    pub fn watched_by(&self, actor: &Actor, uri: &str) -> bool {
        self.watch(actor, &Reach::All, uri).is_some()
    }

    /// What `caller` is shown of a list: a JSON array of its objects.
    pub(crate) fn list(&self, caller: &Caller, list: Shelf) -> Arc<str> {
        let view = self.reached(caller, &caller.reach);
        self.searched(caller, &view, list).unwrap_or_else(|| view.list(list))
    }

    /// The part of that list which is sent at once, behind the key `after`. None if the list has
    /// one part alone, as the short list of those who search has.
    pub(crate) fn page(&self, caller: &Caller, list: Shelf, after: Option<&str>) -> Option<Page> {
        let view = self.reached(caller, &caller.reach);
        match self.searched(caller, &view, list) {
            Some(short) => after.is_none().then(|| Page::whole(short)),
            None => Some(view.page(list, after, self.finding.page_size(&caller.workspace))),
        }
    }

    /// How often servers said that their lists had changed though they had not, of servers of
    /// which `caller` is shown something in that list.
    pub(crate) fn announced(&self, caller: &Caller) -> Announced {
        let told: Vec<(&str, Announced)> = servers(&self.connectors)
            .map(|server| (server.name(), server.announced_so_far()))
            .filter(|(_, announced)| *announced != Announced::default())
            .collect();
        let mut all = Announced::default();
        if told.is_empty() {
            return all;
        }
        let view = self.reached(caller, &caller.reach);
        // Whoever searches is shown no tool of any server.
        let lists_tools = self.searched(caller, &view, Shelf::Tools).is_none();
        for (name, announced) in told {
            let count = |n: u64, shelves: &[Shelf]| {
                if n > 0 && shelves.iter().any(|shelf| view.shows(name, *shelf)) { n } else { 0 }
            };
            if lists_tools {
                all.tools += count(announced.tools, &[Shelf::Tools]);
            }
            all.prompts += count(announced.prompts, &[Shelf::Prompts]);
            all.resources += count(announced.resources, &[Shelf::Resources, Shelf::ResourceTemplates]);
        }
        all
    }

    /// The list of tools for a caller who searches. Nobody does among those of one connector.
    fn searched(&self, caller: &Caller, view: &View, list: Shelf) -> Option<Arc<str>> {
        let may_search = list == Shelf::Tools && caller.reach == Reach::All;
        may_search.then(|| self.finding.short_listing(caller, view)).flatten()
    }
}

/// A listed resource of a group, told apart from every name: no name has a space.
fn place(name: &ToolName, uri: &str) -> String {
    format!("{name} {uri}")
}

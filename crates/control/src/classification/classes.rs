//! A classification, checked: the levels, and what it says of each tool.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use quaymaster_catalog::Tool;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, Gate, Handling};
use quaymaster_redaction::{Engine, KindSet};

use super::levels::{Bounds, Level, Levels, Mark, crosses};
use super::names::{ClassProblem, KnownNames, Problems};
use super::tool::{Target, ToolClasses, is_about};
use super::{ClassificationConfig, Purpose, RuleConfig, ToolConfig};

/// Most rules, and most tools, of a classification.
const MAX_ENTRIES: usize = 2_000;

/// A classification at work. The default is that of an installation without one.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    pub(crate) levels: Levels,
    rules: Vec<(RuleConfig, Target, Option<Level>, Option<u16>)>,
    tools: HashMap<String, ToolConfig>,
    jurisdictions: Vec<Slug>,
    /// The jurisdictions of workspaces.
    places: BTreeMap<Slug, Slug>,
    gates: Vec<(Level, Gate)>,
}

impl Classes {
    /// Checks `config`, for an installation in which there is what `known` names; without one, names are
    /// taken on trust. `engine` is what detects.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub fn new(
        config: &ClassificationConfig,
        engine: &Engine,
        known: Option<&KnownNames>,
    ) -> Result<Self, Vec<ClassProblem>> {
        let mut problems = Problems::default();
        let mut classes = Self::default();
        if let Some(names) = &config.levels {
            match Levels::parse(names) {
                Ok(levels) => classes.levels = levels,
                Err(message) => problems.add("levels", message),
            }
        }
        classes.read_handling(config, known, &mut problems);
        for (name, count) in [("rules", config.rules.len()), ("tools", config.tools.len())] {
            if count > MAX_ENTRIES {
                problems.add(name, "there are more than 2,000 entries");
            }
        }
        for (at, rule) in config.rules.iter().enumerate() {
            classes.read_rule(&format!("rules[{at}]"), rule, (engine, known), &mut problems);
        }
        for (at, tool) in config.tools.iter().enumerate() {
            classes.read_tool(&format!("tools[{at}]"), tool, known, &mut problems);
        }
        let places = known.into_iter().flat_map(|known| &known.workspaces);
        classes.places = places.filter_map(|(name, place)| Some((name.clone(), place.clone()?))).collect();
        if problems.0.is_empty() { Ok(classes) } else { Err(problems.0) }
    }

    fn read_handling(
        &mut self,
        config: &ClassificationConfig,
        known: Option<&KnownNames>,
        problems: &mut Problems,
    ) {
        for (name, handling) in &config.handling {
            let path = format!("handling.{name}");
            problems.expect(&path, "level", name.as_str(), self.levels.names());
            let Some(level) = self.levels.named(name.as_str()) else { continue };
            let approval = handling.approval.as_ref();
            let by_approval = approval.map(quaymaster_core::connector::ApprovalConfig::named_roles);
            let roles = handling.roles.iter().map(|roles| ("roles".to_owned(), roles.as_slice()));
            let named = by_approval.into_iter().flatten();
            let named = named.map(|(below, roles)| (format!("approval.{below}"), roles));
            for (below, roles) in roles.chain(named) {
                for (at, role) in roles.iter().enumerate() {
                    if let Some(known) = known {
                        let known = known.roles.iter().map(String::as_str);
                        problems.expect(format!("{path}.{below}[{at}]"), "role", role.as_str(), known);
                    }
                }
            }
            for (member, is_empty) in [
                ("roles", handling.roles.as_ref().is_some_and(Vec::is_empty)),
                ("jurisdictions", handling.jurisdictions.as_ref().is_some_and(Vec::is_empty)),
            ] {
                if is_empty {
                    problems.add(format!("{path}.{member}"), "name at least one, or leave it out for all");
                }
            }
            if approval.is_some() && !handling.cache {
                let message = "what has waited for an approval is kept for whoever asked, so it has to be";
                problems.add(format!("{path}.cache"), message);
            }
            match approval.map(Gate::try_from) {
                Some(Ok(gate)) => self.gates.push((level, gate)),
                Some(Err(message)) => problems.add(format!("{path}.approval"), message),
                None => {}
            }
            self.levels.handle(level, handling.clone());
        }
    }

    fn read_rule(
        &mut self,
        path: &str,
        rule: &RuleConfig,
        (engine, known): (&Engine, Option<&KnownNames>),
        problems: &mut Problems,
    ) {
        if let Some(known) = known {
            let connectors = known.connectors.iter().map(String::as_str);
            let tools = known.tools.iter().map(String::as_str);
            if let Some(name) = &rule.connector {
                problems.expect(format!("{path}.connector"), "connector", name.as_str(), connectors);
            }
            if let Some(name) = &rule.tool {
                problems.expect(format!("{path}.tool"), "tool", name, tools);
            }
        }
        if let Some(level) = &rule.level {
            problems.expect(format!("{path}.level"), "level", level.as_str(), self.levels.names());
        }
        let target = match Target::of(rule) {
            Ok(target) => target,
            Err(("", message)) => return problems.add(path, message),
            Err((member, message)) => return problems.add(format!("{path}.{member}"), message),
        };
        if let Target::Detector(kind) = target
            && !engine.looks_for(kind)
        {
            let message = format!("`{kind}` is not looked for, so the rule would never hold");
            problems.add_with_help(
                format!("{path}.detector"),
                message,
                Some(format!("let `redaction.kinds.{kind}` be `allow` instead of `off`")),
            );
        }
        match (&target, rule.level.is_some(), rule.jurisdiction.is_some()) {
            (_, false, false) => problems.add(path, "a rule says a `level`, a `jurisdiction` or both"),
            (Target::All, true, _) if rule.connector.is_none() && rule.tool.is_none() => {
                let help = "to raise all data of a connector, name the connector";
                problems.add_with_help(path, "a rule names the data that it is about", Some(help.into()));
            }
            (Target::All, ..) => {}
            (_, false, true) => {
                problems.add(path, "a rule about single fields says their `level`");
            }
            _ => {}
        }
        let level = rule.level.as_ref().and_then(|level| self.levels.named(level.as_str()));
        let jurisdiction = rule.jurisdiction.as_ref().map(|place| self.jurisdiction(place));
        self.rules.push((rule.clone(), target, level, jurisdiction));
    }

    fn jurisdiction(&mut self, place: &Slug) -> u16 {
        let at = self.jurisdictions.iter().position(|known| known == place);
        let at = at.unwrap_or_else(|| {
            self.jurisdictions.push(place.clone());
            self.jurisdictions.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    fn read_tool(
        &mut self,
        path: &str,
        tool: &ToolConfig,
        known: Option<&KnownNames>,
        problems: &mut Problems,
    ) {
        if let Some(known) = known {
            let known = known.tools.iter().map(String::as_str);
            problems.expect(format!("{path}.tool"), "tool", &tool.tool, known);
        }
        if let Some(level) = &tool.accepts {
            problems.expect(format!("{path}.accepts"), "level", level.as_str(), self.levels.names());
        }
        for (at, kind) in tool.restores.iter().enumerate() {
            if kind.is_secret() {
                let message = "a secret is never handed back";
                problems.add(format!("{path}.restores[{at}]"), message);
            }
        }
        if self.tools.insert(tool.tool.clone(), tool.clone()).is_some() {
            problems.add(format!("{path}.tool"), format!("there are two entries for tool `{}`", tool.tool));
        }
    }

    /// Whether placeholders are put back in the arguments of some tool.
    pub fn restores(&self) -> bool {
        self.tools.values().any(|tool| !tool.restores.is_empty())
    }

    /// What is said of the data of `tool`.
    pub(crate) fn of_tool(&self, tool: &Tool) -> ToolClasses {
        let (declaration, name) = (tool.declaration(), tool.name().as_str());
        let declared = &declaration.classification;
        let allowed = declared.columns.iter().chain(&declared.fields);
        let allowed = allowed.filter(|rule| rule.action == Handling::Allow).map(|rule| rule.class);
        let allowed = allowed.chain([declared.default]).map(|class| self.levels.of_class(class));
        let mut of_tool = ToolClasses { declared: allowed.collect(), ..ToolClasses::default() };
        if let Some(config) = self.tools.get(name) {
            of_tool.purpose = config.purpose;
            of_tool.accepts = config.accepts.as_ref().and_then(|level| self.levels.named(level.as_str()));
            of_tool.restores = config.restores.iter().copied().collect::<KindSet>();
        }
        let about = |(rule, ..): &&(RuleConfig, Target, Option<Level>, Option<u16>)| {
            is_about(rule, &declaration.connector, name)
        };
        let whole = |(_, target, ..): &&(RuleConfig, Target, Option<Level>, Option<u16>)| {
            matches!(target, Target::All)
        };
        let mut whole: Vec<_> = self.rules.iter().filter(about).filter(whole).collect();
        // Where a rule names the tool, its word on where the data belongs is the last.
        whole.sort_by_key(|(rule, ..)| rule.tool.is_some());
        for (.., level, jurisdiction) in whole {
            of_tool.raised = of_tool.raised.max(*level);
            of_tool.jurisdiction = jurisdiction.or(of_tool.jurisdiction);
        }
        of_tool.declared.extend(of_tool.raised);
        of_tool.jurisdictions.extend(of_tool.jurisdiction);
        for (rule, target, level, jurisdiction) in self.rules.iter().filter(about) {
            let Some(level) = *level else { continue };
            let mark = Mark { level, jurisdiction: jurisdiction.or(of_tool.jurisdiction) };
            match target {
                Target::All => continue,
                Target::Path(path) => of_tool.paths.push((path.clone(), mark)),
                Target::Column(column) => of_tool.columns.push((column.clone(), mark)),
                Target::Field(words) => of_tool.names.push((words.clone(), mark)),
                Target::Detector(kind) => of_tool.kinds.push((*kind, mark)),
            }
            if rule.connector.is_some() || rule.tool.is_some() {
                of_tool.declared.insert(level);
                of_tool.jurisdictions.extend(mark.jurisdiction);
            }
        }
        of_tool
    }

    /// The names of the levels that data of `tool` is declared to have and that its connector does not drop, in
    /// their order.
    pub(crate) fn declared_levels(&self, tool: &Tool) -> Vec<String> {
        self.of_tool(tool).declared.iter().map(|level| self.levels.name(*level).to_string()).collect()
    }

    /// Whether data of `tool` is declared to belong to another jurisdiction than `workspace`, and the names
    /// of all that it is declared to belong to.
    pub(crate) fn whereabouts(&self, tool: &Tool, workspace: &Slug) -> (bool, Vec<&str>) {
        let place = self.place(workspace).1;
        let all = self.of_tool(tool).jurisdictions;
        let crosses = all.iter().any(|data| crosses(Some(*data), place));
        let name = |at: u16| self.jurisdictions.get(usize::from(at)).map(Slug::as_str);
        (crosses, all.into_iter().filter_map(name).collect())
    }

    /// The jurisdiction of a workspace, and its number if data belongs there.
    pub(crate) fn place(&self, workspace: &Slug) -> (Option<&Slug>, Option<u16>) {
        let place = self.places.get(workspace);
        let at = place.and_then(|place| self.jurisdictions.iter().position(|known| known == place));
        (place, at.and_then(|at| u16::try_from(at).ok()))
    }

    /// Who has to agree to a call of `tool` for what it may release, each with the level.
    pub(crate) fn gates(&self, tool: &Tool) -> impl Iterator<Item = (&str, &Gate)> {
        let declared = if self.gates.is_empty() { None } else { Some(self.of_tool(tool).declared) };
        let needed = self
            .gates
            .iter()
            .filter(move |(level, _)| declared.as_ref().is_some_and(|declared| declared.contains(level)));
        needed.map(|(level, gate)| (self.levels.name(*level).as_ref(), gate))
    }

    /// What `actor` may have of what a tool of this purpose releases; to the levels in `agreed`, those who have to
    /// have agreed.
    pub(crate) fn bounds(&self, actor: &Actor, purpose: Purpose, agreed: Option<&BTreeSet<Level>>) -> Bounds {
        let bounds = self.levels.bounds(actor, purpose, self.place(&actor.workspace));
        let is_agreed = |level: &Level| agreed.is_some_and(|agreed| agreed.contains(level));
        bounds.without(self.gates.iter().map(|(level, _)| *level).filter(|level| !is_agreed(level)))
    }
}

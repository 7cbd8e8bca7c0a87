//! The entities that policies speak of: actors, tools, and what they belong to.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use quaymaster_catalog::Tool;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, Handling, Zone};

use super::aside::Aside;
use super::slice::Likeness;
use super::{DEFAULT_ENVIRONMENT, Known};
use crate::classification::Classes;

/// A tool in one of its workspaces.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) workspace: Slug,
    /// The tool as policies see it there.
    pub(super) tool: Entity,
    /// What the tool is in.
    pub(super) parents: HashSet<EntityUid>,
    /// The environment that the workspace, or the connector itself, is.
    pub(super) environment: String,
    /// Whose time it is there.
    pub(super) zone: Zone,
    /// What its data is declared to be there.
    pub(super) data: Data,
}

/// What a tool's data is declared to be, in one workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Data {
    level: String,
    levels: Vec<String>,
    jurisdictions: Vec<String>,
    crosses_border: bool,
}

impl Data {
    fn of(tool: &Tool, workspace: &Slug, classes: &Classes) -> Self {
        let (crosses_border, jurisdictions) = classes.whereabouts(tool, workspace);
        let levels = classes.declared_levels(tool);
        Self {
            level: levels.last().cloned().unwrap_or_default(),
            levels,
            jurisdictions: jurisdictions.into_iter().map(str::to_owned).collect(),
            crosses_border,
        }
    }

    /// As policies see it.
    pub(super) fn expression(&self) -> Result<RestrictedExpression, String> {
        let set = |names: &[String]| RestrictedExpression::new_set(names.iter().map(|name| text(name)));
        let members = [
            ("crosses_border", RestrictedExpression::new_bool(self.crosses_border)),
            ("jurisdictions", set(&self.jurisdictions)),
            ("level", text(&self.level)),
            ("levels", set(&self.levels)),
        ];
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        RestrictedExpression::new_record(members).map_err(|e| e.to_string())
    }
}

impl Placed {
    /// The tool in each of its workspaces.
    pub(super) fn all(tool: &Tool, known: &Known) -> Result<Vec<Self>, String> {
        let connector = tool.declaration().connector.as_str();
        let own = known.connector_environments.get(connector);
        let workspaces = tool.declaration().workspaces.iter();
        let place = |workspace: &Slug| {
            let environment = own.or_else(|| known.environments.get(workspace.as_str()));
            let environment = environment.map_or(DEFAULT_ENVIRONMENT, String::as_str).to_owned();
            let zone = known.zones.get(workspace.as_str()).cloned().unwrap_or_default();
            let parents = parents(tool)?;
            let data = Data::of(tool, workspace, &known.classes);
            let tool = tool_entity(tool, &environment, parents.clone())?;
            Ok(Self { workspace: workspace.clone(), tool, parents, environment, zone, data })
        };
        workspaces.map(place).collect()
    }

    /// The one in the workspace that `actor` acts in, if there is one.
    pub(super) fn of<'a>(places: &'a [Self], actor: &Actor) -> Option<&'a Self> {
        places.iter().find(|place| place.workspace == actor.workspace)
    }

    /// What is known to a decision about `actor`: the two of them.
    pub(super) fn entities(&self, actor: &Actor) -> Result<Entities, String> {
        Entities::from_entities([actor_entity(actor)?, self.tool.clone()], None).map_err(|e| e.to_string())
    }
}

/// Whether `actor` may run an administrative command in its workspace.
pub(super) fn administer(policies: &Aside, actor: &Actor, command: &str) -> bool {
    let ask = || -> Result<bool, String> {
        let context =
            Context::from_pairs([("command".to_owned(), text(command))]).map_err(|e| e.to_string())?;
        let entities = Entities::from_entities([actor_entity(actor)?], None).map_err(|e| e.to_string())?;
        let workspace = uid("Workspace", actor.workspace.as_str())?;
        Ok(policies.permits(actor_uid(actor)?, workspace, context, &entities))
    };
    ask().unwrap_or(false)
}

/// Who asks as policies see them.
struct Principal<'a> {
    id: &'a str,
    person: &'a str,
    roles: Vec<&'a str>,
    groups: &'a [String],
    workspace: &'a str,
    authentication: &'a str,
}

impl Principal<'_> {
    fn entity(&self) -> Result<Entity, String> {
        let mut parents: HashSet<EntityUid> =
            self.roles.iter().map(|role| uid("Role", role)).collect::<Result<_, _>>()?;
        parents.insert(uid("Workspace", self.workspace)?);
        let groups = self.groups.iter().map(|group| text(group));
        let attributes = HashMap::from([
            ("authentication".to_owned(), text(self.authentication)),
            ("groups".to_owned(), RestrictedExpression::new_set(groups)),
            ("person".to_owned(), text(self.person)),
        ]);
        Entity::new(uid("Actor", self.id)?, attributes, parents).map_err(|e| e.to_string())
    }

    fn at(&self, place: &Placed) -> Result<(EntityUid, Entities), String> {
        let entity = self.entity()?;
        let principal = entity.uid();
        let entities = Entities::from_entities([entity, place.tool.clone()], None);
        Ok((principal, entities.map_err(|e| e.to_string())?))
    }
}

/// An actor as policies see it.
fn actor_entity(actor: &Actor) -> Result<Entity, String> {
    let principal = Principal {
        id: actor.id.as_str(),
        person: actor.person().as_str(),
        roles: actor.roles.iter().map(Slug::as_str).collect(),
        groups: &actor.groups,
        workspace: actor.workspace.as_str(),
        authentication: actor.authentication.as_str(),
    };
    principal.entity()
}

/// Who stands for all that are of one `likeness`, and what is known to a decision about them.
pub(super) fn alike(place: &Placed, likeness: &Likeness) -> Result<(EntityUid, Entities), String> {
    let single = likeness.single.as_ref();
    let principal = Principal {
        id: single.map_or(ANYBODY, |(id, ..)| id.as_str()),
        person: single.map_or(ANYBODY, |(_, person, _)| person.as_str()),
        roles: likeness.roles.iter().map(Slug::as_str).collect(),
        groups: single.map_or(&[], |(.., groups)| groups),
        workspace: likeness.workspace.as_str(),
        authentication: likeness.authentication,
    };
    principal.at(place)
}

/// Somebody in all of `roles`, and what is known to a question about them.
pub(super) fn anybody(place: &Placed, roles: &BTreeSet<&str>) -> Result<(EntityUid, Entities), String> {
    let principal = Principal {
        id: ANYBODY,
        person: ANYBODY,
        roles: roles.iter().copied().collect(),
        groups: &[],
        workspace: place.workspace.as_str(),
        authentication: "token",
    };
    principal.at(place)
}

/// The account of whoever is asked about as one of many. No policy that could tell is asked then.
const ANYBODY: &str = "anybody";

/// What a tool is in: its connector and its workspaces.
fn parents(tool: &Tool) -> Result<HashSet<EntityUid>, String> {
    let declaration = tool.declaration();
    let workspaces = declaration.workspaces.iter().map(|w| uid("Workspace", w.as_str()));
    workspaces.chain([uid("Connector", declaration.connector.as_str())]).collect()
}

fn tool_entity(tool: &Tool, environment: &str, parents: HashSet<EntityUid>) -> Result<Entity, String> {
    let classes = classes(tool).into_iter().map(text);
    let attributes = HashMap::from([
        ("classes".to_owned(), RestrictedExpression::new_set(classes)),
        ("destination".to_owned(), text(tool.declaration().destination.as_str())),
        ("effect".to_owned(), text(tool.effect().as_str())),
        ("environment".to_owned(), text(environment)),
        ("kind".to_owned(), text(tool.kind().as_str())),
        ("name".to_owned(), text(tool.name().as_str())),
        ("trust".to_owned(), text(tool.declaration().trust.as_str())),
    ]);
    Entity::new(uid("Tool", tool.name().as_str())?, attributes, parents).map_err(|e| e.to_string())
}

/// The classes of data that a result may hold when it is released to whoever has the clearance.
fn classes(tool: &Tool) -> BTreeSet<&'static str> {
    let rules = &tool.declaration().classification;
    let allowed = rules.columns.iter().chain(&rules.fields).filter(|rule| rule.action == Handling::Allow);
    allowed.map(|rule| rule.class).chain([rules.default]).map(quaymaster_core::DataClass::as_str).collect()
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

pub(super) fn actor_uid(actor: &Actor) -> Result<EntityUid, String> {
    uid("Actor", actor.id.as_str())
}

/// The types of entities. They are parsed once, because that takes longer than a decision.
static TYPES: LazyLock<HashMap<&'static str, EntityTypeName>> = LazyLock::new(|| {
    let all = ["Action", "Actor", "Connector", "Role", "Tool", "Workspace"];
    all.into_iter().filter_map(|name| Some((name, name.parse().ok()?))).collect()
});

pub(super) fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind = TYPES.get(kind).cloned().ok_or_else(|| format!("`{kind}` is not an entity type"))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

//! The entities that policies speak of: actors, tools, and what they belong to.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use quaymaster_catalog::Tool;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, Handling, Zone};

use super::aside::Aside;
use super::{DEFAULT_ENVIRONMENT, Known};

/// A tool in one of its workspaces.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) workspace: Slug,
    /// The tool as policies see it there.
    pub(super) tool: Entity,
    /// The environment that the workspace, or the connector itself, is.
    pub(super) environment: String,
    /// Whose time it is there.
    pub(super) zone: Zone,
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
            let tool = tool_entity(tool, &environment)?;
            Ok(Self { workspace: workspace.clone(), tool, environment, zone })
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

/// An actor as policies see it.
fn actor_entity(actor: &Actor) -> Result<Entity, String> {
    let mut parents: HashSet<EntityUid> =
        actor.roles.iter().map(|role| uid("Role", role.as_str())).collect::<Result<_, _>>()?;
    parents.insert(uid("Workspace", actor.workspace.as_str())?);
    let attributes = HashMap::from([
        ("authentication".to_owned(), text(actor.authentication.as_str())),
        ("person".to_owned(), text(actor.person().as_str())),
    ]);
    Entity::new(actor_uid(actor)?, attributes, parents).map_err(|e| e.to_string())
}

fn tool_entity(tool: &Tool, environment: &str) -> Result<Entity, String> {
    let declaration = tool.declaration();
    let workspaces = declaration.workspaces.iter().map(|w| uid("Workspace", w.as_str()));
    let mut parents: HashSet<EntityUid> = workspaces.collect::<Result<_, _>>()?;
    parents.insert(uid("Connector", declaration.connector.as_str())?);
    let classes = classes(tool).into_iter().map(text);
    let attributes = HashMap::from([
        ("classes".to_owned(), RestrictedExpression::new_set(classes)),
        ("effect".to_owned(), text(tool.effect().as_str())),
        ("environment".to_owned(), text(environment)),
        ("kind".to_owned(), text(tool.kind().as_str())),
        ("name".to_owned(), text(tool.name().as_str())),
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

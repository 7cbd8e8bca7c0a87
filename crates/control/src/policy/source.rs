//! Policy files, read and checked before anything is sliced.
//!
//! What is checked here does not depend on a tool: syntax, ids, annotations, and
//! whether every role, tool, connector and workspace that a policy names exists.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use cedar_policy::{ActionConstraint, Effect, Policy, PolicyId, PolicySet, ResourceConstraint, Schema};
use quaymaster_core::flow::OWN_LABELS;
use quaymaster_core::suggest;

use super::Known;
use super::action::Action;
use super::annotation::Notes;
use super::labels;
use super::problem::{PolicyProblem, Severity};
use super::validate::validate;

/// A file of Cedar policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// Where it is, for messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Which tools a policy can bear on, from its scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Any,
    Tool(String),
    Connector(String),
    Workspace(String),
}

/// A policy with what the slices need to know of it.
#[derive(Clone, Debug)]
pub(super) struct SourcePolicy {
    pub(super) policy: Policy,
    pub(super) file: Option<usize>,
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) scope: Scope,
    /// What it is about.
    pub(super) actions: Vec<Action>,
    pub(super) mentions_context: bool,
    /// Its conditions speak of who asks.
    pub(super) asks_principal: bool,
    /// The policy as JSON, to look for names in; nothing if it cannot be written so.
    pub(super) json: Option<String>,
    pub(super) notes: Notes,
}

/// All policies of all files, indexed by scope.
#[derive(Debug, Default)]
pub(super) struct Source {
    by_scope: HashMap<(u8, String), Vec<SourcePolicy>>,
}

impl Source {
    pub(super) fn read(files: &[PolicyFile], known: &Known) -> (Self, Vec<PolicyProblem>) {
        let mut reader = Reader { known, source: Self::default(), problems: vec![], ids: BTreeSet::new() };
        for (index, file) in files.iter().enumerate() {
            match PolicySet::from_str(&file.text) {
                Ok(set) => reader.read_file(index, file, &set),
                Err(errors) => {
                    let found = errors.iter().map(|e| PolicyProblem::of_diagnostic(Some(index), e));
                    reader.problems.extend(found);
                }
            }
        }
        for action in Action::ASIDE {
            reader.check_aside(action);
        }
        reader.check_labels();
        (reader.source, reader.problems)
    }

    /// The labels that there can be.
    pub(super) fn labels(&self) -> BTreeSet<String> {
        let set = self.by_scope.values().flatten().flat_map(|policy| &policy.notes.obligations.labels);
        set.cloned().chain(OWN_LABELS.map(str::to_owned)).collect()
    }

    /// The policies of the files that are about `action`.
    pub(super) fn about(&self, action: Action) -> Vec<&SourcePolicy> {
        let all = self.by_scope.values().flatten();
        let mut about: Vec<_> = all.filter(|policy| policy.actions.contains(&action)).collect();
        about.sort_by(|a, b| a.policy.id().cmp(b.policy.id()));
        about
    }

    /// The policies whose scope admits a tool, in the order of their ids.
    pub(super) fn bearing_on(&self, tool: &str, connector: &str, workspaces: &[&str]) -> Vec<&SourcePolicy> {
        let mut keys =
            vec![Scope::Any.key(), Scope::Tool(tool.into()).key(), Scope::Connector(connector.into()).key()];
        keys.extend(workspaces.iter().map(|w| Scope::Workspace((*w).into()).key()));
        let mut found: Vec<_> = keys.iter().filter_map(|key| self.by_scope.get(key)).flatten().collect();
        found.sort_by(|a, b| a.policy.id().cmp(b.policy.id()));
        found
    }
}

impl Scope {
    fn key(&self) -> (u8, String) {
        match self {
            Self::Any => (0, String::new()),
            Self::Tool(name) => (1, name.clone()),
            Self::Connector(name) => (2, name.clone()),
            Self::Workspace(name) => (3, name.clone()),
        }
    }
}

struct Reader<'a> {
    known: &'a Known,
    source: Source,
    problems: Vec<PolicyProblem>,
    ids: BTreeSet<String>,
}

impl Reader<'_> {
    /// Validates what is said of an action whose schema does not depend on a tool.
    fn check_aside(&mut self, action: Action) {
        let about = self.source.about(action);
        let set = PolicySet::from_policies(about.iter().map(|policy| policy.policy.clone()));
        let schema = Schema::from_cedarschema_str(&action.schema());
        if let (Ok(set), Ok((schema, _)), false) = (set, schema, about.is_empty()) {
            let found = validate(&set, &schema, &about, None).err().unwrap_or_default();
            self.problems.extend(found);
        }
    }

    /// Finds the labels that nothing sets.
    fn check_labels(&mut self) {
        let known = self.source.labels();
        let mut asking: Vec<&SourcePolicy> = self.source.by_scope.values().flatten().collect();
        asking.sort_by_key(|policy| (policy.file, policy.offset));
        for policy in asking {
            for label in labels::named(&policy.policy).into_iter().filter(|label| !known.contains(label)) {
                let help = suggest::near(&label, known.iter().map(String::as_str));
                let otherwise = "set it with `@label` on a permit";
                self.problems.push(PolicyProblem {
                    file: policy.file,
                    tool: None,
                    span: Some((policy.offset, policy.length)),
                    severity: Severity::Error,
                    message: format!("unknown label `{}`: nothing sets it", label.escape_debug()),
                    help: help.or_else(|| Some(otherwise.to_owned())),
                });
            }
        }
    }

    fn read_file(&mut self, index: usize, file: &PolicyFile, set: &PolicySet) {
        if set.templates().next().is_some() {
            self.problems.push(PolicyProblem {
                file: Some(index),
                tool: None,
                span: None,
                severity: Severity::Error,
                message: "policy templates are not supported".into(),
                help: Some(
                    "write the principal and the resource instead of `?principal` and `?resource`".into(),
                ),
            });
        }
        for policy in set.policies() {
            let text = policy.to_string();
            let offset = file.text.find(&text).unwrap_or(0);
            let before = file.text.get(..offset).unwrap_or_default();
            let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
            self.read_policy(policy, index, (offset, text.len()), &format!("{}:{line}", file.path));
        }
    }

    fn read_policy(&mut self, policy: &Policy, file: usize, span: (usize, usize), place: &str) {
        let mut problem = |message: String, help: Option<String>| {
            self.problems.push(PolicyProblem {
                file: Some(file),
                tool: None,
                span: Some(span),
                severity: Severity::Error,
                message,
                help,
            });
        };
        let Some(id) = policy.annotation("id").filter(|id| !id.is_empty() && !id.contains('/')) else {
            problem(
                "a policy needs an id without `/`, by which decisions and audit records name it".into(),
                Some("put @id(\"a-short-name\") before it".into()),
            );
            return;
        };
        if !self.ids.insert(id.to_owned()) {
            problem(format!("another policy has the id `{id}`"), None);
        }
        let (mut notes, told) = Notes::read(policy, id, &self.known.roles);
        notes.place = Some(place.to_owned());
        for (message, help) in told {
            problem(message, help);
        }
        for (message, help) in unknown_entities(policy, self.known) {
            problem(message, help);
        }
        let mentions_context = mentions_context(policy);
        let actions = Action::of(policy, mentions_context);
        let follows = |action: &Action| action.is_open();
        if let (Effect::Permit, Some(open), true) =
            (policy.effect(), actions.first(), actions.iter().all(follows))
        {
            problem(
                format!("a permit for `{}` changes nothing: only a `forbid` does", open.as_str()),
                Some("a tool is listed where it could be called, a field is seen where the classification lets it, \
                      and who decides on a call is said by its `@approval`".into()),
            );
        }
        let Some(scope) = scope_of(policy) else {
            problem(
                "a policy for `call` has a tool, a connector or a workspace as its resource".into(),
                None,
            );
            return;
        };
        let of_gateway = actions == [Action::Administer];
        if of_gateway && !matches!(scope, Scope::Any | Scope::Workspace(_)) {
            problem("`administer` has a workspace as its resource".into(), None);
        }
        let read = SourcePolicy {
            policy: policy.new_id(PolicyId::new(id)),
            file: Some(file),
            offset: span.0,
            length: span.1,
            notes,
            scope,
            actions,
            mentions_context,
            asks_principal: asks_principal(policy),
            json: json_of(policy),
        };
        self.source.by_scope.entry(read.scope.key()).or_default().push(read);
    }
}

/// Every role, tool, connector, workspace and action that a policy names and that does not exist.
fn unknown_entities(policy: &Policy, known: &Known) -> Vec<(String, Option<String>)> {
    let actions: BTreeSet<String> = Action::ALL.iter().map(|action| action.as_str().to_owned()).collect();
    let mut unknown = Vec::new();
    let named_actions = match policy.action_constraint() {
        ActionConstraint::Any => vec![],
        ActionConstraint::In(list) => list,
        ActionConstraint::Eq(one) => vec![one],
    };
    for entity in policy.entity_literals().into_iter().chain(named_actions) {
        let kind = entity.type_name().to_string();
        let id = entity.id().unescaped().to_owned();
        let names = match kind.as_str() {
            "Role" => &known.roles,
            "Tool" => &known.tools,
            "Connector" => &known.connectors,
            "Workspace" => &known.workspaces,
            "Action" => &actions,
            // Actors are not listed anywhere; other types are the validator's business.
            _ => continue,
        };
        if !names.contains(&id) {
            let message = format!("unknown {} `{id}`", kind.to_ascii_lowercase());
            if !unknown.iter().any(|(m, _)| *m == message) {
                unknown.push((message, suggest::near(&id, names.iter().map(String::as_str))));
            }
        }
    }
    unknown
}

/// What a policy names, without its annotations.
pub(super) fn json_of(policy: &Policy) -> Option<String> {
    let mut json = policy.to_json().ok()?;
    json.as_object_mut()?.remove("annotations");
    Some(json.to_string())
}

/// Whether a policy looks at the context. Where that cannot be told, it does.
pub(super) fn mentions_context(policy: &Policy) -> bool {
    policy.to_json().map_or(true, |json| json.to_string().contains(r#""context""#))
}

/// Whether the conditions of a policy speak of who asks. Where that cannot be told, they do.
pub(super) fn asks_principal(policy: &Policy) -> bool {
    let says = |json: serde_json::Value| {
        json.get("conditions").map(|said| said.to_string().contains(r#""principal""#))
    };
    policy.to_json().ok().and_then(says).unwrap_or(true)
}

fn scope_of(policy: &Policy) -> Option<Scope> {
    let entity = match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => return Some(Scope::Any),
        ResourceConstraint::In(entity)
        | ResourceConstraint::Eq(entity)
        | ResourceConstraint::IsIn(_, entity) => entity,
    };
    let id = entity.id().unescaped().to_owned();
    match entity.type_name().to_string().as_str() {
        "Tool" => Some(Scope::Tool(id)),
        "Connector" => Some(Scope::Connector(id)),
        "Workspace" => Some(Scope::Workspace(id)),
        _ => None,
    }
}

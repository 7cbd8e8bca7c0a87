//! The rules of a configuration, asked without a gateway: nothing is called, opened or recorded.
//!
//! MCP servers are not started unless that is asked for. Of one that was not, the tools that its
//! connector names are known, but not their arguments, which then have the types that they are given with.

use std::path::Path;
use std::sync::Arc;

use quaymaster_catalog::{Catalogue, CheckedArguments, Tool};
use quaymaster_control::policy::{Circumstances, Decision, DecisionEffect, Policies};
use quaymaster_control::{DecisionInput, Rulebook};
use quaymaster_core::{
    Actor, ActorId, AgentClaims, Arguments, Authentication, CallError, CallId, CallRequest, DataClass, Kind,
    Reach, Role, Timestamp, ToolDeclaration, suggest,
};

use crate::assembly::{Drift, Fleet, rules_for};
use crate::check::{PATIENCE, StandIn, build};
use crate::config::{self, Connector, Diagnostics, Loaded, SecretCheck};
use crate::upstreams::stand_ins;

/// The rules of a configuration.
#[derive(Debug)]
pub struct Rules {
    catalogue: Catalogue,
    rulebook: Rulebook,
    loaded: Loaded,
    /// Whether servers were asked for their tools.
    connected: bool,
}

/// A call that nobody makes.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who would ask.
    pub actor: Actor,
    /// For which tool, by its public name.
    pub tool: String,
    /// With which arguments.
    pub arguments: Arguments,
    /// What the client would say of its agent.
    pub agent: AgentClaims,
    /// When.
    pub at: Timestamp,
    /// What the session would have seen.
    pub labels: Vec<String>,
    /// The business reason that would be given, where no argument says it.
    pub reason: Option<String>,
    /// The session.
    pub session: Option<String>,
}

/// What would come of it.
#[derive(Debug)]
pub struct Answer {
    /// The tool.
    pub tool: Arc<Tool>,
    /// Whether the actor knows of the tool. If not, the call is answered as if there were none.
    pub is_seen: bool,
    /// What policy says, whether it is seen or not.
    pub decision: Decision,
    /// Why the call would be refused before policy is asked.
    pub invalid: Option<CallError>,
}

impl Rules {
    /// The rules of the configuration in `folder`; with `policies` those of that folder instead.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, warnings included.
    pub fn load(folder: &Path, policies: Option<&Path>) -> Result<Self, Diagnostics> {
        let loaded = read(folder, policies)?;
        let fleet = build(&loaded, &StandIn)?;
        let unasked = loaded.connectors.iter().flat_map(|file| match &file.connector {
            Connector::Mcp(file) => stand_ins(file),
            Connector::Sql(_) => Vec::new(),
        });
        let open = serde_json::json!({"type": "object", "additionalProperties": true});
        let unasked = unasked.map(|tool| ToolDeclaration { input_schema: open.clone(), ..tool }).collect();
        Self::of(loaded, &fleet, unasked, false)
    }

    /// The same with the MCP servers asked for their tools: they are started, and stopped again.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, warnings included.
    pub async fn connect(folder: &Path, policies: Option<&Path>) -> Result<Self, Diagnostics> {
        let loaded = read(folder, policies)?;
        let fleet = build(&loaded, &loaded.secrets())?;
        fleet.start_within(PATIENCE).await;
        let rules = Self::of(loaded, &fleet, Vec::new(), true);
        fleet.stop_except(&Fleet::default()).await;
        rules
    }

    fn of(
        loaded: Loaded,
        fleet: &Fleet,
        unasked: Vec<ToolDeclaration>,
        connected: bool,
    ) -> Result<Self, Diagnostics> {
        let (catalogue, rulebook, found) =
            rules_for((&loaded, fleet), fleet.declarations(), Drift::Refuse, unasked);
        if found.has_errors() { Err(found) } else { Ok(Self { catalogue, rulebook, loaded, connected }) }
    }

    /// The tools.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The policies.
    pub fn policies(&self) -> &Arc<Policies> {
        self.rulebook.policies()
    }

    /// The configuration.
    pub fn configuration(&self) -> &Loaded {
        &self.loaded
    }

    /// Whether the arguments of `tool` are known.
    pub fn knows_arguments(&self, tool: &Tool) -> bool {
        let mut connectors = self.loaded.connectors.iter();
        let own = connectors.find(|file| file.connector.metadata().name == tool.declaration().connector);
        self.connected || own.is_none_or(|file| matches!(file.connector, Connector::Sql(_)))
    }

    /// An actor with declared roles in a declared workspace, the default one if none is named.
    ///
    /// # Errors
    ///
    /// Names what does not exist, and what was probably meant.
    pub fn actor(
        &self,
        id: ActorId,
        roles: &[Role],
        workspace: Option<&Role>,
        authentication: Authentication,
    ) -> Result<Actor, String> {
        let settings = &self.loaded.settings;
        let unknown = |what: &str, name: &Role, known: Vec<&str>| {
            let help = suggest::did_you_mean(name.as_str(), "there are", known).unwrap_or_default();
            format!("unknown {what} `{name}`: {help}")
        };
        let workspace = workspace.unwrap_or(&settings.default_workspace);
        if !settings.workspaces.contains_key(workspace) {
            let known = settings.workspaces.keys().map(Role::as_str).collect();
            return Err(unknown("workspace", workspace, known));
        }
        let mut clearance = DataClass::Public;
        for role in roles {
            let Some(config) = settings.roles.get(role) else {
                let known = settings.roles.keys().map(Role::as_str).collect();
                return Err(unknown("role", role, known));
            };
            clearance = clearance.max(config.clearance);
        }
        let mut roles = roles.to_vec();
        roles.sort();
        roles.dedup();
        let workspace = workspace.clone();
        Ok(Actor {
            id,
            person: None,
            roles: roles.into(),
            groups: [].into(),
            workspace,
            clearance,
            authentication,
        })
    }

    /// The tool called `name`.
    ///
    /// # Errors
    ///
    /// Says that there is none, and which was probably meant.
    pub fn tool(&self, name: &str) -> Result<&Arc<Tool>, String> {
        self.catalogue.tool(name).ok_or_else(|| {
            let known = self.catalogue.offers().map(|tool| tool.name().as_str());
            let help = suggest::did_you_mean(name, "there are", known).unwrap_or_default();
            format!("unknown tool `{name}`: {help}")
        })
    }

    /// What would come of a call.
    ///
    /// # Errors
    ///
    /// Says that there is no such tool.
    pub fn ask(&self, question: &Question) -> Result<Answer, String> {
        let tool = Arc::clone(self.tool(&question.tool)?);
        question.labels.iter().try_for_each(|label| self.policies().check_label(label))?;
        let (checked, invalid) = match tool.check_arguments(&request(question)?) {
            Ok(checked) => (checked, None),
            Err(error) => {
                (CheckedArguments { arguments: question.arguments.clone(), reason: None }, Some(error))
            }
        };
        let reason = question.reason.clone().or(checked.reason);
        let circumstances = Circumstances {
            labels: &question.labels,
            reason: reason.as_deref(),
            session: question.session.as_deref(),
            ..Circumstances::new(&question.agent, question.at)
        };
        let decision = self.policies().decide(&question.actor, &tool, &checked.arguments, &circumstances);
        let is_seen = self.policies().could_permit(&question.actor, &tool);
        Ok(Answer { tool, is_seen, decision, invalid })
    }

    /// What would be decided now on what was decided before; none if there is no such tool any more.
    pub fn replay(&self, input: &DecisionInput) -> Option<Decision> {
        let tool = self.catalogue.tool(&input.tool)?;
        let circumstances = Circumstances {
            labels: &input.labels,
            reason: input.reason.as_deref(),
            session: input.session.as_deref(),
            ..Circumstances::new(&input.agent, input.at)
        };
        Some(self.policies().decide(&input.actor, tool, &input.arguments, &circumstances))
    }
}

/// A decision in a word, with who has to agree: `allow`, `deny`, `approval by manager`.
pub fn outcome(effect: &DecisionEffect) -> String {
    match effect {
        DecisionEffect::NeedsApproval { gates } => {
            let roles = gates.iter().map(|gate| {
                let roles: Vec<&str> = gate.roles.iter().map(Role::as_str).collect();
                roles.join(",")
            });
            format!("approval by {}", roles.collect::<Vec<_>>().join(";"))
        }
        other => other.as_str().to_owned(),
    }
}

fn read(folder: &Path, policies: Option<&Path>) -> Result<Loaded, Diagnostics> {
    let loaded = config::load(folder, SecretCheck::Skip)?;
    match policies {
        Some(policies) => Ok(Loaded { policies: config::read_policies(policies)?, ..loaded }),
        None => Ok(loaded),
    }
}

fn request(question: &Question) -> Result<CallRequest, String> {
    let id: CallId = "call_00000000000000000000000000000000".parse().map_err(|_| "no id")?;
    Ok(CallRequest {
        id,
        received: question.at,
        actor: Arc::new(question.actor.clone()),
        reach: Reach::All,
        session: None,
        agent: question.agent.clone(),
        trace_id: None,
        sampled: false,
        correlation_id: None,
        idempotency_key: None,
        kind: Kind::Tool,
        tool: question.tool.clone(),
        arguments: question.arguments.clone(),
    })
}

//! The policies that can bear on one tool, validated against its types.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision as Verdict, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PartialEntities, PartialEntityUid, PartialRequest, Policy, PolicyId, PolicySet, PrincipalConstraint,
    Request, Response, RestrictedExpression, Schema, ValidationMode, Validator,
};
use quaymaster_catalog::Tool;
use quaymaster_core::arguments::sha256_text;
use quaymaster_core::{Actor, AgentClaims, Arguments, Gate, PerActor};

use super::access;
use super::problem::{PolicyProblem, Severity};
use super::schema::{ArgumentType, cedar_schema};
use super::source::{Source, SourcePolicy};
use super::{Decision, DecisionEffect, Obligations};

/// What the annotations of a policy say.
#[derive(Debug)]
struct Notes {
    approval: Option<Gate>,
    reason: Option<String>,
}

/// The policies of one tool, ready to decide.
#[derive(Debug)]
pub(super) struct Slice {
    set: PolicySet,
    schema: Schema,
    arguments: ArgumentType,
    notes: HashMap<PolicyId, Notes>,
    tool: Entity,
    digest: Arc<str>,
    action: EntityUid,
    /// No policy looks at the context, so what was decided for an actor holds for all its calls.
    ignores_context: bool,
    remembered: PerActor<Decision>,
}

impl Slice {
    /// Puts the policies of `tool` together and validates them strictly.
    pub(super) fn build(source: &Source, tool: &Tool) -> Result<Self, Vec<PolicyProblem>> {
        let declaration = tool.declaration();
        let workspaces: Vec<&str> =
            declaration.workspaces.iter().map(quaymaster_core::setting::Slug::as_str).collect();
        let fault = |message: String| {
            vec![PolicyProblem {
                file: None,
                tool: Some(tool.name().to_string()),
                span: None,
                severity: Severity::Error,
                message: format!("the policies of tool `{}` cannot be put together: {message}", tool.name()),
                help: None,
            }]
        };
        let compiled = access::policies(tool).map_err(fault)?;
        let mut policies =
            source.bearing_on(tool.name().as_str(), declaration.connector.as_str(), &workspaces);
        policies.extend(&compiled);
        let arguments = ArgumentType::of_arguments(&declaration.input_schema);
        let (schema, _) =
            Schema::from_cedarschema_str(&cedar_schema(&arguments)).map_err(|e| fault(e.to_string()))?;
        let set = PolicySet::from_policies(policies.iter().map(|p| p.policy.clone()))
            .map_err(|e| fault(e.to_string()))?;
        validate(&set, &schema, &policies, tool)?;
        Ok(Self {
            ignores_context: !policies.iter().any(|p| mentions_context(p)),
            notes: policies.iter().map(|p| (p.policy.id().clone(), notes(p))).collect(),
            tool: tool_entity(tool, &workspaces).map_err(fault)?,
            action: uid("Action", "call").map_err(fault)?,
            digest: digest(&policies).into(),
            remembered: PerActor::default(),
            set,
            schema,
            arguments,
        })
    }

    /// Decides one call.
    pub(super) fn decide(&self, actor: &Actor, arguments: &Arguments, agent: &AgentClaims) -> Decision {
        if !self.ignores_context {
            return self.evaluate(actor, arguments, agent).unwrap_or_else(cannot_evaluate);
        }
        let decide = || self.evaluate(actor, arguments, agent).unwrap_or_else(cannot_evaluate);
        self.remembered.get_or_make(actor, decide)
    }

    /// Whether a gate may stand before some call.
    pub(super) fn has_gates(&self) -> bool {
        self.notes.values().any(|notes| notes.approval.is_some())
    }

    /// What the policies are, as a digest.
    pub(super) fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// Whether some arguments could be permitted, now or after an approval.
    pub(super) fn could_permit(&self, actor: &Actor) -> bool {
        let partial = || -> Result<bool, String> {
            let entities = self.entities(actor)?;
            let entities =
                PartialEntities::from_concrete(entities, &self.schema).map_err(|e| e.to_string())?;
            let request = PartialRequest::new(
                PartialEntityUid::from_concrete(actor_uid(actor)?),
                self.action.clone(),
                PartialEntityUid::from_concrete(self.tool.uid()),
                None,
                &self.schema,
            )
            .map_err(|e| e.to_string())?;
            let response = self.set.tpe(&request, &entities, &self.schema).map_err(|e| e.to_string())?;
            Ok(response.decision() != Some(Verdict::Deny) && response.error_forbids().next().is_none())
        };
        partial().unwrap_or_else(|error| {
            tracing::error!(event = "policy.view", tool = %self.tool.uid(), error, "a tool is hidden because its policies cannot be evaluated");
            false
        })
    }

    /// Twice at most: as things are, and, where that denies, as if an approval had been given.
    fn evaluate(
        &self,
        actor: &Actor,
        arguments: &Arguments,
        agent: &AgentClaims,
    ) -> Result<Decision, String> {
        let entities = self.entities(actor)?;
        let now = self.respond(actor, arguments, agent, &entities, false)?;
        let decision = self.read(&now);
        if decision.effect != DecisionEffect::Deny || decision.errors > 0 || self.ignores_context {
            return Ok(decision);
        }
        let approved = self.respond(actor, arguments, agent, &entities, true)?;
        let with_approval = self.read(&approved);
        let granted = with_approval.effect != DecisionEffect::Deny && with_approval.errors == 0;
        let gates = self.gates(&now, &approved);
        if granted && !gates.is_empty() {
            return Ok(Decision { effect: DecisionEffect::NeedsApproval { gates }, ..with_approval });
        }
        Ok(decision)
    }

    fn respond(
        &self,
        actor: &Actor,
        arguments: &Arguments,
        agent: &AgentClaims,
        entities: &Entities,
        approved: bool,
    ) -> Result<Response, String> {
        let context = self.context(arguments, agent, approved)?;
        // Without a look at the context an empty one stands in for it, which no schema fits.
        let schema = (!self.ignores_context).then_some(&self.schema);
        let request = Request::new(actor_uid(actor)?, self.action.clone(), self.tool.uid(), context, schema)
            .map_err(|e| e.to_string())?;
        Ok(Authorizer::new().is_authorized(&request, &self.set, entities))
    }

    fn context(&self, arguments: &Arguments, agent: &AgentClaims, approved: bool) -> Result<Context, String> {
        if self.ignores_context {
            return Ok(Context::empty());
        }
        let claimed =
            [("client", &agent.client), ("model", &agent.model), ("sandbox_mode", &agent.sandbox_mode)];
        let claimed = claimed.into_iter().filter_map(|(name, claim)| {
            claim.as_ref().map(|c| (name.to_owned(), RestrictedExpression::new_string(c.clone())))
        });
        let pairs = [
            ("agent".to_owned(), RestrictedExpression::new_record(claimed).map_err(|e| e.to_string())?),
            ("approved".to_owned(), RestrictedExpression::new_bool(approved)),
            ("arguments".to_owned(), self.arguments.expression(arguments.value())?),
        ];
        Context::from_pairs(pairs).map_err(|e| e.to_string())
    }

    fn entities(&self, actor: &Actor) -> Result<Entities, String> {
        let mut parents: HashSet<EntityUid> =
            actor.roles.iter().map(|role| uid("Role", role.as_str())).collect::<Result<_, _>>()?;
        parents.insert(uid("Workspace", actor.workspace.as_str())?);
        let authentication = RestrictedExpression::new_string(actor.authentication.as_str().to_owned());
        let attributes = HashMap::from([("authentication".to_owned(), authentication)]);
        let actor = Entity::new(actor_uid(actor)?, attributes, parents).map_err(|e| e.to_string())?;
        Entities::from_entities([actor, self.tool.clone()], None).map_err(|e| e.to_string())
    }

    /// Any error denies: Cedar would skip the policy that failed, even a `forbid`.
    fn read(&self, response: &Response) -> Decision {
        let errors = response.diagnostics().errors().count() as u64;
        let mut determining: Vec<&PolicyId> = response.diagnostics().reason().collect();
        determining.sort();
        let effect = match response.decision() {
            Verdict::Allow if errors == 0 => self.allowed_by(&determining),
            _ => DecisionEffect::Deny,
        };
        Decision {
            effect,
            policies: determining.iter().map(ToString::to_string).collect(),
            reasons: determining.iter().filter_map(|id| self.notes.get(*id)?.reason.clone()).collect(),
            errors,
            obligations: Obligations::default(),
        }
    }

    fn allowed_by(&self, permits: &[&PolicyId]) -> DecisionEffect {
        match self.gate_of_permits(permits) {
            Some(gate) => DecisionEffect::NeedsApproval { gates: vec![gate.clone()] },
            None => DecisionEffect::Allow,
        }
    }

    /// One permit without an obligation is enough; if all have one, that of the first counts.
    fn gate_of_permits(&self, permits: &[&PolicyId]) -> Option<&Gate> {
        let gates = permits.iter().map(|id| self.gate(id));
        gates.min_by_key(Option::is_some).flatten()
    }

    /// What has to be agreed to: every forbid that an agreement lifts is a gate of its own, and so
    /// are the permits that then hold, if none of them holds without.
    fn gates(&self, now: &Response, approved: &Response) -> Vec<Gate> {
        let forbids = now.diagnostics().reason().filter_map(|id| self.gate(id));
        let mut permits: Vec<&PolicyId> = approved.diagnostics().reason().collect();
        permits.sort();
        let gates: BTreeSet<&Gate> = forbids.chain(self.gate_of_permits(&permits)).collect();
        gates.into_iter().cloned().collect()
    }

    fn gate(&self, id: &PolicyId) -> Option<&Gate> {
        self.notes.get(id)?.approval.as_ref()
    }

    /// The reasons of the permits that could be for this actor, for a hint to whoever was
    /// denied. What is for others is none of this actor's business.
    pub(super) fn permit_reasons(&self, actor: &Actor) -> Vec<String> {
        let permits = self.set.policies().filter(|p| p.effect() == Effect::Permit && could_be_for(p, actor));
        let reasons: BTreeSet<String> =
            permits.filter_map(|p| self.notes.get(p.id())?.reason.clone()).collect();
        reasons.into_iter().collect()
    }
}

/// Whether the principal that a policy names is this actor, its workspace or one of its roles.
fn could_be_for(policy: &Policy, actor: &Actor) -> bool {
    let named = match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => return true,
        PrincipalConstraint::In(named)
        | PrincipalConstraint::Eq(named)
        | PrincipalConstraint::IsIn(_, named) => named,
    };
    let id = named.id().unescaped();
    match named.type_name().to_string().as_str() {
        "Actor" => id == actor.id.as_str(),
        "Role" => actor.roles.iter().any(|role| role.as_str() == id),
        "Workspace" => id == actor.workspace.as_str(),
        _ => false,
    }
}

fn cannot_evaluate(error: String) -> Decision {
    tracing::warn!(event = "policy.error", error, "a decision could not be evaluated and denies");
    Decision { errors: 1, reasons: vec![error], ..Decision::default_deny() }
}

fn validate(
    set: &PolicySet,
    schema: &Schema,
    policies: &[&SourcePolicy],
    tool: &Tool,
) -> Result<(), Vec<PolicyProblem>> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let problems: Vec<PolicyProblem> = result
        .validation_errors()
        .map(|error| {
            let origin = policies.iter().find(|p| p.policy.id() == error.policy_id());
            let mut problem = PolicyProblem::of_diagnostic(origin.and_then(|p| p.file), error);
            if problem.span.is_none() {
                problem.span = origin.filter(|p| p.length > 0).map(|p| (p.offset, p.length));
            }
            problem.tool = Some(tool.name().to_string());
            problem.message = format!("{} (checked for tool `{}`)", problem.message, tool.name());
            problem
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// SHA-256 over the texts of the policies, which are in the order of their ids.
fn digest(policies: &[&SourcePolicy]) -> String {
    let text: Vec<String> = policies.iter().map(|p| p.policy.to_string()).collect();
    sha256_text(text.join("\n").as_bytes())
}

fn notes(policy: &SourcePolicy) -> Notes {
    Notes { approval: policy.approval.clone(), reason: policy.reason.clone() }
}

/// Whether a policy looks at the context. Where that cannot be told, it does.
fn mentions_context(policy: &SourcePolicy) -> bool {
    policy.policy.to_json().map_or(true, |json| json.to_string().contains(r#""context""#))
}

fn tool_entity(tool: &Tool, workspaces: &[&str]) -> Result<Entity, String> {
    let mut parents: HashSet<EntityUid> =
        workspaces.iter().map(|w| uid("Workspace", w)).collect::<Result<_, _>>()?;
    parents.insert(uid("Connector", tool.declaration().connector.as_str())?);
    let text = |t: &str| RestrictedExpression::new_string(t.to_owned());
    let attributes = HashMap::from([
        ("effect".to_owned(), text(tool.effect().as_str())),
        ("kind".to_owned(), text(tool.kind().as_str())),
        ("name".to_owned(), text(tool.name().as_str())),
    ]);
    Entity::new(uid("Tool", tool.name().as_str())?, attributes, parents).map_err(|e| e.to_string())
}

fn actor_uid(actor: &Actor) -> Result<EntityUid, String> {
    uid("Actor", actor.id.as_str())
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind: EntityTypeName = kind.parse().map_err(|_| format!("`{kind}` is not an entity type"))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

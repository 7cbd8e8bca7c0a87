//! The policies that can bear on one tool, validated against its types.

mod audience;
mod sight;

pub(super) use audience::could_be_for;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision as Verdict, Effect, Entities, EntityUid, PolicyId, PolicySet, Request,
    Response, Schema,
};
use quaymaster_catalog::Tool;
use quaymaster_core::arguments::sha256_text;
use quaymaster_core::{Actor, Arguments, Gate, Memory, PerActor};

use super::action::Action;
use super::annotation::Notes;
use super::aside::Aside;
use super::context::{Asked, Wants};
use super::decision::{Circumstances, Decision, DecisionEffect, Obligations};
use super::entities::{Placed, actor_uid, uid};
use super::problem::{PolicyProblem, Severity};
use super::schema::{ArgumentType, cedar_schema};
use super::source::{Source, SourcePolicy};
use super::validate::validate;
use super::{Known, access};
use audience::Audiences;

/// The policies of one tool, ready to decide.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of their own, each found out once at load")]
pub(super) struct Slice {
    pub(super) set: PolicySet,
    /// The permits alone, where some of them demands something.
    demanding: Option<PolicySet>,
    pub(super) schema: Schema,
    arguments: ArgumentType,
    digest: Arc<str>,
    pub(super) typed: bool,
    pub(super) notes: HashMap<PolicyId, Notes>,
    pub(super) places: Vec<Placed>,
    pub(super) action: EntityUid,
    /// No policy looks at the context, so what was decided for an actor holds for all its calls.
    ignores_context: bool,
    remembered: PerActor<Decision>,
    /// Some policy says who may agree, so a denial is looked at twice.
    has_gates: bool,
    wants: Wants,
    audiences: Audiences,
    asks_reason: bool,
    lists: Option<Aside>,
    fields: Option<Aside>,
    /// Which fields each actor sees, as far as somebody asked.
    seen_fields: PerActor<Arc<Memory<String, bool>>>,
    approves: Option<Aside>,
}

impl Slice {
    /// Puts the policies of `tool` together and validates them strictly.
    pub(super) fn build(source: &Source, tool: &Tool, known: &Known) -> Result<Self, Vec<PolicyProblem>> {
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
        let aside = |action| Aside::build(action, &policies);
        let lists = aside(Action::List).map_err(fault)?;
        let fields = aside(Action::ReadField).map_err(fault)?;
        let approves = aside(Action::Approve).map_err(fault)?;
        policies.retain(|policy| policy.actions.contains(&Action::Call));
        let typed = !known.untyped.contains(tool.name().as_str());
        let arguments =
            if typed { ArgumentType::of_arguments(&declaration.input_schema) } else { ArgumentType::Given };
        let (schema, _) =
            Schema::from_cedarschema_str(&cedar_schema(&arguments)).map_err(|e| fault(e.to_string()))?;
        let set = set_of(policies.iter().copied()).map_err(fault)?;
        if typed {
            validate(&set, &schema, &policies, Some(tool.name()))?;
        }
        let permits = || policies.iter().copied().filter(|p| p.policy.effect() == Effect::Permit);
        let demands = permits().any(|p| !p.notes.obligations.is_empty());
        let places = Placed::all(tool, known).map_err(fault)?;
        Ok(Self {
            demanding: demands.then(|| set_of(permits())).transpose().map_err(fault)?,
            ignores_context: !policies.iter().any(|p| p.mentions_context),
            notes: policies.iter().map(|p| (p.policy.id().clone(), p.notes.clone())).collect(),
            digest: digest(&policies, &places).into(),
            places,
            action: uid("Action", "call").map_err(fault)?,
            remembered: PerActor::default(),
            has_gates: policies.iter().any(|p| p.notes.approval.is_some()),
            wants: Wants::of(&policies),
            audiences: Audiences::of(&policies).map_err(fault)?,
            asks_reason: policies.iter().any(|p| asks_reason(p)),
            set,
            schema,
            arguments,
            typed,
            lists,
            fields,
            seen_fields: PerActor::default(),
            approves,
        })
    }

    /// Whether a call may be refused for want of a business reason.
    pub(super) fn asks_reason(&self) -> bool {
        self.asks_reason
    }

    /// Whether a gate may stand before some call.
    pub(super) fn has_gates(&self) -> bool {
        self.has_gates
    }

    /// What the policies are, as a digest.
    pub(super) fn digest(&self) -> &Arc<str> {
        &self.digest
    }

    /// Whether something may be taken out of a result.
    pub(super) fn takes_fields_out(&self) -> bool {
        self.fields.is_some() || self.notes.values().any(|notes| !notes.obligations.redactions.is_empty())
    }

    /// What partial evaluation alone says of whether `actor` could call.
    #[cfg(test)]
    pub(super) fn could_call_at_all(&self, actor: &Actor) -> bool {
        Placed::of(&self.places, actor).is_some_and(|place| self.partially(actor, place))
    }

    /// Decides one call. In a workspace without the tool nobody may call it.
    pub(super) fn decide(
        &self,
        actor: &Actor,
        arguments: &Arguments,
        circumstances: &Circumstances<'_>,
    ) -> Decision {
        let Some(place) = Placed::of(&self.places, actor) else { return Decision::default_deny() };
        let asked = Asked {
            arguments,
            circumstances,
            environment: &place.environment,
            zone: &place.zone,
            approved: false,
        };
        let decide = || self.evaluate(actor, place, asked).unwrap_or_else(cannot_evaluate);
        if self.ignores_context { self.remembered.get_or_make(actor, decide) } else { decide() }
    }

    /// Twice at most: as things are, and, where that denies, as if an approval had been given.
    fn evaluate(&self, actor: &Actor, place: &Placed, asked: Asked<'_>) -> Result<Decision, String> {
        let entities = place.entities(actor)?;
        let now = self.respond(actor, place, asked, &entities, &self.set)?;
        let decision = self.read(&now);
        let is_final = decision.effect != DecisionEffect::Deny || decision.errors > 0;
        if is_final || self.ignores_context || !self.has_gates {
            return Ok(decision);
        }
        let asked_then = Asked { approved: true, ..asked };
        let approved = self.respond(actor, place, asked_then, &entities, &self.set)?;
        let mut with_approval = self.read(&approved);
        let granted = with_approval.effect != DecisionEffect::Deny && with_approval.errors == 0;
        let gates = self.gates(&now, &approved);
        if !granted || gates.is_empty() {
            return Ok(decision);
        }
        if let Some(permits) = &self.demanding {
            // A permit that holds until somebody agrees still demands what it demands: else a
            // forbid that an approval lifts would take a demand away.
            let unforbidden = self.respond(actor, place, asked, &entities, permits)?;
            self.add_demands(unforbidden.diagnostics().reason(), &mut with_approval.obligations);
        }
        Ok(Decision { effect: DecisionEffect::NeedsApproval { gates }, ..with_approval })
    }

    fn respond(
        &self,
        actor: &Actor,
        place: &Placed,
        asked: Asked<'_>,
        entities: &Entities,
        set: &PolicySet,
    ) -> Result<Response, String> {
        let context = if self.ignores_context {
            Context::empty()
        } else {
            asked.context(&self.arguments, self.wants)?
        };
        // The context is made as the schema says, so Cedar need not look at it again; it would have to be
        // whole for that, and what Cedar says of one that does not fit repeats the arguments.
        let request = Request::new(actor_uid(actor)?, self.action.clone(), place.tool.uid(), context, None)
            .map_err(|_| "the request cannot be put together".to_owned())?;
        Ok(Authorizer::new().is_authorized(&request, set, entities))
    }

    /// Any error denies: Cedar would skip the policy that failed, even a `forbid`.
    fn read(&self, response: &Response) -> Decision {
        let errors = response.diagnostics().errors().count() as u64;
        let mut determining: Vec<&PolicyId> = response.diagnostics().reason().collect();
        determining.sort();
        let mut obligations = Obligations::default();
        let effect = match response.decision() {
            Verdict::Allow if errors == 0 => {
                self.add_demands(determining.iter().copied(), &mut obligations);
                self.allowed_by(&determining)
            }
            _ => DecisionEffect::Deny,
        };
        Decision {
            effect,
            policies: determining.iter().map(ToString::to_string).collect(),
            reasons: determining.iter().filter_map(|id| self.notes.get(*id)?.reason.clone()).collect(),
            errors,
            obligations,
        }
    }

    /// What every one of these permits demands.
    fn add_demands<'a>(&self, permits: impl Iterator<Item = &'a PolicyId>, all: &mut Obligations) {
        for own in permits.filter_map(|id| self.notes.get(id)).map(|notes| &notes.obligations) {
            all.redactions.extend(own.redactions.iter().cloned());
            all.limits.extend(own.limits.iter().cloned());
            all.reason_required |= own.reason_required;
            all.labels.extend(own.labels.iter().cloned());
        }
    }

    fn allowed_by(&self, permits: &[&PolicyId]) -> DecisionEffect {
        match self.gate_of_permits(permits) {
            Some(gate) => DecisionEffect::NeedsApproval { gates: vec![gate.clone()] },
            None => DecisionEffect::Allow,
        }
    }

    /// One permit without an approval is enough; if all want one, that of the first counts.
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
}

fn cannot_evaluate(error: String) -> Decision {
    tracing::warn!(event = "policy.error", error, "a decision could not be evaluated and denies");
    Decision { errors: 1, reasons: vec![error], ..Decision::default_deny() }
}

fn set_of<'a>(policies: impl Iterator<Item = &'a SourcePolicy>) -> Result<PolicySet, String> {
    PolicySet::from_policies(policies.map(|p| p.policy.clone())).map_err(|e| e.to_string())
}

/// SHA-256 over the texts of the policies, which are in the order of their ids, and over what each
/// workspace is, such as production.
fn digest(policies: &[&SourcePolicy], places: &[Placed]) -> String {
    let texts = policies.iter().map(|p| p.policy.to_string());
    let environments = places.iter().map(|place| format!("{} is {}", place.workspace, place.environment));
    sha256_text(texts.chain(environments).collect::<Vec<_>>().join("\n").as_bytes())
}

/// Whether what the policy says may depend on whether a business reason is given.
fn asks_reason(policy: &SourcePolicy) -> bool {
    let mentions = || policy.json.as_deref().is_none_or(|json| json.contains(r#""reason""#));
    policy.notes.obligations.reason_required || (policy.mentions_context && mentions())
}

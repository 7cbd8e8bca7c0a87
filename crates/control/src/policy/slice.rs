//! The policies that can bear on one tool, validated against its types.

mod audience;
mod kin;
mod outlook;
mod sight;

pub(super) use audience::{Likeness, could_be_for};

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision as Verdict, EntityUid, PolicyId, PolicySet, Request, Response, Schema,
};
use quaymaster_catalog::Tool;
use quaymaster_core::arguments::sha256_text;
use quaymaster_core::{Actor, Arguments, Gate, Memory, PerActor};

use super::action::Action;
use super::annotation::Notes;
use super::aside::Aside;
use super::context::{Asked, Wants};
use super::decision::{Circumstances, Decision, DecisionEffect, Obligations};
use super::entities::{Placed, uid};
use super::problem::{PolicyProblem, Severity};
use super::schema::{ArgumentType, cedar_schema};
use super::source::{Source, SourcePolicy};
use super::validate::validate;
use super::{Known, access};
use audience::Audiences;
use kin::{Kin, MAX_KIN};
use outlook::Forecast;

/// The policies of one tool, ready to decide.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) set: PolicySet,
    pub(super) schema: Schema,
    arguments: ArgumentType,
    digest: Arc<str>,
    pub(super) typed: bool,
    pub(super) notes: HashMap<PolicyId, Notes>,
    pub(super) places: Vec<Placed>,
    pub(super) action: EntityUid,
    /// Some policy says who may agree.
    has_gates: bool,
    wants: Wants,
    audiences: Audiences,
    kin: Memory<Likeness, Arc<Kin>>,
    /// Whether those who are alike could call the tool, where that is not known beforehand.
    could_call: Memory<Likeness, bool>,
    asks_reason: bool,
    pub(super) lists: Option<Aside>,
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
        let compiled = access::policies(tool, &known.classes).map_err(fault)?;
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
        let places = Placed::all(tool, known).map_err(fault)?;
        let action = uid("Action", "call").map_err(fault)?;
        let mut audiences = Audiences::of(&policies);
        if typed {
            let forecast = Forecast { schema: &schema, action: &action, places: &places };
            audiences.settle(&forecast).map_err(fault)?;
        }
        Ok(Self {
            notes: policies.iter().map(|p| (p.policy.id().clone(), p.notes.clone())).collect(),
            digest: digest(&policies, &places).into(),
            places,
            action,
            has_gates: policies.iter().any(|p| p.notes.approval.is_some()),
            wants: policies.iter().fold(Wants::default(), |wants, source| wants.and(Wants::of(source))),
            audiences,
            kin: Memory::of(MAX_KIN),
            could_call: Memory::default(),
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

    /// Whether what is decided may depend on when.
    pub(super) fn asks_time(&self) -> bool {
        self.wants.asks_time()
    }

    /// Whether what is decided may depend on what was seen before.
    pub(super) fn asks_labels(&self) -> bool {
        self.wants.asks_labels()
    }

    /// The policies about calls.
    pub(super) fn sources(&self) -> impl Iterator<Item = &SourcePolicy> {
        self.audiences.sources()
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
            data: &place.data,
            approved: false,
        };
        let kin = match self.kin(actor, place) {
            Ok(kin) => kin,
            Err(error) => return cannot_evaluate(error),
        };
        let decide = || self.evaluate(&kin, place, asked).unwrap_or_else(cannot_evaluate);
        if kin.ignores_context { kin.decided.get_or_init(decide).clone() } else { decide() }
    }

    /// What holds for all who are like `actor`.
    fn kin(&self, actor: &Actor, place: &Placed) -> Result<Arc<Kin>, String> {
        let likeness = self.audiences.likeness(actor);
        if let Some(kin) = self.kin.get(&likeness) {
            return Ok(kin);
        }
        let kin = Arc::new(Kin::of(&self.audiences, &likeness, actor, place)?);
        self.kin.insert(likeness, Arc::clone(&kin));
        Ok(kin)
    }

    /// Twice at most: as things are, and, where that denies, as if an approval had been given.
    fn evaluate(&self, kin: &Kin, place: &Placed, asked: Asked<'_>) -> Result<Decision, String> {
        let now = self.respond(kin, place, asked, &kin.set)?;
        let decision = self.read(&now);
        let is_final = decision.effect != DecisionEffect::Deny || decision.errors > 0;
        let Some(permits) = kin.permits.as_ref().filter(|_| !is_final && !kin.ignores_context) else {
            return Ok(decision);
        };
        let asked_then = Asked { approved: true, ..asked };
        let approved = self.respond(kin, place, asked_then, &kin.set)?;
        let mut with_approval = self.read(&approved);
        if with_approval.effect == DecisionEffect::Deny || with_approval.errors > 0 {
            return Ok(decision);
        }
        let unforbidden = self.respond(kin, place, asked, permits)?;
        let gates = self.gates((&now, &approved), &unforbidden);
        if gates.is_empty() {
            return Ok(decision);
        }
        // A permit that holds until somebody agrees still demands what it demands: else a
        // forbid that an approval lifts would take a demand away.
        self.add_demands(unforbidden.diagnostics().reason(), &mut with_approval.obligations);
        Ok(Decision { effect: DecisionEffect::NeedsApproval { gates }, ..with_approval })
    }

    fn respond(
        &self,
        kin: &Kin,
        place: &Placed,
        asked: Asked<'_>,
        set: &PolicySet,
    ) -> Result<Response, String> {
        let context =
            if kin.ignores_context { Context::empty() } else { asked.context(&self.arguments, kin.wants)? };
        // The context is made as the schema says, so Cedar need not look at it again; it would have to be
        // whole for that, and what Cedar says of one that does not fit repeats the arguments.
        let request =
            Request::new(kin.principal.clone(), self.action.clone(), place.tool.uid(), context, None)
                .map_err(|_| "the request cannot be put together".to_owned())?;
        Ok(Authorizer::new().is_authorized(&request, set, &kin.entities))
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

    /// What has to be agreed to: every forbid that an agreement lifts is a gate of its own, and so are the
    /// permits that then hold, if none of them holds without, or if a forbid is lifted that does not say by
    /// whose agreement. A permit that only an agreement makes hold and that does not say whose counts for
    /// nothing: nobody could give it.
    fn gates(&self, (now, approved): (&Response, &Response), unforbidden: &Response) -> Vec<Gate> {
        let holds = |id: &PolicyId| unforbidden.diagnostics().reason().any(|held| held == id);
        let mut permits: Vec<&PolicyId> = approved.diagnostics().reason().collect();
        permits.retain(|id| self.gate(id).is_some() || holds(id));
        if permits.is_empty() {
            return vec![];
        }
        permits.sort();
        let lifted: Vec<Option<&Gate>> = now.diagnostics().reason().map(|id| self.gate(id)).collect();
        let of_permits = if lifted.iter().any(Option::is_none) {
            permits.iter().find_map(|id| self.gate(id))
        } else {
            self.gate_of_permits(&permits)
        };
        let gates: BTreeSet<&Gate> = lifted.into_iter().flatten().chain(of_permits).collect();
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

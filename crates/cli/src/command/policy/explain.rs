//! `quaymaster policy explain`: one decision, with its grounds.

use clap::Args;
use quaymaster_control::policy::{DecisionEffect, Obligations, Redaction, Written};
use quaymaster_core::setting::Slug;
use quaymaster_core::{AgentClaims, Arguments, Clock as _, Raw, SystemClock, Timestamp};
use quaymaster_gateway::{Answer, Question, Rules, outcome};
use serde_json::{Value, json};

use super::asking::{Asked, Asker};
use crate::failure::Failure;
use crate::out;

/// Says what would be decided on a call, why, and what would change it.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    asker: Asker,
    /// The tool by its public name.
    #[arg(long)]
    tool: String,
    /// The arguments as one JSON object.
    #[arg(long, value_name = "OBJECT", default_value = "{}")]
    arguments: String,
    /// When, such as `2026-11-21T10:00:00Z`. Now if absent.
    #[arg(long, value_parser = Timestamp::parse)]
    at: Option<Timestamp>,
    /// The business reason that is given.
    #[arg(long)]
    reason: Option<String>,
    /// What whoever asks has seen, such as `saw:untrusted`. May be given several times.
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// What the client calls itself.
    #[arg(long)]
    client: Option<String>,
    /// The model that the agent claims to use.
    #[arg(long)]
    model: Option<String>,
    /// The sandbox that the agent claims to run in.
    #[arg(long)]
    sandbox_mode: Option<String>,
    /// Print JSON: `{"effect", "visible", "policies", "reasons", "obligations", "changes", …}`.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let rules = self.asked.rules(None).await?;
        let question = self.question(&rules)?;
        let answer = rules.ask(&question).map_err(Failure::Usage)?;
        let written: Vec<Written> = answer
            .decision
            .policies
            .iter()
            .filter_map(|id| rules.policies().written(&answer.tool, id))
            .collect();
        let changes = self.changes(&rules, &question, &answer)?;
        if self.json {
            return out::json(&as_json(&answer, &written, &changes));
        }
        tell(&rules, &answer, &written)?;
        if !changes.is_empty() {
            out::line("what would change it:")?;
        }
        changes.iter().try_for_each(|change| out::line(format!("  {change}")))
    }

    fn question(&self, rules: &Rules) -> Result<Question, Failure> {
        let raw = Raw::read(&self.arguments).map_err(|e| Failure::Usage(format!("--arguments: {e}")))?;
        let arguments =
            Arguments::parse(Some(raw)).map_err(|e| Failure::Usage(format!("--arguments: {e}")))?;
        let agent = AgentClaims {
            client: self.client.clone(),
            model: self.model.clone(),
            sandbox_mode: self.sandbox_mode.clone(),
            ..AgentClaims::default()
        };
        Ok(Question {
            actor: self.asker.actor(rules)?,
            tool: self.tool.clone(),
            arguments,
            agent,
            at: self.at.unwrap_or_else(|| SystemClock.now()),
            labels: self.labels.clone(),
            reason: self.reason.clone(),
            session: None,
        })
    }

    /// Every role more or less that makes a difference, every agreement, and every condition
    /// that is not settled by who asks for what.
    fn changes(&self, rules: &Rules, question: &Question, answer: &Answer) -> Result<Vec<String>, Failure> {
        let was = outcome(&answer.decision.effect);
        let mut changes = Vec::new();
        for role in rules.configuration().settings.roles.keys() {
            let has = self.asker.roles.contains(role);
            let others = self.asker.roles.iter().filter(|other| *other != role).cloned();
            let held: Vec<Slug> = others.chain((!has).then(|| role.clone())).collect();
            let actor = self.asker.with(rules, &held)?;
            let then = rules.ask(&Question { actor, ..question.clone() }).map_err(Failure::Usage)?;
            let then = outcome(&then.decision.effect);
            if then != was {
                changes.push(format!("{} the role `{role}`: {then}", if has { "without" } else { "with" }));
            }
        }
        if let DecisionEffect::NeedsApproval { gates } = &answer.decision.effect {
            changes.extend(gates.iter().map(|gate| format!("the agreement of {gate}")));
        }
        for residual in rules.policies().residuals(&question.actor, &answer.tool) {
            let settled = answer.decision.policies.contains(&residual.id);
            let what = match (residual.permits, settled) {
                (true, true) => "it would lose this permit if its condition did not hold",
                (true, false) => "it would gain this permit if its condition held",
                (false, true) => "it would not be forbidden by this if its condition did not hold",
                (false, false) => "it would be forbidden if the condition of this held",
            };
            let place = residual.place.map(|place| format!(" ({place})")).unwrap_or_default();
            changes.push(format!("{what}: `{}`{place}: {}", residual.id, conditions(&residual.text)));
        }
        Ok(changes)
    }
}

/// The conditions of a policy in one line.
fn conditions(text: &str) -> String {
    let scope_end = text.find("when").into_iter().chain(text.find("unless")).min().unwrap_or_default();
    let text = text.get(scope_end..).unwrap_or(text);
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches(';').to_owned()
}

fn tell(rules: &Rules, answer: &Answer, written: &[Written]) -> Result<(), Failure> {
    let decision = &answer.decision;
    out::line(format!("{}: {}", answer.tool.name(), outcome(&decision.effect)))?;
    if !rules.knows_arguments(&answer.tool) {
        out::line("its server was not asked, so its arguments are not checked: see --connect")?;
    }
    if !answer.is_seen {
        out::line("the actor does not see the tool, so the call is answered like one of no tool at all")?;
    }
    if let Some(error) = &answer.invalid {
        out::line(format!("before policy is asked, the call is refused: {error}"))?;
    }
    if decision.policies.is_empty() && decision.errors == 0 {
        out::line("no policy permits it")?;
    }
    for reason in &decision.reasons {
        out::line(format!("reason: {reason}"))?;
    }
    for policy in written {
        let place = policy.place.as_deref().unwrap_or("from the connector");
        out::line(format!("determined by `{}` ({place}):", policy.id))?;
        policy.text.lines().try_for_each(|line| out::line(format!("    {line}")))?;
    }
    demands(&decision.obligations).iter().try_for_each(|demand| out::line(format!("demands: {demand}")))
}

/// What binds a call, one demand a line.
fn demands(obligations: &Obligations) -> Vec<String> {
    let Obligations { redactions, limits, reason_required, labels } = obligations;
    let fields = redactions.iter().map(|field| format!("`{}` is taken out of the result", field.as_str()));
    let limits = limits.iter().map(|limit| format!("at most {} (by `{}`)", limit.limit, limit.policy));
    let labels = labels.iter().map(|label| format!("whoever gets the result is labelled `{label}`"));
    let reason = reason_required.then(|| "a business reason, in the argument `reason`".to_owned());
    fields.chain(limits).chain(reason).chain(labels).collect()
}

fn as_json(answer: &Answer, written: &[Written], changes: &[String]) -> Value {
    let decision = &answer.decision;
    let gates = match &decision.effect {
        DecisionEffect::NeedsApproval { gates } => gates.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let policies: Vec<Value> =
        written.iter().map(|p| json!({"id": p.id, "place": p.place, "text": p.text})).collect();
    let obligations = &decision.obligations;
    json!({
        "tool": answer.tool.name(),
        "effect": decision.effect.as_str(),
        "visible": answer.is_seen,
        "invalid": answer.invalid.as_ref().map(ToString::to_string),
        "approval": gates,
        "policies": policies,
        "reasons": decision.reasons,
        "errors": decision.errors,
        "obligations": {
            "labels": obligations.labels,
            "limits": obligations.limits.iter().map(|l| json!({"policy": l.policy, "limit": l.limit.to_string()})).collect::<Vec<_>>(),
            "reason_required": obligations.reason_required,
            "redactions": obligations.redactions.iter().map(Redaction::as_str).collect::<Vec<_>>(),
        },
        "changes": changes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conditions_of_a_policy_are_told_in_one_line() {
        let text =
            "permit (principal, action, resource)\nwhen {\n  context.arguments.a == 1\n}\nunless { false };";
        assert_eq!(conditions(text), "when { context.arguments.a == 1 } unless { false }");
    }
}

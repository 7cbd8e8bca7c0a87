//! `quaymaster policy test`: the tests beside the policies.

use clap::Args;
use quaymaster_control::authentication;
use quaymaster_control::policy::{DecisionEffect, Redaction};
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, ActorId, AgentClaims, Arguments, Timestamp};
use quaymaster_gateway::config::{
    Expected, ExpectedObligations, PolicyCase, TestActor, TestContext, load_tests,
};
use quaymaster_gateway::{Answer, Question, Rules};
use serde_json::{Value, json};

use super::asking::{Asked, Others};
use crate::failure::Failure;
use crate::out;

/// A Wednesday at noon: when a call is made of which no test says when.
const NOON: &str = "2026-01-07T12:00:00Z";

/// Runs the tests beside the policies: `policies/*.test.yaml`.
///
/// `quaymaster schema policy-tests` prints the form of these files.
#[derive(Debug, Args)]
pub(super) struct Test {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    others: Others,
    /// Print JSON: `{"passed", "failed": [{"file", "name", "differences"}]}`.
    #[arg(long)]
    json: bool,
}

impl Test {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let files =
            load_tests(&self.asked.place.config).map_err(|found| Failure::Configuration(Box::new(found)))?;
        let rules = self.asked.rules(self.others.policies.as_deref()).await?;
        let (mut passed, mut failed) = (0_u64, Vec::new());
        for cases in &files {
            let (actor, tool) = (cases.file.actor.as_ref(), cases.file.tool.as_deref());
            for case in &cases.file.tests {
                let differences = match run(&rules, case, actor, tool) {
                    Ok(answer) => differences(case, &answer),
                    Err(message) => vec![message],
                };
                if differences.is_empty() {
                    passed += 1;
                } else {
                    failed.push((cases.path.as_str(), case.name.as_str(), differences));
                }
            }
        }
        self.tell(passed, &failed)?;
        if failed.is_empty() { Ok(()) } else { Err(Failure::Told) }
    }

    fn tell(&self, passed: u64, failed: &[(&str, &str, Vec<String>)]) -> Result<(), Failure> {
        if self.json {
            let failed: Vec<Value> = failed
                .iter()
                .map(|(file, name, differences)| json!({"file": file, "name": name, "differences": differences}))
                .collect();
            return out::json(&json!({"passed": passed, "failed": failed}));
        }
        for (file, name, differences) in failed {
            out::line(format!("FAILED {file}: {name}"))?;
            differences.iter().try_for_each(|difference| out::line(format!("    {difference}")))?;
        }
        out::line(format!("{passed} passed, {} failed", failed.len()))
    }
}

fn run(
    rules: &Rules,
    case: &PolicyCase,
    actor: Option<&TestActor>,
    tool: Option<&str>,
) -> Result<Answer, String> {
    let actor = case.actor.as_ref().or(actor).ok_or("it says neither here nor above who asks: `actor`")?;
    let tool = case.tool.as_deref().or(tool).ok_or("it says neither here nor above which tool: `tool`")?;
    let TestContext { time, agent, labels, reason, session } = &case.context;
    rules.ask(&Question {
        actor: actor_of(rules, actor)?,
        tool: tool.to_owned(),
        arguments: Arguments::from_map(case.arguments.clone()),
        agent: AgentClaims {
            auto_review: agent.auto_review,
            client: agent.client.clone(),
            model: agent.model.clone(),
            sandbox_mode: agent.sandbox_mode.clone(),
            ..AgentClaims::default()
        },
        at: Timestamp::parse(time.as_deref().unwrap_or(NOON))?,
        labels: labels.clone(),
        reason: reason.clone(),
        session: session.clone(),
    })
}

fn actor_of(rules: &Rules, actor: &TestActor) -> Result<Actor, String> {
    let id = ActorId::parse(actor.id.as_deref().unwrap_or("somebody@example.test"))?;
    let by = authentication(actor.authentication.as_deref().unwrap_or("token"))?;
    let person = actor.person.as_deref().map(ActorId::parse).transpose()?;
    let mut groups = actor.groups.clone();
    groups.sort();
    groups.dedup();
    Ok(Actor {
        person,
        groups: groups.into(),
        ..rules.actor(id, &actor.roles, actor.workspace.as_ref(), by)?
    })
}

/// What came out otherwise than expected, one difference a line.
fn differences(case: &PolicyCase, answer: &Answer) -> Vec<String> {
    let decision = &answer.decision;
    let mut differences = Vec::new();
    let mut compare = |what: &str, expected: String, got: String| {
        if expected != got {
            differences.push(format!("{what}: expected {expected}, got {got}"));
        }
    };
    let got = match &decision.effect {
        _ if !answer.is_seen => Expected::Hidden,
        DecisionEffect::Allow => Expected::Allow,
        DecisionEffect::Deny => Expected::Deny,
        DecisionEffect::NeedsApproval { .. } => Expected::Approval,
    };
    // Policy alone is looked at: whether the arguments fit the schema is the schema's business.
    let because = match decision.policies.as_slice() {
        [] => String::new(),
        policies => format!(" by `{}`", policies.join("`, `")),
    };
    if got != case.expect {
        compare("decision", word(case.expect).into(), format!("{}{because}", word(got)));
    }
    if let Some(by) = &case.by {
        compare(
            "who has to agree",
            list(by.iter().map(Slug::as_str)),
            list(deciders(&decision.effect).into_iter()),
        );
    }
    if let Some(policies) = &case.policies {
        let ids = |ids: &[String]| list(ids.iter().map(String::as_str));
        compare("policies", ids(policies), ids(&decision.policies));
    }
    if let Some(ExpectedObligations { redact, limit, label, reason_required }) = &case.obligations {
        let texts = |texts: &[String]| list(texts.iter().map(String::as_str));
        let own = &decision.obligations;
        let limits: Vec<String> = own.limits.iter().map(|l| l.limit.to_string()).collect();
        compare("redact", texts(redact), list(own.redactions.iter().map(Redaction::as_str)));
        compare("limit", texts(limit), texts(&limits));
        compare("label", texts(label), list(own.labels.iter().map(String::as_str)));
        compare("reasonRequired", reason_required.to_string(), own.reason_required.to_string());
    }
    differences
}

fn deciders(effect: &DecisionEffect) -> Vec<&str> {
    match effect {
        DecisionEffect::NeedsApproval { gates } => {
            gates.iter().flat_map(|gate| &gate.roles).map(Slug::as_str).collect()
        }
        _ => Vec::new(),
    }
}

/// In one order, without repeats.
fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: std::collections::BTreeSet<&str> = texts.collect();
    format!("[{}]", texts.into_iter().collect::<Vec<_>>().join(", "))
}

fn word(expected: Expected) -> &'static str {
    match expected {
        Expected::Allow => "allow",
        Expected::Deny => "deny",
        Expected::Hidden => "hidden",
        Expected::Approval => "approval",
    }
}

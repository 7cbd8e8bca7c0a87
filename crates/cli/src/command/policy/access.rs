//! `quaymaster policy access`: which role may use which tool.

use std::collections::BTreeMap;

use clap::Args;
use quaymaster_catalog::Tool;
use quaymaster_control::policy::DecisionEffect;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, AgentClaims, Arguments, Timestamp};
use quaymaster_gateway::{Question, Rules};
use serde_json::json;

use super::asking::{Asked, Asker, Others};
use crate::failure::Failure;
use crate::out;

/// Shows which role may use which tool: yes, no, under conditions, or after an approval.
#[derive(Debug, Args)]
pub(super) struct Access {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    others: Others,
    /// The workspace. The default one if absent.
    #[arg(long, value_parser = Slug::parse)]
    workspace: Option<Slug>,
    /// Print JSON: `{"workspace", "tools": {"<tool>": {"<role>": "yes" | "no" | …}}}`.
    #[arg(long)]
    json: bool,
}

/// What an actor may do with a tool, in a word.
pub(super) fn access(rules: &Rules, actor: &Actor, tool: &Tool) -> Result<&'static str, Failure> {
    if !tool.declaration().workspaces.contains(&actor.workspace)
        || !rules.policies().could_permit(actor, tool)
    {
        return Ok("no");
    }
    let residuals = rules.policies().residuals(actor, tool);
    if residuals.iter().any(|residual| !residual.approval) {
        return Ok("conditions");
    }
    let approved = |effect: &DecisionEffect| matches!(effect, DecisionEffect::NeedsApproval { .. });
    let question = Question {
        actor: actor.clone(),
        tool: tool.name().to_string(),
        arguments: Arguments::default(),
        agent: AgentClaims::default(),
        at: Timestamp::from_micros(0),
        labels: Vec::new(),
        reason: None,
        session: None,
    };
    let answer = rules.ask(&question).map_err(Failure::Usage)?;
    Ok(if approved(&answer.decision.effect) || !residuals.is_empty() { "approval" } else { "yes" })
}

/// Tools, each with what every role may do with it.
pub(super) type Matrix = BTreeMap<String, BTreeMap<String, &'static str>>;

/// What each role by itself may do.
pub(super) fn matrix(rules: &Rules, asker: &Asker) -> Result<Matrix, Failure> {
    let mut matrix = Matrix::new();
    for role in rules.configuration().settings.roles.keys() {
        let actor = asker.with(rules, std::slice::from_ref(role))?;
        for tool in rules.catalogue().offers() {
            let row = matrix.entry(tool.name().to_string()).or_default();
            row.insert(role.to_string(), access(rules, &actor, tool)?);
        }
    }
    Ok(matrix)
}

impl Access {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let rules = self.asked.rules(self.others.policies.as_deref()).await?;
        let asker = Asker::somebody_in(self.workspace)?;
        let workspace = asker.actor(&rules)?.workspace;
        let matrix = matrix(&rules, &asker)?;
        if self.json {
            return out::json(&json!({"workspace": workspace, "tools": matrix}));
        }
        let columns: Vec<String> =
            rules.configuration().settings.roles.keys().map(ToString::to_string).collect();
        let row = |name: &str, cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells.map(|cell| format!("{cell:<18}")).collect();
            out::line(format!("{name:<44} {}", cells.join(" ").trim_end()))
        };
        row("", &mut columns.iter().map(String::as_str))?;
        for (tool, cells) in &matrix {
            row(tool, &mut columns.iter().filter_map(|role| cells.get(role).copied()))?;
        }
        Ok(())
    }
}

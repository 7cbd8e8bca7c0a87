//! `quaymaster policy what-if`: what a change would change, before it is made.

use clap::Args;
use quaymaster_core::Timestamp;
use quaymaster_core::setting::Slug;
use quaymaster_gateway::Rules;
use serde::Serialize;
use serde_json::json;

use super::access::{access, matrix};
use super::asking::{Asked, Asker, Others};
use super::backtest;
use crate::failure::Failure;
use crate::out;

/// Says what another role or other policies would change.
#[derive(Debug, Args)]
pub(super) struct WhatIf {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    asker: Asker,
    #[command(flatten)]
    others: Others,
    /// A role that the actor would have as well.
    #[arg(long, value_name = "ROLE", value_parser = Slug::parse)]
    add_role: Vec<Slug>,
    /// A role that the actor would no longer have.
    #[arg(long, value_name = "ROLE", value_parser = Slug::parse)]
    remove_role: Vec<Slug>,
    /// With `--policies`: make the decisions of the audit log again as well.
    #[arg(long, requires = "policies")]
    audit: bool,
    /// Print JSON: `{"differences": [{"tool", "role", "was", "would_be"}], "audit"}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Difference {
    tool: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    was: &'static str,
    would_be: &'static str,
}

impl WhatIf {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let rules = self.asked.rules(None).await?;
        let (others, differences) = match &self.others.policies {
            Some(policies) => {
                let others = self.asked.rules(Some(policies)).await?;
                let differences = self.of_policies(&rules, &others)?;
                (Some(others), differences)
            }
            None => (None, self.of_roles(&rules)?),
        };
        let replayed = match others.filter(|_| self.audit) {
            Some(others) => {
                Some(backtest::replay(&self.asked.place, &others, None::<Timestamp>, None).await?)
            }
            None => None,
        };
        if self.json {
            return out::json(&json!({"differences": differences, "audit": replayed}));
        }
        if differences.is_empty() {
            out::line("nobody may do more or less")?;
        }
        for Difference { tool, role, was, would_be } in &differences {
            let role = role.as_deref().map(|role| format!(" {role}:")).unwrap_or_default();
            out::line(format!("{tool}:{role} {was} → {would_be}"))?;
        }
        replayed.iter().try_for_each(backtest::tell)
    }

    /// What each role may do under these rules and those.
    fn of_policies(&self, rules: &Rules, others: &Rules) -> Result<Vec<Difference>, Failure> {
        let (before, after) = (matrix(rules, &self.asker)?, matrix(others, &self.asker)?);
        let mut differences = Vec::new();
        for (tool, cells) in &before {
            for (role, was) in cells {
                let would_be = after.get(tool).and_then(|cells| cells.get(role)).copied().unwrap_or("no");
                if *was != would_be {
                    differences.push(Difference {
                        tool: tool.clone(),
                        role: Some(role.clone()),
                        was,
                        would_be,
                    });
                }
            }
        }
        Ok(differences)
    }

    /// What the actor may do with the roles that it has, and with those that it would have.
    fn of_roles(&self, rules: &Rules) -> Result<Vec<Difference>, Failure> {
        if self.add_role.is_empty() && self.remove_role.is_empty() {
            let message = "say what changes: --add-role, --remove-role or --policies";
            return Err(Failure::Usage(message.into()));
        }
        let kept = self.asker.roles.iter().filter(|role| !self.remove_role.contains(role));
        let held: Vec<Slug> = kept.chain(&self.add_role).cloned().collect();
        let (before, after) = (self.asker.actor(rules)?, self.asker.with(rules, &held)?);
        let mut differences = Vec::new();
        for tool in rules.catalogue().offers() {
            let (was, would_be) = (access(rules, &before, tool)?, access(rules, &after, tool)?);
            if was != would_be {
                differences.push(Difference { tool: tool.name().to_string(), role: None, was, would_be });
            }
        }
        Ok(differences)
    }
}

//! `quaymaster policy prove`: what holds of the policies for every call that there could ever be.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Args, Subcommand};
use quaymaster_control::policy::{Example, Finding, Idle, Never, ProofError, Prover};
use quaymaster_core::setting::Slug;
use quaymaster_gateway::Rules;
use serde_json::{Value, json};

use super::asking::{Asked, Others};
use crate::failure::Failure;
use crate::out;

/// Proves something of every call, by the solver cvc5, 1.3 or later.
#[derive(Debug, Args)]
pub(super) struct Prove {
    #[command(subcommand)]
    claim: Claim,
}

#[derive(Debug, Subcommand)]
enum Claim {
    /// That such calls are never allowed.
    Never(NeverArgs),
    /// That other policies allow nothing that these do not allow.
    Implies(ImpliesArgs),
    /// Which policies are without an effect: nothing would change without one of them.
    Useless(UselessArgs),
}

/// How anything is proved.
#[derive(Debug, Args)]
struct How {
    #[command(flatten)]
    asked: Asked,
    /// The solver: a path, or a name to look for. `$CVC5` if absent, else `cvc5`.
    #[arg(long, value_name = "PROGRAM")]
    solver: Option<OsString>,
    /// Print JSON: `{"holds", "findings": [{"tool" or "policy", "finding", "why", "example"}]}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct NeverArgs {
    #[command(flatten)]
    how: How,
    /// The tool by its public name. Every tool if absent.
    #[arg(long)]
    tool: Option<String>,
    /// A role of whoever asks, who has no other. May be given several times. Anybody if absent.
    #[arg(long = "role", value_name = "ROLE", value_parser = Slug::parse)]
    roles: Vec<Slug>,
    /// Which calls, as an expression in Cedar, such as `context.arguments.amount > 100`.
    #[arg(long, value_name = "EXPRESSION")]
    when: Option<String>,
    /// Without anybody's agreement. Else what somebody may agree to counts as allowed.
    #[arg(long)]
    unapproved: bool,
}

#[derive(Debug, Args)]
struct ImpliesArgs {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    others: Others,
    /// The tool by its public name. Every tool if absent.
    #[arg(long)]
    tool: Option<String>,
}

#[derive(Debug, Args)]
struct UselessArgs {
    #[command(flatten)]
    how: How,
}

impl Prove {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self.claim {
            Claim::Never(never) => never.run().await,
            Claim::Implies(implies) => implies.run().await,
            Claim::Useless(useless) => useless.run().await,
        }
    }
}

impl NeverArgs {
    async fn run(self) -> Result<(), Failure> {
        let rules = self.how.asked.rules(None).await?;
        let held: BTreeSet<Slug> = self.roles.iter().cloned().collect();
        check_roles(&rules, &held)?;
        let claim = Never {
            roles: (!held.is_empty()).then_some(held),
            when: self.when.clone(),
            unapproved: self.unapproved,
        };
        let mut prover = self.how.prover().await?;
        let mut found = Vec::new();
        for tool in asked_tools(&rules, self.tool.as_deref())? {
            let finding = rules.policies().never(&mut prover, &tool, &claim).await?;
            found.push((tool.name().to_string(), finding));
        }
        self.how.tell(&found, "never allowed", "allowed")
    }
}

impl ImpliesArgs {
    async fn run(self) -> Result<(), Failure> {
        let Some(folder) = &self.others.policies else {
            return Err(Failure::Usage("say which policies: --policies FOLDER".into()));
        };
        let rules = self.how.asked.rules(None).await?;
        let others = self.how.asked.rules(Some(folder)).await?;
        let mut prover = self.how.prover().await?;
        let mut found = Vec::new();
        for tool in asked_tools(&others, self.tool.as_deref())? {
            let finding = others.policies().implied_by(&mut prover, &tool, rules.policies()).await;
            found.push((tool.name().to_string(), finding?));
        }
        self.how.tell(&found, "nothing more is allowed", "more is allowed")
    }
}

impl UselessArgs {
    async fn run(self) -> Result<(), Failure> {
        let rules = self.how.asked.rules(None).await?;
        let mut prover = self.how.prover().await?;
        let idle = rules.policies().without_effect(&mut prover).await?;
        let is_idle = |idle: &Idle| idle.finding == Finding::Holds;
        if self.how.json {
            let found: Vec<Value> =
                idle.iter().map(|idle| as_json("policy", &idle.id, &idle.finding)).collect();
            out::json(&json!({"holds": !idle.iter().any(is_idle), "findings": found}))?;
        } else {
            for Idle { id, place, finding } in &idle {
                let place = place.as_deref().unwrap_or_default();
                match finding {
                    Finding::Unknown(why) => out::line(format!("{id} ({place}): not known: {why}"))?,
                    _ => out::line(format!("{id} ({place}): nothing would change without it"))?,
                }
            }
            if idle.is_empty() {
                out::line("every policy about calls has an effect")?;
            }
        }
        if idle.iter().any(is_idle) { Err(Failure::Told) } else { Ok(()) }
    }
}

impl How {
    async fn prover(&self) -> Result<Prover, Failure> {
        let of_environment = || std::env::var_os("CVC5").filter(|program| !program.is_empty());
        let program = self.solver.clone().or_else(of_environment).unwrap_or_else(|| "cvc5".into());
        Ok(Prover::find(program, std::env::var_os("PATH").unwrap_or_default()).await?)
    }

    /// Tells what was found; a claim that was not proved of every tool is a failure.
    fn tell(&self, found: &[(String, Finding)], holds: &str, fails: &str) -> Result<(), Failure> {
        let all_hold = found.iter().all(|(_, finding)| *finding == Finding::Holds);
        if self.json {
            let found: Vec<Value> =
                found.iter().map(|(tool, finding)| as_json("tool", tool, finding)).collect();
            out::json(&json!({"holds": all_hold, "findings": found}))?;
        } else {
            for (tool, finding) in found {
                match finding {
                    Finding::Holds => out::line(format!("{tool}: {holds}"))?,
                    Finding::Unknown(why) => out::line(format!("{tool}: not known: {why}"))?,
                    Finding::Fails(Example { workspace, roles, context }) => {
                        let roles = if roles.is_empty() { "nobody's".into() } else { roles.join(", ") };
                        out::line(format!(
                            "{tool}: {fails}, for example in `{workspace}` with the roles {roles}:"
                        ))?;
                        context.iter().try_for_each(|line| out::line(format!("    {line}")))?;
                    }
                }
            }
        }
        if all_hold { Ok(()) } else { Err(Failure::Told) }
    }
}

fn as_json(what: &str, name: &str, finding: &Finding) -> Value {
    let (word, why, example) = match finding {
        Finding::Holds => ("holds", None, None),
        Finding::Unknown(why) => ("unknown", Some(why), None),
        Finding::Fails(Example { workspace, roles, context }) => {
            let example = json!({"workspace": workspace, "roles": roles, "context": context});
            ("fails", None, Some(example))
        }
    };
    json!({what: name, "finding": word, "why": why, "example": example})
}

fn asked_tools(
    rules: &Rules,
    name: Option<&str>,
) -> Result<Vec<std::sync::Arc<quaymaster_catalog::Tool>>, Failure> {
    match name {
        Some(name) => Ok(vec![rules.tool(name).cloned().map_err(Failure::Usage)?]),
        None => Ok(rules.catalogue().offers().cloned().collect()),
    }
}

/// A role that nobody declared could be in no policy, and everything would hold of it.
fn check_roles(rules: &Rules, held: &BTreeSet<Slug>) -> Result<(), Failure> {
    let declared = &rules.configuration().settings.roles;
    match held.iter().find(|role| !declared.contains_key(*role)) {
        Some(role) => Err(Failure::Usage(format!("unknown role `{role}`"))),
        None => Ok(()),
    }
}

impl From<ProofError> for Failure {
    /// With the stable code of the error.
    fn from(error: ProofError) -> Self {
        let code = error.code();
        match error {
            ProofError::NoSolver { .. } | ProofError::OtherSolver { .. } => Self::Outside(format!(
                "{error} ({code})\n  help: install cvc5 1.3 or later, and name it with --solver, in CVC5 or on PATH"
            )),
            ProofError::Condition(_) => Self::Usage(format!("{error} ({code})")),
            _ => Self::Outside(format!("{error} ({code})")),
        }
    }
}

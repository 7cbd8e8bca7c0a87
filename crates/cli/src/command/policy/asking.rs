//! What the commands about policies have in common: whose rules, and who asks.

use std::path::{Path, PathBuf};

use clap::Args;
use quaymaster_control::authentication;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, ActorId};
use quaymaster_gateway::Rules;

use crate::command::place::Place;
use crate::failure::Failure;

/// The rules that are asked.
#[derive(Clone, Debug, Args)]
pub(super) struct Asked {
    #[command(flatten)]
    pub(super) place: Place,
    /// Start the MCP servers and ask them for their tools, so that policies about these are validated.
    #[arg(long)]
    pub(super) connect: bool,
}

impl Asked {
    /// The rules, with the policies of another folder where one is given.
    pub(super) async fn rules(&self, policies: Option<&Path>) -> Result<Rules, Failure> {
        let rules = if self.connect {
            Rules::connect(&self.place.config, policies).await
        } else {
            Rules::load(&self.place.config, policies)
        };
        rules.map_err(|found| Failure::Configuration(Box::new(found)))
    }
}

/// Who asks.
#[derive(Clone, Debug, Args)]
pub(super) struct Asker {
    /// The account that asks.
    #[arg(long, default_value = "somebody@example.test", value_parser = ActorId::parse)]
    pub(super) actor: ActorId,
    /// The person behind the account, where that is another name.
    #[arg(long, value_parser = ActorId::parse)]
    person: Option<ActorId>,
    /// A role that the actor has. May be given several times.
    #[arg(long = "role", value_name = "ROLE", value_parser = Slug::parse)]
    pub(super) roles: Vec<Slug>,
    /// A group that the actor is in, such as `corp:eng`. May be given several times.
    #[arg(long = "group", value_name = "ISSUER:GROUP")]
    groups: Vec<String>,
    /// The workspace that the actor acts in. The default one if absent.
    #[arg(long, value_parser = Slug::parse)]
    workspace: Option<Slug>,
    /// How the actor was established: `token` or `local_user`.
    #[arg(long, default_value = "token")]
    authentication: String,
}

impl Asker {
    /// The actor with the roles `held` instead of its own.
    pub(super) fn with(&self, rules: &Rules, held: &[Slug]) -> Result<Actor, Failure> {
        let by = authentication(&self.authentication).map_err(Failure::Usage)?;
        let actor = rules.actor(self.actor.clone(), held, self.workspace.as_ref(), by);
        let mut groups = self.groups.clone();
        groups.sort();
        groups.dedup();
        let (person, groups) = (self.person.clone(), groups.into());
        Ok(Actor { person, groups, ..actor.map_err(Failure::Usage)? })
    }

    pub(super) fn actor(&self, rules: &Rules) -> Result<Actor, Failure> {
        self.with(rules, &self.roles)
    }
}

/// A folder with other policies.
#[derive(Clone, Debug, Args)]
pub(super) struct Others {
    /// A folder with policies instead of those of the configuration.
    #[arg(long, value_name = "FOLDER")]
    pub(super) policies: Option<PathBuf>,
}

impl Asker {
    /// Somebody without a role, in `workspace`.
    pub(super) fn somebody_in(workspace: Option<Slug>) -> Result<Self, Failure> {
        let actor = ActorId::parse("somebody@example.test").map_err(Failure::Usage)?;
        let (roles, groups) = (Vec::new(), Vec::new());
        Ok(Self { actor, person: None, roles, groups, workspace, authentication: "token".into() })
    }
}

//! `quaymaster policy`: what the policies say, why, and what a change of them would change.
//!
//! Nothing is called and nothing is recorded. MCP servers are started only with `--connect`;
//! without it, policies about their tools are taken as they are and not validated.

mod access;
mod asking;
mod backtest;
mod explain;
mod prove;
mod test;
mod what_if;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Explains, tests and compares policies.
#[derive(Debug, Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Says what would be decided on a call, why, and what would change it.
    Explain(explain::Explain),
    /// Runs the tests beside the policies: `policies/*.test.yaml`.
    Test(test::Test),
    /// Says what another role or other policies would change.
    WhatIf(what_if::WhatIf),
    /// Makes the decisions of the audit log again under other policies.
    Backtest(backtest::Backtest),
    /// Shows which role may use which tool.
    Access(access::Access),
    /// Proves something of every call that there could be, where the solver cvc5 is there.
    Prove(prove::Prove),
}

impl Policy {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Explain(explain) => explain.run().await,
            Action::Test(test) => test.run().await,
            Action::WhatIf(what_if) => what_if.run().await,
            Action::Backtest(backtest) => backtest.run().await,
            Action::Access(access) => access.run().await,
            Action::Prove(prove) => prove.run().await,
        }
    }
}

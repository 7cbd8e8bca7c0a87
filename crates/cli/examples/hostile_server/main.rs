//! An MCP server that misbehaves, for tests of the gateway in front of it.
//!
//!     hostile_server stdio BEHAVIOUR ERA MARK    # one behaviour over standard input and output
//!     hostile_server http MARK                   # all of them at http://ADDRESS/BEHAVIOUR/ERA/mcp; prints ADDRESS
//!
//! What it does wrong is a table in `behaviour`; `script` says which bytes that is, and `stdio`
//! and `http` carry them. MARK is not looked at: by it a test finds the processes that are left.
//! It is an example so that no release has it. `crates/cli/tests/it/hostile.rs` is its test.

mod behaviour;
mod http;
mod script;
mod stdio;

use anyhow::{Context as _, bail};

use crate::script::Role;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["stdio", behaviour, era, mark] => {
            stdio::serve(Role::parse(behaviour, era).context("no such behaviour")?, mark)
        }
        ["http", _] => http::serve(),
        _ => bail!("say `stdio BEHAVIOUR ERA MARK` or `http MARK`"),
    }
}

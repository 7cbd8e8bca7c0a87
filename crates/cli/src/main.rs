//! The binary `quaymaster`.
//!
//! This file knows the commands and the exit codes; each command is a file in
//! `command`. What a command prints for people goes to standard output in plain
//! text, with `--json` as JSON; logs and complaints go to standard error.

mod command;
mod demo;
mod failure;
mod out;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use quaymaster_operations::logs::{LogFormat, start};

use crate::failure::Failure;

/// A call makes about a hundred small allocations; with this allocator it executes
/// a sixteenth fewer instructions (`docs/benchmarks.md`). Huge pages are off: an idle
/// gateway would hold 8 MiB more for nothing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  what was asked for failed: a refused or failed call, a damaged audit log, a failed tour,
     a required MCP server that is not up
  2  wrong usage
  3  the configuration is not valid
  4  something outside failed: a file, a port, the store";

/// A governed MCP gateway between AI agents and a company's systems.
#[derive(Debug, Parser)]
#[command(name = "quaymaster", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Arguments {
    /// The form of log lines on standard error.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogForm,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogForm {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sets up a sample company and serves it, with nothing installed but this binary.
    Demo(command::demo::Demo),
    /// Serves MCP over HTTP.
    Serve(command::serve::Serve),
    /// Serves MCP over standard input and output, as the local user.
    Stdio(command::stdio::Stdio),
    /// Checks a configuration and says what is wrong, where, and what would be right.
    Check(command::check::Check),
    /// Prints the JSON Schema of a configuration file.
    Schema(command::schema::Schema),
    /// Makes, lists and revokes bearer tokens.
    Token(command::token::Token),
    /// Stores, lists and removes people's own tokens for systems that are asked in their names.
    Credentials(command::credentials::Credentials),
    /// Logs people in to the console.
    Console(command::console::Console),
    /// Logs you in at an issuer, for the commands that take a token.
    Login(command::login::Login),
    /// Forgets that you are logged in.
    Logout(command::login::Logout),
    /// Lists and rotates the keys that seal handles: cursors, states and the like.
    Keys(command::keys::Keys),
    /// Lists and shows tools.
    Tools(command::tools::Tools),
    /// Calls a tool as the local user, on the same path as any client.
    Call(command::call::Call),
    /// Starts the MCP servers, says how each one is, and stops them.
    Upstreams(command::upstreams::Upstreams),
    /// Reads requests for approval and decides on them.
    Approvals(command::approvals::Approvals),
    /// Reads and verifies the audit log.
    Audit(command::audit::Audit),
    /// Explains, tests and compares policies.
    Policy(command::policy::Policy),
    /// Redacts records, to see what a classification does to them.
    Redact(command::redact::Redact),
    /// Proposes rules for a classification from real results.
    Classify(command::classify::Classify),
    /// Stops calls at once and everywhere, for a time.
    Incident(command::incident::Incident),
    /// Shows what those who call have seen, and takes it away before its time is over.
    Labels(command::labels::Labels),
    /// Lists writes whose end nobody saw, and says what became of them.
    Idempotency(command::idempotency::Idempotency),
    /// Drafts connectors from the MCP servers that another client is set up with.
    Import(command::import::Import),
    /// Sets a client up to use Quaymaster, or takes that back.
    Connect(command::connect::Connect),
    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// The demo's ticketing server, an MCP server over standard input and output.
    #[command(hide = true)]
    DemoTicketing(command::demo::Ticketing),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let format = match arguments.log_format {
        LogForm::Text => LogFormat::Text,
        LogForm::Json => LogFormat::Json,
    };
    let done = prepare(format).and_then(|()| run(arguments.command));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn prepare(format: LogFormat) -> Result<(), Failure> {
    start(format).map_err(Failure::outside)?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| Failure::outside("the TLS provider was installed twice"))
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Schema(schema) => schema.run(),
        Command::Redact(redact) => redact.run(),
        Command::Classify(classify) => classify.run(),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "quaymaster", &mut text);
            out::bytes(&text)
        }
        Command::DemoTicketing(ticketing) => ticketing.run(),
        Command::Check(check) => within(check.run()),
        Command::Demo(demo) => within(demo.run()),
        Command::Serve(serve) => within(serve.run()),
        Command::Stdio(stdio) => within(stdio.run()),
        Command::Token(token) => within(token.run()),
        Command::Credentials(credentials) => within(credentials.run()),
        Command::Console(console) => within(console.run()),
        Command::Login(login) => within(login.run()),
        Command::Logout(logout) => within(logout.run()),
        Command::Keys(keys) => within(keys.run()),
        Command::Tools(tools) => within(tools.run()),
        Command::Call(call) => within(call.run()),
        Command::Upstreams(upstreams) => within(upstreams.run()),
        Command::Approvals(approvals) => within(approvals.run()),
        Command::Audit(audit) => within(audit.run()),
        Command::Policy(policy) => within(policy.run()),
        Command::Incident(incident) => within(incident.run()),
        Command::Labels(labels) => within(labels.run()),
        Command::Idempotency(idempotency) => within(idempotency.run()),
        Command::Import(import) => within(import.run()),
        Command::Connect(connect) => within(connect.run()),
    }
}

/// Runs a command on a runtime that does not wait for what still blocks at its end.
fn within(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::outside)?;
    let done = runtime.block_on(command);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}

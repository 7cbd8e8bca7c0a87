//! `quaymaster connect`: sets a client up to use Quaymaster, and takes that back.
//!
//! Owns the command and its order: look, keep a backup, change, look again. What a
//! client is told is in `entry`, how a JSON file is changed in `edit`, how a file is
//! kept and replaced in `backup`. A client with a command of its own for this does the
//! change itself.
//!
//! Invariants:
//! - An entry of the same name that says something else is never replaced.
//! - `--dry-run` starts nothing and writes nothing, and shows nothing of the file but
//!   what would be new or go, because the rest may hold secrets.
//! - After `--undo` the file is what it was, byte for byte where nothing else has
//!   changed in it since.

mod backup;
mod edit;
mod entry;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use quaymaster_core::setting::Slug;
use quaymaster_gateway::config::{self, SecretCheck};
use serde_json::{Value, json};

use self::edit::Edited;
use self::entry::{Target, Token, add_command, changes, entry, is_same, remove_command, typed};
use super::client::{Client, Surroundings, read_text};
use super::place::Place;
use crate::failure::Failure;
use crate::out;

/// How long a client's own command may take.
const COMMAND_LIMIT: Duration = Duration::from_mins(1);
const TOKEN_VARIABLE: &str = "QUAYMASTER_TOKEN";

/// Sets a client up to use Quaymaster, or takes that back.
///
/// Codex and Claude Code are told by their own command (`codex mcp add`, `claude mcp
/// add`); the files of Cursor and VS Code are changed in one place and keep everything
/// else, comments too. The file as it was is kept beside it. No token is written: the
/// client takes it from an environment variable, and VS Code asks for it.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Which client.
    #[arg(value_enum)]
    client: Client,
    #[command(flatten)]
    place: Place,
    /// Where Quaymaster serves; by default where the configuration says that it listens.
    #[arg(long, value_parser = address, conflicts_with = "stdio")]
    url: Option<String>,
    /// Have the client start `quaymaster stdio` itself, as the local user and without a token.
    #[arg(long)]
    stdio: bool,
    /// Have it use one connector alone, by names without its prefix: for a client that was set
    /// up for that server directly.
    #[arg(long, value_name = "CONNECTOR", value_parser = Slug::parse, conflicts_with = "url")]
    server: Option<Slug>,
    /// What the client calls it.
    #[arg(long, default_value = "quaymaster", value_parser = Slug::parse)]
    name: Slug,
    /// The environment variable from which the client takes its token [default: `QUAYMASTER_TOKEN`; VS Code asks]
    #[arg(long, value_name = "VARIABLE", value_parser = variable, conflicts_with = "stdio")]
    token_env: Option<String>,
    /// Print the command or the change and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Take the server of this name out again and put back what was there.
    #[arg(long, conflicts_with_all = ["url", "stdio", "server", "token_env"])]
    undo: bool,
}

fn address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '<' | '>' | '`' | '$');
    match rest {
        Some(rest) if rest.contains(['@', '?', '#']) => {
            Err("an address with a user, a password or a query: a token is never part of it".into())
        }
        Some(rest) if !rest.is_empty() && rest.chars().all(is_plain) => Ok(text.to_owned()),
        _ => Err("expected an address such as `http://127.0.0.1:8080/mcp`".into()),
    }
}

fn variable(text: &str) -> Result<String, String> {
    let is_name = text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    if is_name {
        return Ok(text.to_owned());
    }
    Err("expected the name of an environment variable of A-Z, 0-9 and _, and never a token".into())
}

/// A client's file as it was found.
struct Held {
    file: PathBuf,
    /// The file as a person is shown it.
    shown: String,
    text: Option<String>,
    /// The entry of our name.
    entry: Option<Value>,
}

impl Connect {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let surroundings = Surroundings::of_process()?;
        let held = self.look(&surroundings)?;
        if self.undo {
            return self.undo(&surroundings, held).await;
        }
        let target = self.target()?;
        let ours = entry(self.client, self.name.as_str(), &target);
        match &held.entry {
            Some(theirs) if is_same(theirs, &ours) => {
                return out::line(format!("`{}` is in {} already", self.name, held.shown));
            }
            Some(_) => {
                out::line(format!(
                    "{} has a server `{}` already, and it is another: choose another --name, or take it out first \
                     with --undo",
                    held.shown, self.name
                ))?;
                return Err(Failure::Told);
            }
            None => {}
        }
        match add_command(self.client, self.name.as_str(), &target) {
            Some(command) => self.add_by_command(&surroundings, &held, command).await?,
            None => self.add_by_hand(&held, ours)?,
        }
        if self.dry_run { Ok(()) } else { out::line(self.next(&target)) }
    }

    fn look(&self, surroundings: &Surroundings) -> Result<Held, Failure> {
        let file = surroundings.user_file(self.client);
        let shown = surroundings.shown(&file);
        let text = read_text(&file).map_err(|reason| Failure::outside(format!("{shown}: {reason}")))?;
        let entry = self.entry_in(text.as_deref().unwrap_or_default());
        let entry = entry.map_err(|reason| Failure::outside(format!("{shown}: {reason}")))?;
        Ok(Held { file, shown, text, entry })
    }

    fn entry_in(&self, text: &str) -> Result<Option<Value>, String> {
        let read = self.client.parse(text)?;
        Ok(read.get(self.client.servers_key()).and_then(|servers| servers.get(self.name.as_str())).cloned())
    }

    fn target(&self) -> Result<Target, Failure> {
        if self.stdio {
            let program = std::env::current_exe().map_err(Failure::outside)?;
            // The client starts it in a folder of its own.
            let config = std::path::absolute(&self.place.config).map_err(Failure::outside)?;
            if [&program, &config].into_iter().any(|path| path.to_str().is_none()) {
                return Err(Failure::outside("a path that is not Unicode cannot be told to a client"));
            }
            return Ok(Target::Stdio { program, config, server: self.server.clone() });
        }
        let url = match &self.url {
            Some(url) => url.clone(),
            None => self.configured_url()?,
        };
        let token = match (&self.token_env, self.client) {
            (Some(variable), _) => Token::Variable(variable.clone()),
            // It does not look up variables in headers in every version (microsoft/vscode#336232).
            (None, Client::Vscode) => Token::Asked,
            (None, _) => Token::Variable(TOKEN_VARIABLE.into()),
        };
        Ok(Target::Http { url, token })
    }

    fn configured_url(&self) -> Result<String, Failure> {
        let loaded = config::load(&self.place.config, SecretCheck::Skip);
        let loaded = loaded.map_err(|found| Failure::Configuration(Box::new(found)))?;
        let is_there = |name: &Slug| loaded.connectors.iter().any(|c| c.connector.metadata().name == *name);
        if let Some(server) = self.server.as_ref().filter(|server| !is_there(server)) {
            return Err(Failure::Usage(format!("the configuration has no connector `{server}`")));
        }
        let address = loaded.settings.listen.address;
        if address.port() == 0 || address.ip().is_unspecified() {
            return Err(Failure::Usage(format!(
                "the configuration listens at {address}, which does not say where a client finds it: give --url"
            )));
        }
        Ok(match &self.server {
            Some(server) => format!("http://{address}/s/{server}"),
            None => format!("http://{address}/mcp"),
        })
    }

    fn add_by_hand(&self, held: &Held, ours: Value) -> Result<(), Failure> {
        let before = held.text.as_deref();
        let made = changes(self.client, self.name.as_str(), ours);
        let made = edit::insert_all(before.unwrap_or_default(), &made);
        let (after, edits) = made.map_err(|e| Failure::outside(format!("{}: {e}", held.shown)))?;
        if self.dry_run {
            return out::line(difference(&held.shown, '+', &edits));
        }
        self.keep(held)?;
        backup::replace(&held.file, before, &after)?;
        out::line(format!("added `{}` to {}", self.name, held.shown))
    }

    async fn add_by_command(
        &self,
        surroundings: &Surroundings,
        held: &Held,
        (program, arguments): (&str, Vec<String>),
    ) -> Result<(), Failure> {
        if self.dry_run {
            return out::line(typed(program, &arguments));
        }
        let found = self.program(surroundings, program, &arguments)?;
        self.keep(held)?;
        let ran = run(&found, &arguments).await;
        let after = self.look(surroundings)?;
        if ran.is_ok() && after.entry.is_some() {
            return Ok(());
        }
        if after.text == held.text {
            backup::remove(&self.backup(held))?;
        }
        ran.and_then(|()| {
            let command = typed(program, &arguments);
            Err(Failure::outside(format!("`{command}` did not put `{}` into {}", self.name, held.shown)))
        })
    }

    fn program(
        &self,
        surroundings: &Surroundings,
        program: &str,
        arguments: &[String],
    ) -> Result<PathBuf, Failure> {
        surroundings.program(program).ok_or_else(|| {
            let (title, command) = (self.client.title(), typed(program, arguments));
            Failure::outside(format!(
                "`{program}` is not on PATH. Install {title}, or run this where it is:\n{command}"
            ))
        })
    }

    fn backup(&self, held: &Held) -> PathBuf {
        backup::place(&held.file, self.name.as_str())
    }

    fn keep(&self, held: &Held) -> Result<(), Failure> {
        held.text.as_deref().map_or(Ok(()), |text| backup::keep(&self.backup(held), text))
    }

    /// What is left to do.
    fn next(&self, target: &Target) -> String {
        let title = self.client.title();
        match target {
            Target::Stdio { .. } => format!("{title} starts Quaymaster itself from its next session on."),
            Target::Http { token: Token::Asked, .. } => {
                format!(
                    "{title} asks for the token when it first connects; `quaymaster token create` makes one."
                )
            }
            Target::Http { token: Token::Variable(variable), .. } => format!(
                "{title} connects from its next session on, with the token in {variable}: export it where {title} \
                 is started; `quaymaster token create` makes one."
            ),
        }
    }

    async fn undo(&self, surroundings: &Surroundings, held: Held) -> Result<(), Failure> {
        let (Some(text), Some(theirs)) = (held.text.as_deref(), held.entry.clone()) else {
            out::line(format!("there is no server `{}` in {}: nothing to undo", self.name, held.shown))?;
            return Err(Failure::Told);
        };
        let backup = self.backup(&held);
        let kept = read_text(&backup).map_err(Failure::outside)?;
        if let Some((program, arguments)) = remove_command(self.client, self.name.as_str()) {
            if self.dry_run {
                return out::line(typed(program, &arguments));
            }
            run(&self.program(surroundings, program, &arguments)?, &arguments).await?;
            self.restore_after_command(surroundings, kept.as_deref())?;
        } else {
            let made = changes(self.client, self.name.as_str(), theirs);
            let removed = edit::remove_all(text, &made);
            let (without, edits) = removed.map_err(|e| Failure::outside(format!("{}: {e}", held.shown)))?;
            if self.dry_run {
                return out::line(difference(&held.shown, '-', &edits));
            }
            let again = edit::insert_all(kept.as_deref().unwrap_or_default(), &made);
            let is_untouched = again.is_ok_and(|(again, _)| again == text);
            match kept.as_deref() {
                None if is_untouched => backup::remove(&held.file)?,
                Some(kept) if is_untouched => backup::replace(&held.file, Some(text), kept)?,
                _ => backup::replace(&held.file, Some(text), &without)?,
            }
        }
        backup::remove(&backup)?;
        out::line(format!("took `{}` out of {}", self.name, held.shown))
    }

    /// A client that rewrites its file may leave out comments; if it says what it said
    /// before, the file as it was is put back.
    fn restore_after_command(&self, surroundings: &Surroundings, kept: Option<&str>) -> Result<(), Failure> {
        let left = self.look(surroundings)?;
        if left.entry.is_some() {
            return Err(Failure::outside(format!("`{}` is still in {}", self.name, left.shown)));
        }
        let read = |text: &str| self.client.parse(text).ok().map(|read| self.without_empty(read));
        let Some(text) = left.text.as_deref() else { return Ok(()) };
        match kept {
            Some(kept) if kept != text && read(kept) == read(text) => {
                backup::replace(&left.file, Some(text), kept)
            }
            None if read(text) == Some(json!({})) => backup::remove(&left.file),
            _ => Ok(()),
        }
    }

    /// A list of servers without a server says no more than none.
    fn without_empty(&self, mut read: Value) -> Value {
        let key = self.client.servers_key();
        if let Some(members) = read.as_object_mut()
            && members.get(key).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
        {
            members.shift_remove(key);
        }
        read
    }
}

/// What is new in a file, or what goes.
fn difference(file: &str, sign: char, edits: &[Edited]) -> String {
    let mut lines = Vec::new();
    for edited in edits {
        lines.push(format!("{file}, line {}:", edited.line));
        lines.extend(edited.part.lines().map(|line| format!("{sign} {line}")));
    }
    lines.join("\n")
}

/// Runs a client's own command. What it says goes to the person, not through us.
async fn run(program: &Path, arguments: &[String]) -> Result<(), Failure> {
    let name = program.display();
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(COMMAND_LIMIT, command.status()).await;
    let ended = ended.map_err(|_| Failure::outside(format!("`{name}` did not end within a minute")))?;
    let status = ended.map_err(|error| Failure::outside(format!("`{name}` cannot be started: {error}")))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::outside(format!("`{name}` failed: {status}")))
}

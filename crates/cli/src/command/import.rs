//! `quaymaster import`: drafts connectors from the MCP servers that a person already has.
//!
//! Owns the command, which files are read and written, and what the person is told.
//! What a client's file says is in `read`, what becomes of it in `draft` and `text`, and
//! what of it may be a secret in `secret`.
//!
//! Invariants:
//! - A file that is there is never overwritten.
//! - An import never makes a configuration that loads into one that does not: a draft
//!   in which something is undecided, or whose secrets are not set, is written as
//!   `NAME.yaml.draft`, which is not read.
//! - No value that may be a secret is written or printed.

mod draft;
mod read;
mod secret;
mod text;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use quaymaster_core::setting::Slug;
use quaymaster_core::suggest::did_you_mean;
use quaymaster_core::{SecretRef, SecretSource as _};
use quaymaster_gateway::config::{self, Connector, Loaded, SecretCheck};
use serde_json::{Value, json};

use self::draft::{Draft, connector_name, prefix};
use self::read::{Found, Reach};
use super::client::{Client, Surroundings, read_text};
use super::place::Place;
use super::signals::Signals;
use crate::failure::Failure;
use crate::out;

/// Drafts connectors from the MCP servers that another client is set up with.
///
/// One file for each server in `connectors/`. Secrets are not copied: they become
/// references, and the report says which to set. Nobody may call anything until a
/// person has decided. A draft that cannot load as it is gets the name NAME.yaml.draft
/// and says at its top what is missing.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Whose servers.
    #[arg(value_enum)]
    client: Client,
    #[command(flatten)]
    place: Place,
    /// The client's file, if it is not where it usually is.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The workspace that the connectors are for; the default workspace if absent.
    #[arg(long, value_parser = Slug::parse)]
    workspace: Option<Slug>,
    /// Start or reach each server as the client does, and draft the tools that it offers. Calls nothing.
    #[arg(long)]
    list: bool,
    /// Print the drafts and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON: `{"drafted": [{"name", "file", "from", "loads", "undecided", "secrets", …}], "failed": [{"name", "from", "reason"}], "skipped": […]}`.
    #[arg(long)]
    json: bool,
}

/// An entry of a client's file, or why the whole file has none.
struct Read {
    file: String,
    found: Result<Found, String>,
}

/// A draft and where it goes.
struct Placed {
    draft: Draft,
    /// The file below the configuration folder.
    file: String,
    origin: String,
    text: String,
    /// The names of secrets that are not set.
    unset: BTreeSet<String>,
}

/// An entry, or a whole file of a client, that no draft was made of.
struct Failed {
    /// The client's name for the server; `None` for a whole file.
    name: Option<String>,
    origin: String,
    reason: String,
}

/// What has been done so far.
struct Importing<'a> {
    loaded: &'a Loaded,
    surroundings: &'a Surroundings,
    workspace: Slug,
    list: bool,
    /// The prefixes of this import's drafts.
    taken: BTreeSet<String>,
    placed: Vec<Placed>,
    failed: Vec<Failed>,
    /// Entries for Quaymaster itself.
    skipped: Vec<Failed>,
}

impl Import {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let surroundings = Surroundings::of_process()?;
        let loaded = config::load(&self.place.config, SecretCheck::Skip);
        let loaded = loaded.map_err(|found| Failure::Configuration(Box::new(found)))?;
        let workspace = self.workspace(&loaded)?;
        let mut importing = Importing {
            loaded: &loaded,
            surroundings: &surroundings,
            workspace,
            list: self.list,
            taken: BTreeSet::new(),
            placed: Vec::new(),
            failed: Vec::new(),
            skipped: Vec::new(),
        };
        let all = self.found(&surroundings)?;
        // Whoever interrupts a listing leaves no server behind.
        let mut signals = Signals::new()?;
        let taken = async {
            for Read { file, found } in all {
                importing.take(self.client, &file, found).await;
            }
        };
        tokio::select! {
            () = taken => {}
            () = signals.end() => return Err(Failure::Told),
        }
        let Importing { mut placed, mut failed, skipped, .. } = importing;
        if !self.dry_run {
            placed = write_all(&self.place.config, placed, &mut failed)?;
            keep_loadable(&self.place.config, &mut placed)?;
        }
        if self.json {
            out::json(&json!({
                "drafted": placed.iter().map(|placed| described(placed, self.dry_run)).collect::<Vec<_>>(),
                "failed": failed.iter().map(Failed::described).collect::<Vec<_>>(),
                "skipped": skipped.iter().map(Failed::described).collect::<Vec<_>>(),
            }))?;
        } else {
            for skipped in &skipped {
                out::line(skipped.told("left out"))?;
            }
            out::line(report(&placed, &failed, self.dry_run))?;
        }
        if failed.is_empty() { Ok(()) } else { Err(Failure::Told) }
    }

    fn workspace(&self, loaded: &Loaded) -> Result<Slug, Failure> {
        let Some(workspace) = &self.workspace else { return Ok(loaded.settings.default_workspace.clone()) };
        if loaded.settings.workspaces.contains_key(workspace) {
            return Ok(workspace.clone());
        }
        let known = loaded.settings.workspaces.keys().map(Slug::as_str);
        let help = did_you_mean(workspace.as_str(), "workspaces", known).unwrap_or_default();
        Err(Failure::Usage(format!("unknown workspace `{workspace}`: {help}")))
    }

    /// The entries of the client's files, each with where it stands.
    fn found(&self, surroundings: &Surroundings) -> Result<Vec<Read>, Failure> {
        let files = match &self.from {
            Some(file) => vec![file.clone()],
            None => surroundings.files(self.client),
        };
        let mut found = Vec::new();
        let mut are_there = 0_usize;
        for file in &files {
            let shown = surroundings.shown(file);
            let servers = match read_text(file) {
                Ok(None) => continue,
                Ok(Some(text)) => self.client.parse(&text).and_then(|file| read::servers(self.client, &file)),
                Err(reason) => Err(reason),
            };
            are_there += 1;
            match servers {
                Ok(servers) => {
                    let of_file = |entry| Read { file: shown.clone(), found: Ok(entry) };
                    found.extend(servers.into_iter().map(of_file));
                }
                Err(reason) => found.push(Read { file: shown, found: Err(reason) }),
            }
        }
        if are_there == 0 {
            let looked: Vec<String> = files.iter().map(|file| surroundings.shown(file)).collect();
            let title = self.client.title();
            return Err(Failure::outside(format!(
                "no MCP configuration of {title} was found: looked for {}; name the file with --from",
                looked.join(" and ")
            )));
        }
        Ok(found)
    }
}

/// What the names of a connector's tools begin with.
fn prefix_of(connector: &Connector) -> String {
    let own = match connector {
        Connector::Mcp(file) => Some(file.spec.prefix.clone()),
        Connector::Sql(file) => file.spec.prefix.clone(),
    };
    own.unwrap_or_else(|| prefix(connector.metadata().name.as_str()))
}

/// Whether a client's entry leads back here: a gateway behind itself would call itself.
fn is_ourselves(reach: &Reach, loaded: &Loaded) -> bool {
    match reach {
        Reach::Stdio { command, args, .. } => {
            Path::new(command).file_name().is_some_and(|name| name == "quaymaster")
                && args.first().is_some_and(|arg| arg == "stdio")
        }
        Reach::Http { url, .. } => {
            let address = loaded.settings.listen.address;
            let hosts = [address.to_string(), format!("localhost:{}", address.port())];
            hosts.iter().any(|host| url.starts_with(&format!("http://{host}/")))
        }
    }
}

impl Importing<'_> {
    async fn take(&mut self, client: Client, file: &str, found: Result<Found, String>) {
        let Found { name, project, server } = match found {
            Ok(found) => found,
            Err(reason) => {
                return self.failed.push(Failed { name: None, origin: file.into(), reason });
            }
        };
        let of_project = project.map(|project| format!(" (for {project})")).unwrap_or_default();
        let origin = format!("{file}{of_project}");
        let server = match server {
            Ok(server) => server,
            Err(reason) => return self.failed.push(Failed { name: Some(name), origin, reason }),
        };
        if is_ourselves(&server.reach, self.loaded) {
            let reason = "it is Quaymaster itself".to_owned();
            return self.skipped.push(Failed { name: Some(name), origin, reason });
        }
        let connector = self.free_name(&connector_name(&name));
        if let Some(there) = self.existing(&connector) {
            let reason = format!("{there} is there already and is never overwritten");
            return self.failed.push(Failed { name: Some(name), origin, reason });
        }
        let mut draft = Draft::new(connector, server, self.surroundings);
        let (secrets, workspace) = (self.loaded.secrets(), self.workspace.as_str());
        if self.list {
            draft.list(workspace, &self.loaded.folder, &secrets).await;
        }
        draft.judge(workspace, &self.loaded.folder);
        let is_unset = |name: &&str| {
            SecretRef::parse(&format!("${{secret:{name}}}")).is_ok_and(|r| secrets.resolve(&r).is_err())
        };
        let names = draft.needed.iter().map(|needed| needed.name.as_str());
        let unset: BTreeSet<String> = names.filter(is_unset).map(ToOwned::to_owned).collect();
        for needed in draft.needed.iter().filter(|needed| unset.contains(&needed.name)) {
            draft.undecided.push(format!("set the secret {}: {}", needed.name, needed.purpose));
        }
        let end = if draft.undecided.is_empty() { "yaml" } else { "yaml.draft" };
        let title = client.title();
        let text = draft.text(workspace, &format!("the server `{name}` of {title}, in {origin}"));
        let file = format!("connectors/{}.{end}", draft.name);
        self.placed.push(Placed { draft, file, origin, text, unset });
    }

    /// `name`, or with a number where another draft or another connector has its prefix.
    fn free_name(&mut self, name: &str) -> String {
        let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let of_others = |name: &str| {
            let others = self.loaded.connectors.iter().map(|loaded| &loaded.connector);
            let mut others = others.filter(|connector| connector.metadata().name.as_str() != name);
            others.any(|connector| prefix_of(connector) == prefix(name))
        };
        let free = names.find(|name| !of_others(name) && self.taken.insert(prefix(name)));
        free.unwrap_or_else(|| name.to_owned())
    }

    /// The file that holds a connector of this name already, or will when a person is done with it.
    fn existing(&self, name: &str) -> Option<String> {
        let mut connectors = self.loaded.connectors.iter();
        let loaded = connectors.find(|loaded| loaded.connector.metadata().name.as_str() == name);
        let mut files =
            ["yaml", "yml", "yaml.draft"].map(|end| format!("connectors/{name}.{end}")).into_iter();
        let file = files.find(|file| self.loaded.folder.join(file).exists());
        loaded.map(|loaded| loaded.source.path().to_owned()).or(file)
    }
}

/// Writes what can be written; the rest goes to `failed`.
fn write_all(folder: &Path, placed: Vec<Placed>, failed: &mut Vec<Failed>) -> Result<Vec<Placed>, Failure> {
    fs::create_dir_all(folder.join("connectors")).map_err(Failure::outside)?;
    let mut written = Vec::new();
    for draft in placed {
        // Never over a file that somebody put there in the meantime.
        let created = fs::File::create_new(folder.join(&draft.file));
        let reason = match created.and_then(|mut file| file.write_all(draft.text.as_bytes())) {
            Ok(()) => {
                written.push(draft);
                continue;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                format!("{} is there already and is never overwritten", draft.file)
            }
            Err(error) => format!("{} cannot be written: {error}", draft.file),
        };
        failed.push(Failed { name: Some(draft.draft.name), origin: draft.origin, reason });
    }
    Ok(written)
}

/// What the files say of each other is judged by loading them all: if that fails, the
/// new ones are put aside.
fn keep_loadable(folder: &Path, written: &mut [Placed]) -> Result<(), Failure> {
    if config::load(folder, SecretCheck::Skip).is_ok() {
        return Ok(());
    }
    for placed in written.iter_mut().filter(|placed| placed.draft.undecided.is_empty()) {
        let aside = format!("{}.draft", placed.file);
        fs::rename(folder.join(&placed.file), folder.join(&aside)).map_err(Failure::outside)?;
        placed.file = aside;
        let why = "it does not load together with the other connectors; renamed, `quaymaster check` says why";
        placed.draft.undecided.push(why.into());
    }
    Ok(())
}

fn described(placed: &Placed, with_text: bool) -> Value {
    let draft = &placed.draft;
    let secrets = draft.needed.iter().map(|needed| {
        json!({"name": needed.name, "for": needed.purpose, "set": !placed.unset.contains(&needed.name)})
    });
    let mut described = json!({
        "name": draft.name,
        "file": placed.file,
        "from": placed.origin,
        "loads": draft.undecided.is_empty(),
        "undecided": draft.undecided,
        "notes": draft.notes,
        "secrets": secrets.collect::<Vec<_>>(),
    });
    if with_text && let Some(members) = described.as_object_mut() {
        members.insert("text".into(), placed.text.as_str().into());
    }
    described
}

impl Failed {
    fn told(&self, what: &str) -> String {
        let name = self.name.as_deref().map(|name| format!("{} from ", name.escape_debug()));
        format!("{what}: {}{}: {}", name.unwrap_or_default(), self.origin, self.reason)
    }

    fn described(&self) -> Value {
        json!({"name": self.name, "from": self.origin, "reason": self.reason})
    }
}

/// What a person is told.
fn report(placed: &[Placed], failed: &[Failed], with_text: bool) -> String {
    let mut lines = Vec::new();
    for placed in placed {
        lines.push(format!("{}   from {}", placed.file, placed.origin));
        if with_text {
            lines.extend(placed.text.lines().map(|line| format!("    {line}").trim_end().to_owned()));
            continue;
        }
        lines.extend(placed.draft.undecided.iter().map(|undecided| format!("    decide: {undecided}")));
        lines.extend(placed.draft.notes.iter().map(|note| format!("    note: {note}")));
    }
    lines.extend(failed.iter().map(|failed| failed.told("not imported")));
    let drafted = if with_text { "would be drafted" } else { "drafted" };
    lines.push(format!("{} {drafted}, {} not imported", placed.len(), failed.len()));
    if !placed.is_empty() {
        lines.push(
            "Nobody may call anything of these yet: decide in each file what each tool does and who may use it, \
             then `quaymaster check`."
                .into(),
        );
    }
    lines.join("\n")
}

//! A connector file, drafted from a server that a client knows.
//!
//! Owns what is written and what is left to a person. Whether the draft would load is
//! asked of the engine itself, so a draft and the gateway cannot disagree.
//!
//! Invariants:
//! - No value that may be a secret is written.
//! - A draft gives nobody access: no role may call a tool, and a tool is taken for a
//!   write whose repetition cannot be recognised, so it is not even offered.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use quaymaster_connectors::mcp::McpConnector;
use quaymaster_connectors::mcp::config::McpSpec;
use quaymaster_connectors::mcp::survey::{Claims, OfferedTool, survey};
use quaymaster_core::connector::ConnectorFile;
use quaymaster_core::{SecretError, SecretRef, SecretSource, ToolName};
use secrecy::{ExposeSecret as _, SecretString};

use super::super::client::Surroundings;
use super::read::{ClientServer, Held, Reach};
use super::secret::{self, Needed};
use super::text::{body, comment, quoted};

/// Longest name of a drafted connector: prefix and tool name have to fit in 64 bytes.
const MAX_NAME_BYTES: usize = 30;
const MAX_TOOLS: usize = 300;
/// How long a server may take to say what it offers.
const LISTING_LIMIT: Duration = Duration::from_secs(30);

/// A connector file before it is written.
pub(super) struct Draft {
    pub(super) name: String,
    /// The lines of `spec.server`.
    server: Vec<String>,
    tools: Vec<OfferedTool>,
    /// What a person has to decide before it can load.
    pub(super) undecided: Vec<String>,
    /// What is worth knowing.
    pub(super) notes: Vec<String>,
    pub(super) needed: Vec<Needed>,
    only_tools: Option<Vec<String>>,
    not_tools: Vec<String>,
}

impl Draft {
    /// The draft called `name` of a server that a client reaches as `server` says.
    pub(super) fn new(name: String, server: ClientServer, surroundings: &Surroundings) -> Self {
        let mut draft = Self {
            name,
            server: Vec::new(),
            tools: Vec::new(),
            undecided: Vec::new(),
            notes: Vec::new(),
            needed: Vec::new(),
            only_tools: server.only_tools,
            not_tools: server.not_tools,
        };
        let named = draft.only_tools.clone().unwrap_or_default();
        draft.offer(named.into_iter().map(|name| OfferedTool { name, annotations: Claims::default() }));
        if !server.enabled {
            draft.notes.push("it is switched off in the client".into());
        }
        for key in server.left_behind {
            draft
                .notes
                .push(format!("its `{}` has no counterpart here and was left behind", key.escape_debug()));
        }
        match server.reach {
            Reach::Stdio { command, args, env, folder } => {
                let args = draft.command(&command, args, surroundings);
                draft.arguments(args);
                draft.secrets("env", "the environment variable", env);
                draft.line("inheritEnv: [PATH, HOME]");
                if let Some(folder) = folder {
                    draft.line(format!("workingFolder: {}", quoted(&folder)));
                }
            }
            Reach::Http { url, headers, is_sse } => {
                draft.line(if is_sse { "transport: sse" } else { "transport: http" });
                draft.address(&url);
                draft.secrets("headers", "the header", headers);
            }
        }
        draft
    }

    fn line(&mut self, line: impl Into<String>) {
        self.server.push(line.into());
    }

    fn offer(&mut self, tools: impl Iterator<Item = OfferedTool>) {
        let is_wanted = |tool: &OfferedTool| {
            self.only_tools.as_ref().is_none_or(|only| only.contains(&tool.name))
                && !self.not_tools.contains(&tool.name)
        };
        let mut seen = BTreeSet::new();
        self.tools =
            tools.filter(|tool| is_wanted(tool) && seen.insert(tool.name.clone())).take(MAX_TOOLS).collect();
    }

    /// A program is pinned to the file that the client would have found. Gives its arguments.
    fn command(&mut self, command: &str, args: Vec<String>, surroundings: &Surroundings) -> Vec<String> {
        self.line("transport: stdio");
        let (program, mut all) = (command.split_whitespace().next().unwrap_or(command), Vec::new());
        let is_line = program != command && !Path::new(command).is_file();
        if is_line {
            // What is behind the program may hold a secret, which no message should repeat.
            all.extend(command.split_whitespace().skip(1).map(ToOwned::to_owned));
            self.notes
                .push("the client has program and arguments in one text, which was split at spaces".into());
        }
        all.extend(args);
        let program = if is_line { program } else { command };
        let found = if program.contains('/') { None } else { surroundings.program(program) };
        let path = match (found.as_deref().and_then(Path::to_str), program.strip_prefix("~/")) {
            (Some(found), _) => found.to_owned(),
            (None, Some(below)) => surroundings.home.join(below).display().to_string(),
            (None, None) => program.to_owned(),
        };
        self.line(format!("command: {}", quoted(&path)));
        all
    }

    fn arguments(&mut self, mut args: Vec<String>) {
        let suspicious = secret::suspicious(&args);
        for at in &suspicious {
            if let Some(arg) = args.get_mut(*at) {
                "REMOVED".clone_into(arg);
            }
        }
        if !suspicious.is_empty() {
            self.undecided.push(
                "spec.server.args: `REMOVED` stands where the client's file has what looks like a secret. Every \
                 user of the machine can read arguments: give it in `env` if the server takes it from there"
                    .into(),
            );
        }
        if !args.is_empty() {
            let args: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
            self.line(format!("args: [{}]", args.join(", ")));
        }
    }

    /// An address goes without user, password, query and what nobody could guess: there secrets stand.
    fn address(&mut self, url: &str) {
        let bare = url.split(['?', '#']).next().unwrap_or(url);
        let (scheme, rest) = bare.split_once("://").unwrap_or(("", bare));
        let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let known = |segment| if secret::is_unguessable(segment) { "REMOVED" } else { segment };
        let path = path.split('/').map(known).collect::<Vec<_>>().join("/");
        let kept =
            if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") };
        if kept != url {
            self.undecided.push(
                "spec.server.url: what may be a secret was left out of the client's address: a user, a password, a \
                 query, or a part of the path, where `REMOVED` stands. Give secrets in `headers`"
                    .into(),
            );
        }
        self.line(format!("url: {}", quoted(&kept)));
    }

    fn secrets(&mut self, section: &str, what: &str, held: Vec<(String, Held)>) {
        let is_env = section == "env";
        let mut lines = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, held) in held {
            if !seen.insert(if is_env { name.clone() } else { name.to_ascii_lowercase() }) {
                continue;
            }
            let literal = match &held {
                Held::Text(text) => Some(text.expose_secret()),
                _ => None,
            };
            let literal = literal.filter(|value| is_env && secret::is_harmless(&name, value));
            let value = match literal {
                Some(value) => value.to_owned(),
                None => format!("${{secret:{}}}", self.need(&name, what, held.clone())),
            };
            lines.push(format!("  {}: {}", quoted(&name), quoted(&value)));
        }
        if !lines.is_empty() {
            self.line(format!("{section}:"));
            self.server.extend(lines);
        }
    }

    /// The name of the secret for what the server calls `name`.
    fn need(&mut self, name: &str, what: &str, held: Held) -> String {
        let existing = match &held {
            Held::Variable(variable) => secret::is_secret_name(variable).then_some(variable.as_str()),
            Held::Text(text) => secret::variable(text.expose_secret()),
            Held::BearerOf(_) => None,
        };
        let secret = match existing {
            Some(variable) => variable.to_owned(),
            None => secret::name_for(&self.name, name),
        };
        let shown = name.escape_debug();
        let purpose = match &held {
            Held::BearerOf(variable) => {
                format!("{what} `{shown}`: `Bearer ` and then what {} holds", variable.escape_debug())
            }
            _ if what.ends_with("header") => format!("{what} `{shown}`, the whole of it"),
            _ => format!("{what} `{shown}`"),
        };
        self.needed.push(Needed { name: secret.clone(), purpose, held });
        secret
    }

    /// Asks the server for its tools; why it has none is a note.
    pub(super) async fn list(&mut self, workspace: &str, folder: &Path, secrets: &dyn SecretSource) {
        let own = Own { needed: &self.needed, secrets };
        let listed = match parse(&self.body(workspace)) {
            Ok(file) => survey(file, &own, folder, LISTING_LIMIT).await,
            Err(error) => Err(error),
        };
        match listed {
            Ok(tools) => self.offer(tools.into_iter()),
            Err(reason) => self.notes.push(format!("its tools could not be listed: {reason}")),
        }
    }

    /// Adds what the engine itself finds wrong.
    pub(super) fn judge(&mut self, workspace: &str, folder: &Path) {
        let problems = match parse(&self.body(workspace)) {
            Ok(file) => McpConnector::new(file, &StandIn, folder).err().unwrap_or_default(),
            Err(error) => return self.undecided.push(error),
        };
        for problem in problems {
            let help = problem.help.map(|help| format!("; {help}")).unwrap_or_default();
            self.undecided.push(format!("{}: {}{help}", problem.path, problem.message));
        }
    }

    /// The whole file. `origin` says where the server was found.
    pub(super) fn text(&self, workspace: &str, origin: &str) -> String {
        let mut text = String::new();
        comment(&mut text, "", &format!("Drafted from {origin}. Nobody may call anything of it yet."));
        if !self.undecided.is_empty() {
            let name = &self.name;
            comment(&mut text, "", &format!("To decide, before this is renamed to {name}.yaml and loaded:"));
            for undecided in &self.undecided {
                comment(&mut text, "- ", undecided);
            }
        }
        for note in &self.notes {
            comment(&mut text, "", &format!("Note: {note}."));
        }
        text + &self.body(workspace)
    }

    fn body(&self, workspace: &str) -> String {
        body(&self.name, workspace, &self.server, &self.tools)
    }
}

/// A connector's name, near to the client's `name` for a server.
pub(super) fn connector_name(name: &str) -> String {
    let one = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let plain: String = name.chars().map(one).take(MAX_NAME_BYTES).collect();
    let plain = plain.trim_matches('-');
    match plain.chars().next() {
        Some(first) if first.is_ascii_lowercase() => plain.to_owned(),
        Some(_) => format!("s{plain}"),
        None => "server".into(),
    }
}

/// What the names of a connector's tools begin with.
pub(super) fn prefix(connector: &str) -> String {
    let prefix = connector.replace('-', "_");
    debug_assert!(ToolName::parse(&prefix).is_ok(), "a connector's name makes a prefix");
    prefix
}

fn parse(text: &str) -> Result<ConnectorFile<McpSpec>, String> {
    let read: serde_json::Value =
        serde_saphyr::from_str(text).map_err(|_| "the draft is not YAML: please report this".to_owned())?;
    serde_json::from_value(read).map_err(|error| error.to_string())
}

/// What an engine takes for a secret where none is needed.
struct StandIn;

impl SecretSource for StandIn {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok("placeholder".into())
    }
}

/// The secrets as the client's file has them, for asking a server that the client may ask.
struct Own<'a> {
    needed: &'a [Needed],
    secrets: &'a dyn SecretSource,
}

impl SecretSource for Own<'_> {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let look_up = |name: &str| {
            let reference = SecretRef::parse(&format!("${{secret:{name}}}")).ok()?;
            self.secrets.resolve(&reference).ok()
        };
        let needed = self.needed.iter().find(|needed| needed.name == reference.name());
        match needed.and_then(|needed| secret::expanded(&needed.held, &look_up)) {
            Some(value) => Ok(value),
            None => self.secrets.resolve(reference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_to_fit() {
        for (given, connector) in [
            ("GitHub", "github"),
            ("My Files!", "my-files"),
            ("9lives", "s9lives"),
            ("éß", "server"),
            ("", "server"),
        ] {
            assert_eq!(connector_name(given), connector);
            assert!(ToolName::parse(&prefix(&connector_name(given))).is_ok());
        }
    }

    #[test]
    fn a_command_line_and_an_address_lose_what_may_be_a_secret() {
        let surroundings = Surroundings::of_process().expect("a home");
        let reach = |reach: Reach| {
            let only_tools = None;
            let server = ClientServer {
                reach,
                enabled: true,
                only_tools,
                not_tools: Vec::new(),
                left_behind: Vec::new(),
            };
            Draft::new("x".into(), server, &surroundings).server.join("\n")
        };
        let env = || Vec::new();
        let command = "/opt/x --api-key hunter2".into();
        assert_eq!(
            reach(Reach::Stdio { command, args: vec!["-v".into()], env: env(), folder: None }),
            "transport: stdio\ncommand: \"/opt/x\"\nargs: [\"--api-key\", \"REMOVED\", \"-v\"]\ninheritEnv: [PATH, HOME]"
        );
        let url = "https://ada@mcp.example.test/s/0123456789abcdef0123/mcp?key=hunter2";
        for (is_sse, transport) in [(false, "http"), (true, "sse")] {
            assert_eq!(
                reach(Reach::Http { url: url.into(), headers: env(), is_sse }),
                format!("transport: {transport}\nurl: \"https://mcp.example.test/s/REMOVED/mcp\"")
            );
        }
    }
}

//! The checks of how a server is reached, and what they leave of it.
//!
//! Invariants:
//! - What is started is one file, named by its absolute path, and not a launcher
//!   that fetches what it runs.
//! - A child's environment holds nothing that its file does not name.
//! - A header's value never comes from the file itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue, Uri};
use quaymaster_core::{LiveSecret, SecretRef, SecretSource};
use secrecy::{ExposeSecret, SecretString};

use crate::egress::{self, Egress};
use crate::mcp::caller::CallerHeader;
use crate::mcp::config::{EnvValue, EraConfig, ServerConfig, Transport};
use crate::mcp::credential::Credentials;
use crate::mcp::failure::Failure;
use crate::mcp::pinned::{self, Pinned};
use crate::problem::Problems;

/// Variables that `inheritEnv` may name: what programs need to find their way
/// around a machine. Whatever else a server needs is written into `env`, where
/// a reader of the file sees it.
const INHERITABLE: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
];

/// How the names of variables end that hold a secret.
const SECRET_NAMES: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS"];

/// Headers that are ours, or HTTP's, to set.
const RESERVED_HEADERS: [&str; 12] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "last-event-id",
    "origin",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// How the server is reached.
pub(in crate::mcp) enum Server {
    /// By starting it.
    Stdio(StdioServer),
    /// At an address, over Streamable HTTP if it speaks that.
    Http(Box<HttpServer>),
    /// At an address, over HTTP+SSE.
    Sse(Box<HttpServer>),
}

pub(in crate::mcp) struct StdioServer {
    pub(in crate::mcp) command: PathBuf,
    pub(in crate::mcp) args: Vec<String>,
    pub(in crate::mcp) env: Vec<(String, Value)>,
    pub(in crate::mcp) inherit_env: Vec<String>,
    pub(in crate::mcp) folder: PathBuf,
    /// What has to be as it was before it is started.
    pub(in crate::mcp) pinned: Vec<Pinned>,
}

/// The value of a variable.
pub(in crate::mcp) enum Value {
    Plain(String),
    Secret(Arc<dyn LiveSecret>),
}

/// A child's variables with their values.
pub(in crate::mcp) struct Environment {
    pub(in crate::mcp) variables: Vec<(String, SecretString)>,
    /// Those values that are secrets.
    pub(in crate::mcp) secrets: Vec<SecretString>,
}

impl StdioServer {
    /// The values as they are now, asked for where they are due.
    ///
    /// # Errors
    ///
    /// [`Failure::Secret`] if one cannot be had.
    pub(in crate::mcp) async fn environment(&self) -> Result<Environment, Failure> {
        let (mut variables, mut secrets) = (Vec::new(), Vec::new());
        for (name, value) in &self.env {
            let text = match value {
                Value::Plain(text) => text.clone().into(),
                Value::Secret(secret) => {
                    let value =
                        secret.renew(None).await.map_err(|error| Failure::Secret(error.to_string()))?;
                    if value.text.expose_secret().contains('\0') {
                        return Err(Failure::Secret("a secret holds a NUL character".into()));
                    }
                    secrets.push(value.text.clone());
                    value.text.clone()
                }
            };
            variables.push((name.clone(), text));
        }
        Ok(Environment { variables, secrets })
    }
}

pub(in crate::mcp) struct HttpServer {
    pub(in crate::mcp) uri: Uri,
    /// What lets us in, if anything is needed for that.
    pub(in crate::mcp) credentials: Option<Arc<Credentials>>,
    /// How the caller's own token is sent, where calls are made with it.
    pub(in crate::mcp) caller: Option<CallerHeader>,
    egress: OnceLock<Egress>,
}

impl HttpServer {
    /// The pool of connections to the server, made when it is first needed.
    ///
    /// # Errors
    ///
    /// The reason, if TLS cannot be set up.
    pub(in crate::mcp) fn egress(&self) -> Result<Egress, String> {
        if let Some(egress) = self.egress.get() {
            return Ok(egress.clone());
        }
        let egress = Egress::try_new(&self.uri)?;
        Ok(self.egress.get_or_init(|| egress).clone())
    }
}

pub(super) fn stdio(
    server: &ServerConfig,
    secrets: &dyn SecretSource,
    folder: &Path,
    problems: &mut Problems,
) -> Option<StdioServer> {
    if server.url.is_some() {
        problems.add("spec.server.url", "a server over `stdio` has no address: it is started by `command`");
    }
    if !server.headers.is_empty() {
        problems.add("spec.server.headers", "a server over `stdio` gets no headers: give secrets in `env`");
    }
    for (at, name) in server.inherit_env.iter().enumerate() {
        if !INHERITABLE.contains(&name.as_str()) {
            problems.add_with_help(
                format!("spec.server.inheritEnv[{at}]"),
                format!("`{}` is not passed on from the gateway's environment", name.escape_debug()),
                format!("one of {}; write anything else into `env`", INHERITABLE.join(", ")),
            );
        }
    }
    for (at, _) in server.args.iter().enumerate().filter(|(_, arg)| arg.contains("${")) {
        problems.add_with_help(
            format!("spec.server.args[{at}]"),
            "nothing is expanded in arguments, which every user of the machine can read",
            "give a secret in `env`",
        );
    }
    if server.caller_token.is_some() {
        let message = "a server over `stdio` is one process for all callers, which has no token of theirs";
        problems.add("spec.server.callerToken", message);
    }
    let command = command(server, problems);
    let pinned = pinned::read(server, problems);
    let env = environment(server, secrets, problems);
    let working_folder = server.working_folder.as_deref().unwrap_or("");
    Some(StdioServer {
        command: command?,
        args: server.args.clone(),
        env,
        inherit_env: server.inherit_env.clone(),
        folder: folder.join(working_folder),
        pinned,
    })
}

fn command(server: &ServerConfig, problems: &mut Problems) -> Option<PathBuf> {
    let path = "spec.server.command";
    let Some(text) = server.command.as_deref() else {
        problems.add(path, "a server over `stdio` needs the program to start");
        return None;
    };
    let command = Path::new(text);
    if !command.is_absolute() {
        problems.add_with_help(
            path,
            format!("`{}` is not an absolute path", text.escape_debug()),
            "what is started must be pinned to one file: a name is looked up in folders that others may write \
             to; install the server and give its path, such as /usr/local/bin/mcp-server-filesystem",
        );
        return None;
    }
    if let Some(fetcher) = pinned::fetcher(command, &server.args) {
        problems.add_with_help(
            path,
            format!("`{fetcher}` downloads what it runs, which can be something else tomorrow"),
            "install the server at a fixed version and give the path of its own program; with an interpreter, as in \
             `command: /usr/bin/node` and `args: [/opt/mcp/node_modules/SERVER/index.js]`; `pinned` holds the hashes",
        );
        return None;
    }
    Some(command.to_owned())
}

fn environment(
    server: &ServerConfig,
    secrets: &dyn SecretSource,
    problems: &mut Problems,
) -> Vec<(String, Value)> {
    let mut env = Vec::new();
    for (name, value) in &server.env {
        let path = format!("spec.server.env.{name}");
        if name.is_empty() || name.contains(['=', '\0']) {
            problems.add(&path, "not a name that an environment variable can have");
        }
        match value {
            EnvValue::Literal(text) if text.contains('\0') => {
                problems.add(&path, "a value cannot hold a NUL character");
            }
            EnvValue::Literal(text) if !text.is_empty() && is_secret_name(name) => {
                problems.add_with_help(
                    &path,
                    "a variable of this name holds a secret, and a secret is never written into a configuration",
                    "set the secret and refer to it, as in `${secret:NAME}`",
                );
            }
            EnvValue::Literal(text) => env.push((name.clone(), Value::Plain(text.clone()))),
            EnvValue::Secret(reference) => {
                let is_good = |text: &str| !text.contains('\0');
                let secret = followed(reference, secrets, &path, ("a NUL character", is_good), problems);
                env.extend(secret.map(|secret| (name.clone(), Value::Secret(secret))));
            }
        }
    }
    env
}

/// The secret that `reference` names, if it can be used as it is now.
fn followed(
    reference: &SecretRef,
    secrets: &dyn SecretSource,
    path: &str,
    (what, is_good): (&str, impl Fn(&str) -> bool),
    problems: &mut Problems,
) -> Option<Arc<dyn LiveSecret>> {
    let secret = secrets.follow(reference);
    let secret = secret.map_err(|error| problems.add(path, error.to_string())).ok()?;
    if secret.now().is_some_and(|value| !is_good(value.text.expose_secret())) {
        problems.add(path, format!("secret `{}` holds {what}", reference.name()));
        return None;
    }
    Some(secret)
}

fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|end| upper.ends_with(end))
}

pub(super) fn http(
    server: &ServerConfig,
    secrets: &dyn SecretSource,
    problems: &mut Problems,
) -> Option<Box<HttpServer>> {
    if server.transport == Transport::Sse && server.era == EraConfig::Modern {
        problems.add("spec.server.era", "over `sse` there are sessions alone: leave `era` out");
    }
    let misplaced = [
        ("command", server.command.is_some()),
        ("args", !server.args.is_empty()),
        ("env", !server.env.is_empty()),
        ("inheritEnv", !server.inherit_env.is_empty()),
        ("workingFolder", server.working_folder.is_some()),
        ("pinned", !server.pinned.is_empty()),
    ];
    for (member, _) in misplaced.iter().filter(|(_, is_there)| *is_there) {
        let transport = server.transport.as_str();
        let message = format!("a server over `{transport}` is not started: give its `url`");
        problems.add(format!("spec.server.{member}"), message);
    }
    let mut headers = Vec::new();
    for (name, reference) in &server.headers {
        let path = format!("spec.server.headers.{name}");
        let Some(header) = header(name, &path, problems) else { continue };
        let is_good = |text: &str| HeaderValue::from_str(text).is_ok();
        let what = ("characters that a header cannot hold", is_good);
        let secret = followed(reference, secrets, &path, what, problems);
        headers.extend(secret.map(|secret| (header, secret)));
    }
    let caller = caller(server, problems);
    let Some(url) = server.url.as_deref() else {
        let transport = server.transport.as_str();
        problems.add("spec.server.url", format!("a server over `{transport}` needs its address"));
        return None;
    };
    match egress::address(url) {
        Ok(uri) => {
            let credentials = Credentials::new(headers).map(Arc::new);
            Some(Box::new(HttpServer { uri, credentials, caller, egress: OnceLock::new() }))
        }
        Err(message) => {
            problems.add("spec.server.url", message);
            None
        }
    }
}

/// The name of a header that is not the protocol's to set.
fn header(name: &str, path: &str, problems: &mut Problems) -> Option<HeaderName> {
    let lower = name.to_ascii_lowercase();
    if RESERVED_HEADERS.contains(&lower.as_str()) || lower.starts_with("mcp-") {
        problems.add(path, "this header is set by the protocol");
        return None;
    }
    let header = HeaderName::from_bytes(lower.as_bytes());
    header.map_err(|_| problems.add(path, "not a name that a header can have")).ok()
}

/// How the caller's own token is sent.
fn caller(server: &ServerConfig, problems: &mut Problems) -> Option<CallerHeader> {
    let config = server.caller_token.as_ref()?;
    let path = "spec.server.callerToken";
    if server.transport != Transport::Http {
        problems.add_with_help(
            path,
            "the caller's token goes with each request, and here all callers share one stream",
            "use `transport: http`",
        );
    }
    let name = header(&config.header, &format!("{path}.header"), problems)?;
    if server.headers.keys().any(|own| own.eq_ignore_ascii_case(name.as_str())) {
        problems.add(format!("{path}.header"), "this header is in `headers` as well");
    }
    if !config.scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        problems.add(format!("{path}.scheme"), "a scheme is one word, such as `Bearer`");
    }
    Some(CallerHeader::new(name, &config.scheme))
}

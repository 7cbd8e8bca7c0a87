//! The servers that a client's file names, in one form for all clients.
//!
//! Knows the keys of each client and judges nothing: what of it may be written into a
//! connector is said in `draft`.
//!
//! Invariants:
//! - An entry that cannot be understood is told of and does not take others with it.
//! - No error repeats a value: any may be a secret.

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::super::client::Client;

/// Most servers of one file.
const MAX_SERVERS: usize = 200;

/// An entry of a client's file.
pub(super) struct Found {
    /// The client's name for the server.
    pub(super) name: String,
    /// The folder that the entry is for, where it is not for all.
    pub(super) project: Option<String>,
    /// What it says, or why that cannot be understood.
    pub(super) server: Result<ClientServer, String>,
}

/// A server as a client reaches it.
pub(super) struct ClientServer {
    pub(super) reach: Reach,
    /// Whether the client uses it at all.
    pub(super) enabled: bool,
    /// The tools that the client uses; all if absent.
    pub(super) only_tools: Option<Vec<String>>,
    /// The tools that it does not use.
    pub(super) not_tools: Vec<String>,
    /// Keys that mean something to the client and have no counterpart here.
    pub(super) left_behind: Vec<String>,
}

/// How a client reaches a server.
pub(super) enum Reach {
    Stdio { command: String, args: Vec<String>, env: Vec<(String, Held)>, folder: Option<String> },
    Http { url: String, headers: Vec<(String, Held)>, is_sse: bool },
}

/// A value that may be a secret. `Debug` shows none.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// As it stands in the file.
    Text(SecretString),
    /// What the environment variable of this name holds.
    Variable(String),
    /// `Bearer` and what the environment variable of this name holds.
    BearerOf(String),
}

/// The entries of a file of `client`, which was read as `file`.
///
/// # Errors
///
/// That there is no place for servers in it.
pub(super) fn servers(client: Client, file: &Value) -> Result<Vec<Found>, String> {
    let root = file.as_object().ok_or("expected an object")?;
    // Files are passed from client to client, so the other spelling is understood too.
    let own = [client.servers_key(), "mcpServers", "servers"].into_iter().find_map(|key| root.get(key));
    let mut found = Vec::new();
    if let Some(own) = own {
        entries(client, own, None, &mut found)?;
    }
    if client == Client::ClaudeCode {
        let projects = root.get("projects").and_then(Value::as_object);
        for (project, settings) in projects.into_iter().flatten() {
            if let Some(own) = settings.get("mcpServers") {
                entries(client, own, Some(project), &mut found)?;
            }
        }
    }
    Ok(found)
}

fn entries(
    client: Client,
    servers: &Value,
    project: Option<&str>,
    found: &mut Vec<Found>,
) -> Result<(), String> {
    let key = client.servers_key();
    let servers = servers.as_object().ok_or_else(|| format!("`{key}` is no object"))?;
    if found.len().saturating_add(servers.len()) > MAX_SERVERS {
        return Err(format!("more than {MAX_SERVERS} servers"));
    }
    found.extend(servers.iter().map(|(name, entry)| Found {
        name: name.clone(),
        project: project.map(ToOwned::to_owned),
        server: match entry.as_object() {
            Some(entry) => Entry { entry, known: Vec::new() }.read(client),
            None => Err("the entry is no object".into()),
        },
    }));
    Ok(())
}

/// An entry, and the keys of it that were looked at.
struct Entry<'a> {
    entry: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl Entry<'_> {
    fn read(mut self, client: Client) -> Result<ClientServer, String> {
        let kind = self.text("type")?.or(self.text("transport")?);
        let (command, url) = (self.text("command")?, self.text("url")?.or(self.text("httpUrl")?));
        let reach = match (command, url) {
            (Some(command), None) => self.stdio(command)?,
            (None, Some(url)) => self.http(url, kind.as_deref() == Some("sse"))?,
            (Some(_), Some(_)) => return Err("it has both a `command` and a `url`".into()),
            (None, None) => return Err("it has neither a `command` nor a `url`".into()),
        };
        let enabled = self.flag("enabled").unwrap_or(true) && !self.flag("disabled").unwrap_or(false);
        let only_tools = self.texts("enabled_tools")?;
        let not_tools = self.texts("disabled_tools")?.unwrap_or_default();
        // How the client itself goes about it; nothing that a server would notice.
        self.known.extend(["name", "description", "gallery", "version", "dev", "autoApprove", "alwaysAllow"]);
        if client == Client::Codex {
            self.known.extend(["required", "startup_timeout_sec", "startup_timeout_ms", "tool_timeout_sec"]);
            self.known.extend(["default_tools_approval_mode", "supports_parallel_tool_calls", "tools"]);
        }
        let left_behind = self.entry.keys().filter(|key| !self.known.contains(&key.as_str())).cloned();
        let left_behind = left_behind.collect();
        Ok(ClientServer { reach, enabled, only_tools, not_tools, left_behind })
    }

    fn stdio(&mut self, command: String) -> Result<Reach, String> {
        let mut env = self.held("env")?;
        let passed_on = self.texts("env_vars")?.unwrap_or_default();
        env.extend(passed_on.into_iter().map(|name| (name.clone(), Held::Variable(name))));
        let args = self.texts("args")?.unwrap_or_default();
        Ok(Reach::Stdio { command, args, env, folder: self.text("cwd")? })
    }

    fn http(&mut self, url: String, is_sse: bool) -> Result<Reach, String> {
        let mut headers = self.held("headers")?;
        headers.extend(self.held("http_headers")?);
        for (name, variable) in self.named("env_http_headers")? {
            headers.push((name, Held::Variable(variable)));
        }
        if let Some(variable) = self.text("bearer_token_env_var")? {
            headers.push(("Authorization".into(), Held::BearerOf(variable)));
        }
        Ok(Reach::Http { url, headers, is_sse })
    }

    fn get(&mut self, key: &'static str) -> Option<&Value> {
        self.known.push(key);
        self.entry.get(key).filter(|value| !value.is_null())
    }

    fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }

    fn text(&mut self, key: &'static str) -> Result<Option<String>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("its `{key}` is no text")),
        }
    }

    fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, String> {
        let Some(list) = self.get(key) else { return Ok(None) };
        let texts = list.as_array().map(|list| list.iter().map(plain).collect::<Option<Vec<_>>>());
        texts.flatten().map(Some).ok_or_else(|| format!("its `{key}` is no list of texts"))
    }

    fn named(&mut self, key: &'static str) -> Result<Vec<(String, String)>, String> {
        let Some(members) = self.get(key) else { return Ok(Vec::new()) };
        let members = members.as_object().ok_or_else(|| format!("its `{key}` is no object"))?;
        let set = members.iter().filter(|(_, value)| !value.is_null());
        let read = set.map(|(name, value)| Some((name.clone(), plain(value)?))).collect::<Option<_>>();
        read.ok_or_else(|| format!("its `{key}` holds something that is no text"))
    }

    fn held(&mut self, key: &'static str) -> Result<Vec<(String, Held)>, String> {
        let named = self.named(key)?;
        Ok(named.into_iter().map(|(name, text)| (name, Held::Text(text.into()))).collect())
    }
}

/// A text, or a number or truth value as the text that a process would get.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_that_cannot_be_understood_does_not_take_others_with_it() {
        let file = json!({"mcpServers": {
            "good": {"command": "node", "args": ["a", 1], "env": {"N": 5, "X": null}, "oauth": {}},
            "both": {"command": "a", "url": "b"},
            "none": {},
            "list": [],
            "args": {"command": "a", "args": [{"hunter2": 1}]},
            "env": {"command": "a", "env": {"A": ["hunter2"]}}
        }});
        let found = servers(Client::Cursor, &file).expect("a file");
        let why: Vec<_> =
            found.iter().map(|f| f.server.as_ref().err().cloned().unwrap_or_default()).collect();
        assert_eq!(
            why,
            [
                "",
                "it has both a `command` and a `url`",
                "it has neither a `command` nor a `url`",
                "the entry is no object",
                "its `args` is no list of texts",
                "its `env` holds something that is no text"
            ]
        );
        let good = found[0].server.as_ref().expect("a server");
        assert_eq!(good.left_behind, ["oauth"]);
        let Reach::Stdio { args, env, .. } = &good.reach else { panic!("a child") };
        assert_eq!(args, &["a", "1"]);
        let [(name, Held::Text(value))] = env.as_slice() else { panic!("one variable: {env:?}") };
        assert_eq!((name.as_str(), value.expose_secret()), ("N", "5"));
        assert!(servers(Client::Cursor, &json!({"mcpServers": 1})).is_err());
    }

    #[test]
    fn projects_of_claude_code_have_servers_of_their_own() {
        let file = json!({
            "mcpServers": {"a": {"url": "https://a.example.test/mcp"}},
            "projects": {"/work/x": {"mcpServers": {"b": {"command": "b"}}}, "/work/y": {}}
        });
        let found = servers(Client::ClaudeCode, &file).expect("a file");
        let names: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.project.as_deref())).collect();
        assert_eq!(names, [("a", None), ("b", Some("/work/x"))]);
    }
}

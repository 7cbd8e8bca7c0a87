//! What each client is told about Quaymaster: an entry of its file, or a command of its own.
//!
//! Invariant: no token is in an entry or on a command line, only where the client finds it.

use std::path::{Path, PathBuf};

use quaymaster_core::setting::Slug;
use serde_json::{Value, json};

use super::super::client::Client;
use super::edit::Change;

/// How a client reaches Quaymaster.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Http {
        url: String,
        token: Token,
    },
    /// The command `quaymaster stdio`, for one connector if one is named.
    Stdio {
        program: PathBuf,
        config: PathBuf,
        server: Option<Slug>,
    },
}

/// Where a client finds its bearer token.
#[derive(Clone, Debug)]
pub(super) enum Token {
    /// In an environment variable of its own process.
    Variable(String),
    /// It asks the person once and keeps the answer where it keeps secrets.
    Asked,
}

/// The entry for `target`, as the file of `client` holds it.
pub(super) fn entry(client: Client, name: &str, target: &Target) -> Value {
    match target {
        Target::Http { url, token } => {
            let bearer = match (client, token) {
                (Client::Codex, Token::Variable(variable)) => {
                    return json!({"url": url, "bearer_token_env_var": variable});
                }
                (Client::ClaudeCode, Token::Variable(variable)) => format!("Bearer ${{{variable}}}"),
                (_, Token::Variable(variable)) => format!("Bearer ${{env:{variable}}}"),
                (_, Token::Asked) => format!("Bearer ${{input:{}}}", input_id(name)),
            };
            let headers = json!({"Authorization": bearer});
            match client {
                Client::Cursor => json!({"url": url, "headers": headers}),
                _ => json!({"type": "http", "url": url, "headers": headers}),
            }
        }
        Target::Stdio { program, config, server } => {
            let program = program.to_string_lossy();
            let args = stdio_arguments(config, server.as_ref());
            match client {
                Client::Codex | Client::Cursor => json!({"command": program, "args": args}),
                _ => json!({"type": "stdio", "command": program, "args": args}),
            }
        }
    }
}

/// What `quaymaster` is started with.
fn stdio_arguments(config: &Path, server: Option<&Slug>) -> Vec<String> {
    let mut arguments = texts(&["stdio", "--config", &config.to_string_lossy()]);
    if let Some(server) = server {
        arguments.extend(texts(&["--server", server.as_str()]));
    }
    arguments
}

/// Whether what a client holds says the same as our entry; Claude Code adds an empty `env`.
pub(super) fn is_same(held: &Value, ours: &Value) -> bool {
    let mut held = held.clone();
    if let Some(members) = held.as_object_mut()
        && members.get("env").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
    {
        members.shift_remove("env");
    }
    held == *ours
}

/// The changes of a client's file that put `value` in under `name`.
pub(super) fn changes(client: Client, name: &str, value: Value) -> Vec<Change<'_>> {
    let asks = value.pointer("/headers/Authorization").and_then(Value::as_str);
    let asks = asks.is_some_and(|bearer| bearer == format!("Bearer ${{input:{}}}", input_id(name)));
    let server = Change { container: client.servers_key(), key: Some(name), value };
    let input = Change {
        container: "inputs",
        key: None,
        value: json!({
            "type": "promptString",
            "id": input_id(name),
            "description": "Bearer token of Quaymaster (`quaymaster token create` makes one)",
            "password": true,
        }),
    };
    if asks { vec![input, server] } else { vec![server] }
}

fn input_id(name: &str) -> String {
    format!("{name}-token")
}

/// The client's own program and its arguments that add the server; `None` if it has none.
pub(super) fn add_command(
    client: Client,
    name: &str,
    target: &Target,
) -> Option<(&'static str, Vec<String>)> {
    let (program, mut arguments) = match client {
        Client::Codex => ("codex", texts(&["mcp", "add"])),
        Client::ClaudeCode => ("claude", texts(&["mcp", "add", "--scope", "user"])),
        Client::Cursor | Client::Vscode => return None,
    };
    match (client, target) {
        (_, Target::Stdio { program, config, server }) => {
            arguments.extend(texts(&[name, "--", &program.to_string_lossy()]));
            arguments.extend(stdio_arguments(config, server.as_ref()));
        }
        (Client::Codex, Target::Http { url, token }) => {
            arguments.extend(texts(&[name, "--url", url]));
            if let Token::Variable(variable) = token {
                arguments.extend(texts(&["--bearer-token-env-var", variable]));
            }
        }
        (_, Target::Http { url, token }) => {
            arguments.extend(texts(&["--transport", "http", name, url]));
            if let Token::Variable(variable) = token {
                arguments.extend(["--header".into(), format!("Authorization: Bearer ${{{variable}}}")]);
            }
        }
    }
    Some((program, arguments))
}

/// The same for taking it out.
pub(super) fn remove_command(client: Client, name: &str) -> Option<(&'static str, Vec<String>)> {
    match client {
        Client::Codex => Some(("codex", texts(&["mcp", "remove", name]))),
        Client::ClaudeCode => Some(("claude", texts(&["mcp", "remove", "--scope", "user", name]))),
        Client::Cursor | Client::Vscode => None,
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// A command as a person would type it into a shell.
pub(super) fn typed(program: &str, arguments: &[String]) -> String {
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b))
    };
    let quoted = arguments.iter().map(|argument| {
        if plain(argument) { argument.clone() } else { format!("'{}'", argument.replace('\'', r"'\''")) }
    });
    std::iter::once(program.to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_client_is_told_in_its_own_words_and_never_a_token() {
        let url = "http://127.0.0.1:8080/mcp".to_owned();
        let targets = [
            Target::Http { url: url.clone(), token: Token::Variable("QUAYMASTER_TOKEN".into()) },
            Target::Http { url, token: Token::Asked },
            Target::Stdio {
                program: "/opt/quay master/quaymaster".into(),
                config: "/etc/it's".into(),
                server: None,
            },
            Target::Stdio {
                program: "/opt/quaymaster".into(),
                config: "/etc/quay".into(),
                server: Slug::parse("desk").ok(),
            },
        ];
        let mut shown = String::new();
        for client in Client::value_variants() {
            for target in &targets {
                if matches!(target, Target::Http { token: Token::Asked, .. }) && *client != Client::Vscode {
                    continue;
                }
                let value = entry(*client, "quaymaster", target);
                let _ = writeln!(shown, "{}\n  entry: {value}", client.title());
                if let Some((program, arguments)) = add_command(*client, "quaymaster", target) {
                    let _ = writeln!(shown, "  add: {}", typed(program, &arguments));
                }
                for change in changes(*client, "quaymaster", value) {
                    let _ = writeln!(shown, "  in {}: {}", change.container, change.value);
                }
            }
            if let Some((program, arguments)) = remove_command(*client, "quaymaster") {
                let _ = writeln!(shown, "  remove: {}", typed(program, &arguments));
            }
        }
        insta::assert_snapshot!(shown);
    }
}

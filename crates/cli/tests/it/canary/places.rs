//! Every place where a secret can be, and the systems that they are for.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::texts::{CHILD, CONNECTOR, DATABASE, SETTINGS};
use super::traces::{Traces, hex};
use crate::gateway::{BINARY, eventually, signal};
use crate::stand_in::{Request, StandIn, State, serve_http};

/// Whose token is in the vault.
pub(super) const CALLER: &str = "a call in the caller's name";

/// The places, each with the secret that stands there.
const PLACES: [&str; 16] = [
    "environment",
    "file",
    "keyring",
    "server entry",
    "server ciphertext",
    "server token",
    "command",
    "caller token",
    "child's environment",
    "database password",
    "mail password",
    "webhook address",
    "webhook signature",
    "client secret",
    "sink token",
    "literal",
];

pub(super) struct Places {
    secrets: Vec<(&'static str, String)>,
    server: StandIn,
    metrics: SocketAddr,
    store: Option<String>,
    own: Vec<PathBuf>,
}

impl Places {
    /// Puts a secret into every place of the installation in `folder`, which is not running.
    pub(super) fn prepare(folder: &Path, store: Option<&str>) -> Self {
        let unique = std::process::id();
        let secret = |(at, place): (usize, &&'static str)| {
            let name: String = place.chars().filter(char::is_ascii_alphabetic).collect();
            (*place, format!("cnry{at:02}.{name}/{unique}+Zq7"))
        };
        let secrets: Vec<(&'static str, String)> = PLACES.iter().enumerate().map(secret).collect();
        let of = |place: &str| secrets.iter().find(|(known, _)| *known == place).expect(place).1.clone();
        let mut state = State::default();
        state.tokens.insert(of("server token"), None);
        state.entries.insert("secret/crm".into(), vec![json!({"token": of("server entry")})]);
        state.ciphertexts.insert("vault:v1:abc".into(), STANDARD.encode(of("server ciphertext")));
        let server = StandIn::serve(state);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let metrics = listener.local_addr().expect("an address");
        drop(listener);
        let mut own: Vec<PathBuf> =
            ["seal.key", "audit.key", "handles.json"].map(|name| folder.join("data").join(name)).into();
        own.extend([folder.join("secrets"), folder.join("programs")]);
        // With what the gateway shares a password, as URLs have it.
        let store = store.map(|url| {
            let password = of("database password").replace('/', "%2F").replace('+', "%2B");
            url.replacen("quaymaster@", &format!("quaymaster:{password}@"), 1)
        });
        let places = Self { secrets, server, metrics, store, own };
        places.write(folder);
        places
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.secrets.iter().map(|(place, secret)| (*place, secret.as_str()))
    }

    pub(super) fn of(&self, place: &str) -> String {
        self.all().find(|(known, _)| *known == place).expect(place).1.to_owned()
    }

    pub(super) fn environment(&self) -> Vec<(&str, &str)> {
        let mut variables = vec![("CANARY_ENV", self.all().next().expect("the first").1)];
        variables.extend(self.store.as_deref().map(|url| ("CANARY_STORE", url)));
        variables
    }

    /// Files that are there to hold a secret, and who may read them is checked elsewhere.
    pub(super) fn own_files(&self) -> &[PathBuf] {
        &self.own
    }

    /// From now on the keys of this installation are secrets too.
    pub(super) fn have_keys(folder: &Path, traces: &mut Traces) {
        let data = folder.join("data");
        traces.watch_for("sealing key", &fs::read(data.join("seal.key")).expect("the key"));
        for name in ["audit.key", "handles.json"] {
            let text = fs::read_to_string(data.join(name)).expect("a key's file");
            let file: Value = serde_json::from_str(&text).expect("JSON");
            let keys = file["keys"].as_array().cloned().unwrap_or_else(|| vec![file.clone()]);
            for key in keys {
                traces.watch_for(name, key["secret"].as_str().expect("a secret").as_bytes());
            }
        }
    }

    /// Whether all of it was of use, so that nothing was looked for that could not be there.
    pub(super) fn were_used(&self, log: &str) {
        for asked in ["/v1/secret/data/crm", "/v1/transit/decrypt/quaymaster"] {
            assert!(self.server.count(asked) > 0, "the server was not asked for {asked}");
        }
        for event in ["call.closed", "stderr of an MCP server"] {
            assert!(log.contains(event), "there is no {event} in the log at its most detailed level");
        }
    }

    /// What `quaymaster serve` prints, logs and tells scrapers.
    pub(super) fn served(&self, folder: &Path) -> String {
        let log = folder.with_extension("served");
        let mut process = Command::new(BINARY)
            .args(["serve", "-c"])
            .arg(folder)
            .env("RUST_LOG", "trace")
            .envs(self.environment())
            .stdout(fs::File::create(&log).expect("a log"))
            .stderr(fs::File::options().append(true).open(&log).expect("a log"))
            .spawn()
            .expect("the binary");
        eventually("it listens to scrapers", || TcpStream::connect(self.metrics).is_ok());
        let mut stream = TcpStream::connect(self.metrics).expect("the listener for scrapers");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.metrics);
        stream.write_all(request.as_bytes()).expect("asked");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("a page");
        signal(process.id(), rustix::process::Signal::TERM);
        process.wait().expect("its end");
        assert!(page.contains("quaymaster_"), "{page}");
        page + &fs::read_to_string(&log).expect("a log")
    }

    /// Runs a command of the binary: its exit code, and all that it said.
    pub(super) fn run(&self, folder: &Path, arguments: &[&str], input: &str) -> (i32, String) {
        let mut process = Command::new(BINARY)
            .args(arguments)
            .current_dir(folder)
            .env("RUST_LOG", "trace")
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        process.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("read");
        let done = process.wait_with_output().expect("an end");
        let said = [done.stdout, done.stderr].concat();
        (done.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    fn write(&self, folder: &Path) {
        let program = |name: &str, script: String| {
            let path = folder.join("programs").join(name);
            fs::create_dir_all(folder.join("programs")).expect("a folder");
            fs::write(&path, format!("#!/bin/sh\n{script}")).expect("a program");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("permissions");
            path.display().to_string()
        };
        let command = program("print", format!("echo 'Bearer {}'\n", self.of("command")));
        let ring = program("secret-tool", format!("printf %s '{}'\n", self.of("keyring")));
        let child = program("child", CHILD.to_owned());
        self.write_secrets(folder);
        let upstream = serve_http(upstream);
        let said = serve_http(|request: &Request| (500, json!({"you sent": request.headers}).to_string()));
        let settings = folder.join("quaymaster.yaml");
        let mut text = fs::read_to_string(&settings).expect("the settings");
        if self.store.is_some() {
            text = text.replace(
                "store: { engine: sqlite }",
                "store: { engine: postgres, url: \"${secret:CANARY_STORE}\" }",
            );
            for name in ["audit.key", "audit.checkpoint", "seal.key"] {
                let _ = fs::remove_file(folder.join("data").join(name));
            }
        }
        let sink = format!(
            "audit: {{ sinks: [{{ name: far, to: \"http://{said}/v1/logs\", token: \"${{secret:SINK}}\" }}], "
        );
        let text = text.replace("audit: { ", &sink).replace(
            "listen:\n",
            &format!("listen:\n  publicUrl: http://127.0.0.1:8080\n  metrics: {}\n", self.metrics),
        );
        let own = SETTINGS
            .replace("@VAULT@", &self.server.url())
            .replace("@COMMAND@", &command)
            .replace("@RING@", &ring)
            .replace("@SAID@", &said.to_string());
        fs::write(&settings, text + &own).expect("written");
        for (name, prefix, server) in [
            (
                "echo",
                "echo",
                format!(
                    "transport: http\n    url: http://{upstream}/mcp\n    headers: {{ Authorization: \"${{secret:BY_COMMAND}}\", X-Env: \"${{secret:CANARY_ENV}}\", X-File: \"${{secret:BY_FILE}}\", X-Entry: \"${{secret:BY_ENTRY}}\", X-Sealed: \"${{secret:BY_CIPHERTEXT}}\", X-Ring: \"${{secret:BY_RING}}\" }}"
                ),
            ),
            (
                "locked",
                "locked",
                format!(
                    "transport: http\n    url: http://{upstream}/locked\n    headers: {{ Authorization: \"${{secret:BY_FILE}}\" }}"
                ),
            ),
            (
                "ring",
                "ring",
                format!(
                    "transport: http\n    url: http://{upstream}/failing\n    headers: {{ Authorization: \"${{secret:BY_RING}}\" }}"
                ),
            ),
            (
                "personal",
                "personal",
                format!("transport: http\n    url: http://{upstream}/mcp\n    callerToken: {{}}"),
            ),
            (
                "child",
                "child",
                format!(
                    "transport: stdio\n    command: {child}\n    inheritEnv: [PATH]\n    env: {{ KEY: \"${{secret:CHILD}}\" }}"
                ),
            ),
        ] {
            let text =
                CONNECTOR.replace("@NAME@", name).replace("@PREFIX@", prefix).replace("@SERVER@", &server);
            fs::write(folder.join(format!("connectors/{name}.yaml")), text).expect("a connector");
        }
        fs::write(folder.join("connectors/database.yaml"), DATABASE).expect("a connector");
    }

    fn write_secrets(&self, folder: &Path) {
        let secrets = folder.join("secrets");
        fs::create_dir(&secrets).expect("a folder");
        let password = self.of("database password").replace('/', "%2F").replace('+', "%2B");
        for (name, text) in [
            ("BY_FILE", self.of("file")),
            ("VAULT_TOKEN", self.of("server token")),
            ("CIPHERTEXT", "vault:v1:abc".to_owned()),
            ("CHILD", self.of("child's environment")),
            ("DATABASE", format!("postgres://ada:{password}@127.0.0.1:1/crm")),
            ("MAIL", self.of("mail password")),
            ("HOOK_URL", format!("http://127.0.0.1:1/{}", self.of("webhook address").replace('+', "-"))),
            ("HOOK", format!("whsec_{}", STANDARD.encode(self.of("webhook signature")))),
            ("CLIENT", self.of("client secret")),
            ("SINK", self.of("sink token")),
        ] {
            let path = secrets.join(name);
            fs::write(&path, text).expect("a secret");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
        }
    }
}

/// An MCP server that repeats what it is sent wherever it can.
fn upstream(request: &Request) -> (u16, String) {
    let sent: Vec<String> = request
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-") || *name == "authorization")
        .flat_map(|(_, value)| {
            let bare = value.trim_start_matches("Bearer ");
            [value.clone(), STANDARD.encode(format!("a{bare}")), hex(bare.as_bytes())]
        })
        .collect();
    let sent = sent.join(" ");
    let (id, method) = (&request.body["id"], request.body["method"].as_str().unwrap_or_default());
    let result = |result: Value| (200, json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string());
    let error = |status: u16| {
        let error = json!({"code": -32001, "message": format!("not with {sent}"), "data": sent});
        (status, json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string())
    };
    if request.target == "/locked" {
        return error(401);
    }
    let text = |is_error: bool| json!({"resultType": "complete", "isError": is_error, "content": [{"type": "text", "text": format!("sent: {sent}")}]});
    match method {
        "server/discover" => result(json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}
        })),
        "tools/list" => {
            let description = format!("Asked with {sent}");
            let schema = json!({"type": "object", "properties": {"how": {"type": "string"}}});
            let tool = json!({"name": "go", "description": description, "inputSchema": schema});
            result(json!({"resultType": "complete", "tools": [tool]}))
        }
        "tools/call" if request.target == "/failing" => (500, format!("no {sent}")),
        "tools/call" => match request.body["params"]["arguments"]["how"].as_str() {
            Some("error") => error(200),
            Some("status") => error(401),
            Some("failed") => result(text(true)),
            Some("nothing") => (200, format!("<html>{sent}")),
            _ => result(text(false)),
        },
        _ => {
            (404, json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": sent}}).to_string())
        }
    }
}

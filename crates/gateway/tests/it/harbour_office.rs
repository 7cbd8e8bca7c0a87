//! A gateway on which one tool needs an agreement, with people who ask and a browser to decide by.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_connectors::Wire;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_control::identity::TokenRequest;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, AgentClaims, Arguments, Authentication, CallId, CallRequest, Clock, Kind, Raw, Reach,
    Reply, SystemClock,
};
use quaymaster_gateway::{Gateway, Office};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::installation::{folder, options, start};

const SETTINGS: &str = "\
apiVersion: quaymaster/v1
workspaces: { sales: {} }
defaultWorkspace: sales
roles: { analyst: { clearance: internal }, manager: { clearance: internal } }
localUser: { roles: [analyst, manager], person: ada@example.test }
listen: { address: '127.0.0.1:0', console: '127.0.0.1:0' }
";

const GREETINGS: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: greetings
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: sql
  connection: { dialect: sqlite, path: ./numbers.db, session: { statementTimeout: 5s } }
  limits: { timeout: 10s }
  classification: { default: internal }
  tools:
    - name: greet
      effect: read
      description: Greets somebody by name, for tests of what waits until somebody agrees to it.
      access: { roles: [analyst] }
      approval: { by: { roles: [manager] } }
      briefing: { action: 'Greet ${who}' }
      template:
        version: 1
        statement: SELECT :who AS who
        params: { who: { type: string } }
";

/// How long something is awaited that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A gateway that serves its console and runs what was agreed to.
pub(crate) struct Harbour {
    pub(crate) folder: TempDir,
    pub(crate) gateway: Arc<Gateway>,
    /// Where the console is.
    pub(crate) address: String,
    /// Where clients are answered.
    pub(crate) clients: String,
    stop: CancellationToken,
}

impl Harbour {
    pub(crate) async fn start(more_settings: &str) -> Self {
        Self::start_with_secret(more_settings, "UNUSED", "none").await
    }

    /// The same with a secret in a file.
    pub(crate) async fn start_with_secret(more_settings: &str, name: &str, secret: &str) -> Self {
        let folder = folder();
        let secrets = folder.path().join("secrets");
        std::fs::create_dir(&secrets).expect("a folder");
        let mut file = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(file.create_new(true).write(true), 0o600);
        let mut file = file.open(secrets.join(name)).expect("a file");
        std::io::Write::write_all(&mut file, secret.as_bytes()).expect("written");
        let text = format!("{SETTINGS}{more_settings}");
        for (path, text) in [("quaymaster.yaml", text.as_str()), ("connectors/greetings.yaml", GREETINGS)] {
            std::fs::write(folder.path().join(path), text).expect("a file");
        }
        std::fs::remove_file(folder.path().join("connectors/numbers.yaml")).expect("removed");
        Self::open(folder).await
    }

    async fn open(folder: TempDir) -> Self {
        let gateway = start(folder.path()).await.unwrap_or_else(|error| panic!("{error:?}"));
        let listener = gateway.listen().await.expect("a port");
        let console = gateway.listen_for_console().await.expect("a port").expect("it is configured");
        let address = console.local_addr().expect("bound").to_string();
        let clients = listener.local_addr().expect("bound").to_string();
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&gateway).serve_console(console));
        tokio::spawn(Arc::clone(&gateway).serve(listener, stop.clone()));
        Self { folder, gateway, address, clients, stop }
    }

    pub(crate) async fn end(self) -> TempDir {
        self.stop.cancel();
        self.gateway.shutdown().await;
        self.folder
    }

    /// The same installation, served by another gateway.
    pub(crate) async fn again(self) -> Self {
        Self::open(self.end().await).await
    }

    /// Somebody with a token of this installation, who asks.
    pub(crate) async fn somebody(&self, name: &str) -> Arc<Actor> {
        self.with_token(name, "analyst").await.0
    }

    /// Somebody with a token of this installation, and the token.
    pub(crate) async fn with_token(&self, name: &str, role: &str) -> (Arc<Actor>, String) {
        let user = self.gateway.local_user().expect("a local user");
        let id = ActorId::parse(name).expect("a name");
        let request = TokenRequest {
            actor: id.clone(),
            person: None,
            roles: vec![Slug::parse(role).expect("a role")],
            workspace: user.workspace.clone(),
            lifetime: Duration::from_hours(1),
            note: None,
        };
        let office = Office::open(options(self.folder.path())).await.expect("an office");
        let token = office.create_token(request).await.expect("a token");
        office.close().await;
        let roles = [Slug::parse(role).expect("a role")].into();
        let authentication = Authentication::Token(token.row.id);
        let actor = Actor { id, person: None, roles, authentication, ..Actor::clone(&user) };
        (Arc::new(actor), token.text.to_string())
    }

    /// What `actor` is answered who has somebody greeted.
    pub(crate) async fn greet(&self, actor: &Arc<Actor>, who: &str) -> Reply {
        self.greet_over(actor, who, Wire::default()).await
    }

    /// The same of a client that can be spoken to over `wire`.
    pub(crate) async fn greet_over(&self, actor: &Arc<Actor>, who: &str, wire: Wire) -> Reply {
        let arguments = json!({ "who": who }).to_string();
        let request = CallRequest {
            kind: Kind::Tool,
            id: CallId::new(&SystemClock, &SystemRandomness),
            received: SystemClock.now(),
            actor: Arc::clone(actor),
            reach: Reach::All,
            session: None,
            agent: AgentClaims { client: Some("<b>agent</b>".into()), ..AgentClaims::default() },
            trace_id: None,
            sampled: false,
            correlation_id: None,
            idempotency_key: None,
            tool: "greetings_greet".to_owned(),
            arguments: Arguments::parse(Some(Raw::read(&arguments).expect("JSON"))).expect("arguments"),
        };
        self.gateway.call(request, wire).await
    }

    /// The request that waits after `actor` has asked for a greeting of `who`.
    pub(crate) async fn asked(&self, actor: &Arc<Actor>, who: &str) -> String {
        let reply = self.greet(actor, who).await;
        let result: Value = serde_json::from_str(&reply.result).expect("JSON");
        let id = result.pointer("/structuredContent/approval/id").and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("no request: {result}")).to_owned()
    }

    pub(crate) async fn code(&self) -> String {
        code(self.folder.path(), None).await
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser { address: self.address.clone(), cookie: None }
    }

    /// A browser in which the local user is logged in.
    pub(crate) async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let answer = browser.sign_in(&self.code().await).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        browser
    }
}

pub(crate) async fn code(folder: &Path, token: Option<&str>) -> String {
    let office = Office::open(options(folder)).await.expect("an office");
    let actor = office.visitor(token).await.expect("somebody");
    let code = office.console_code(&actor).await.expect("made");
    office.close().await;
    code.to_string()
}

/// As much of a browser as a form needs.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) address: String,
    pub(crate) cookie: Option<String>,
}

/// What it was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The word of the session that the forms of this page say.
    pub(crate) fn word(&self) -> String {
        let (_, rest) = self.body.split_once(r#"name="word" value=""#).expect("a form");
        rest.split('"').next().expect("a word").to_owned()
    }
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn sign_in(&mut self, code: &str) -> Answer {
        self.post("/sign-in", &[("code", code), ("to", "/approvals")]).await
    }

    /// Sends a form from a page of the console.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{}", self.address);
        self.post_from(path, &[("origin", &origin), ("sec-fetch-site", "same-origin")], fields).await
    }

    pub(crate) async fn post_from(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        fields: &[(&str, &str)],
    ) -> Answer {
        let escaped =
            |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let kind = ("content-type", "application/x-www-form-urlencoded");
        self.send("POST", path, &[headers, &[kind]].concat(), &pairs.join("&")).await
    }

    /// Answers a request on its page.
    pub(crate) async fn answer(&mut self, id: &str, answer: &str, comment: &str) -> Answer {
        let path = format!("/approvals/{id}");
        let word = self.get(&path).await.word();
        self.post(&path, &[("word", &word), ("answer", answer), ("comment", comment)]).await
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let host = &self.address;
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        let cookie = self.cookie.iter().map(|cookie| ("cookie", cookie.as_str()));
        for (name, value) in headers.iter().copied().chain(cookie) {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        let _ = write!(request, "content-length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(&self.address).await.expect("connected");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        if let Some((_, rest)) = head.split_once("set-cookie: ") {
            self.cookie = rest.split(';').next().map(ToOwned::to_owned);
        }
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}

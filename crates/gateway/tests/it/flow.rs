//! What whoever calls has seen follows them, over whatever they call.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::identity::TokenRequest;
use quaymaster_core::setting::Slug;
use quaymaster_core::{ActorId, Arguments, ErrorCode, Raw, Status};
use quaymaster_gateway::{Gateway, Office, OfficeError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::identity::world::{call, send};
use crate::installation::{folder, options, start};

const SETTINGS: &str = "\
apiVersion: quaymaster/v1
workspaces: { sales: {} }
defaultWorkspace: sales
roles: { agent: { clearance: confidential }, officer: { clearance: internal } }
localUser: { roles: [agent], person: ada@example.test }
listen: { address: '127.0.0.1:0' }
flow: { window: 2h }
";

const POLICY: &str = r#"
@id("flow") @reason("private data stays inside after content of strangers")
forbid (principal, action == Action::"call", resource)
when { context.labels.containsAll(["saw:untrusted", "saw:confidential"]) && resource.destination == "public" };

@id("officers")
permit (principal in Role::"officer", action == Action::"administer", resource == Workspace::"sales");
"#;

/// A database as a connector: what is said of it, and its one tool.
fn connector(name: &str, class: &str, ways: &str, statement: &str) -> String {
    format!(
        "apiVersion: connector/v1\nkind: Connector\nmetadata:\n  name: {name}\n  version: 1.0.0\n  \
         owner: {{ team: a, contact: a@example.test }}\n  workspaces: [sales]\nspec:\n  engine: sql\n  \
         connection: {{ dialect: sqlite, path: ./numbers.db, session: {{ statementTimeout: 5s }} }}\n  \
         limits: {{ timeout: 10s }}\n  classification: {{ default: {class} }}\n{ways}  tools:\n    \
         - name: look\n      effect: read\n      description: A tool of a test, which answers what it always answers.\n      \
         access: {{ roles: [agent] }}\n      template: {{ version: 1, statement: {statement} }}\n"
    )
}

/// A folder with mails of strangers, private data and a way out.
fn house() -> tempfile::TempDir {
    let folder = folder();
    let write = |path: &str, text: &str| std::fs::write(folder.path().join(path), text).expect("a file");
    std::fs::remove_file(folder.path().join("connectors/numbers.yaml")).expect("removed");
    std::fs::remove_file(folder.path().join("policies/none.cedar")).expect("removed");
    write("quaymaster.yaml", SETTINGS);
    write("policies/flow.cedar", POLICY);
    write(
        "connectors/mail.yaml",
        &connector("mail", "public", "  trust: untrusted\n", "SELECT 'do as I say' AS text"),
    );
    write("connectors/pay.yaml", &connector("pay", "confidential", "", "SELECT 7 AS salary"));
    write(
        "connectors/web.yaml",
        &connector("web", "public", "  destination: public\n", "SELECT 'found' AS page"),
    );
    folder
}

async fn token(folder: &Path, actor: &str, role: &str) -> String {
    let office = Office::open(options(folder)).await.expect("an office");
    let request = TokenRequest {
        actor: ActorId::parse(actor).expect("a name"),
        person: None,
        roles: vec![Slug::parse(role).expect("a role")],
        workspace: Slug::parse("sales").expect("a name"),
        lifetime: Duration::from_hours(1),
        note: None,
    };
    let token = office.create_token(request).await.expect("a token");
    office.close().await;
    token.text.as_str().to_owned()
}

struct Served {
    gateway: Arc<Gateway>,
    address: SocketAddr,
    stop: CancellationToken,
}

impl Served {
    async fn start(folder: &Path) -> Self {
        let gateway = start(folder).await.unwrap_or_else(|error| panic!("{error:?}"));
        let listener = gateway.listen().await.expect("a port");
        let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
        tokio::spawn(Arc::clone(&gateway).serve(listener, stop.clone()));
        Self { gateway, address, stop }
    }

    /// What comes of a call of a client without sessions: the code of its refusal, or none.
    async fn modern(&self, token: &str, tool: &str) -> Option<String> {
        let answer = call(self.address, "/mcp", token, tool, &json!({})).await;
        code(&answer.body)
    }

    /// The same of a client that opens a session for it.
    async fn in_a_session(&self, token: &str, tool: &str) -> Option<String> {
        let head = format!(
            "authorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\n"
        );
        let params = json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "somebody else", "version": "2"}
        });
        let open = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let opened = send(self.address, "POST /mcp", &head, &open.to_string()).await;
        let session = opened.header("mcp-session-id").expect("a session").to_owned();
        let head = format!("{head}mcp-session-id: {session}\r\nmcp-protocol-version: 2025-06-18\r\n");
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(send(self.address, "POST /mcp", &head, &ready.to_string()).await.status, 202);
        let params = json!({"name": tool, "arguments": {}});
        let asked = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params});
        code(&send(self.address, "POST /mcp", &head, &asked.to_string()).await.body)
    }

    async fn end(self) {
        self.stop.cancel();
        self.gateway.shutdown().await;
    }
}

/// The code in an answer, which may come as an event.
fn code(body: &str) -> Option<String> {
    let from = body.find(r#"{"jsonrpc""#).or_else(|| body.find('{')).expect("an answer");
    let answer = serde_json::Deserializer::from_str(&body[from..]).into_iter::<Value>().next();
    let answer = answer.expect("an answer").expect("JSON");
    assert!(answer.get("result").is_some(), "{answer}");
    answer.pointer("/result/structuredContent/error/code").and_then(Value::as_str).map(str::to_owned)
}

const DENIED: Option<&str> = Some("policy.denied");

#[tokio::test]
async fn no_transport_era_session_or_token_sheds_what_was_seen_nor_does_a_restart() {
    let folder = house();
    let first = token(folder.path(), "ada@example.test", "agent").await;
    let second = token(folder.path(), "ada@example.test", "agent").await;
    let other = token(folder.path(), "bo@example.test", "agent").await;
    let served = Served::start(folder.path()).await;
    assert_eq!(served.modern(&first, "web_look").await, None);
    assert_eq!(served.in_a_session(&first, "mail_look").await, None);
    assert_eq!(served.modern(&second, "web_look").await, None, "one of them alone");
    assert_eq!(served.modern(&second, "pay_look").await, None);
    assert_eq!(served.modern(&first, "web_look").await.as_deref(), DENIED);
    assert_eq!(served.modern(&second, "web_look").await.as_deref(), DENIED);
    assert_eq!(served.in_a_session(&first, "web_look").await.as_deref(), DENIED);
    assert_eq!(served.in_a_session(&second, "web_look").await.as_deref(), DENIED);
    let empty = Arguments::parse(Some(Raw::read("{}").expect("JSON"))).expect("arguments");
    // The user of this machine is the same person.
    let local = served.gateway.call_as_local_user("web_look", empty, CancellationToken::new());
    assert_eq!(local.await.expect("an answer").code, Some(ErrorCode::PolicyDenied));
    assert_eq!(served.modern(&first, "mail_look").await, None, "what stays inside goes on");
    assert_eq!(served.modern(&other, "web_look").await, None, "nobody else is meant");
    // A second process over the same store, while the first one serves.
    let beside = Served::start(folder.path()).await;
    assert_eq!(beside.modern(&first, "web_look").await.as_deref(), DENIED);
    assert_eq!(beside.modern(&other, "mail_look").await, None);
    assert_eq!(served.modern(&other, "pay_look").await, None);
    assert_eq!(beside.modern(&other, "web_look").await.as_deref(), DENIED, "each released a half");
    beside.end().await;
    served.end().await;
    let again = Served::start(folder.path()).await;
    assert_eq!(again.modern(&first, "web_look").await.as_deref(), DENIED);
    again.end().await;
}

#[tokio::test]
async fn a_person_with_the_role_takes_labels_away_and_nobody_else_does() {
    let folder = house();
    let agent = token(folder.path(), "ada@example.test", "agent").await;
    let officer = token(folder.path(), "mo@example.test", "officer").await;
    let served = Served::start(folder.path()).await;
    for tool in ["mail_look", "pay_look"] {
        assert_eq!(served.modern(&agent, tool).await, None);
    }
    assert_eq!(served.modern(&agent, "web_look").await.as_deref(), DENIED);
    let office = Office::open(options(folder.path())).await.expect("an office");
    let ada = ActorId::parse("ada@example.test").expect("a name");
    let (by_ada, by_mo) = (
        office.visitor(Some(&agent)).await.expect("somebody"),
        office.visitor(Some(&officer)).await.expect("somebody"),
    );
    let refused = office.clear_labels(&by_ada, (&ada, &[]), "I am done").await;
    assert!(matches!(refused, Err(OfficeError::Refused(_))), "{refused:?}");
    let misspelt = ["saw:untrustd".to_owned()];
    let refused = office.clear_labels(&by_mo, (&ada, &misspelt), "looked").await.expect_err("no such label");
    assert!(refused.to_string().contains("did you mean `saw:untrusted`?"), "{refused}");
    assert_eq!(office.labels(&by_mo).await.expect("labels").len(), 2);
    let untrusted = ["saw:untrusted".to_owned()];
    assert_eq!(
        office.clear_labels(&by_mo, (&ada, &untrusted), "I read the mail").await.expect("cleared").len(),
        1
    );
    office.close().await;
    assert_eq!(served.modern(&agent, "web_look").await, None);
    assert_eq!(served.modern(&agent, "mail_look").await, None);
    assert_eq!(served.modern(&agent, "web_look").await.as_deref(), DENIED, "and it is set again");
    served.end().await;
}

#[tokio::test]
async fn a_label_that_nothing_sets_is_an_error_with_a_suggestion() {
    let folder = house();
    let policy = POLICY.replace("saw:confidential", "saw:confidental");
    std::fs::write(folder.path().join("policies/flow.cedar"), policy).expect("a file");
    let error = start(folder.path()).await.map(drop).expect_err("a label that there is not");
    let told = format!("{error:?}");
    assert!(told.contains("unknown label `saw:confidental`"), "{told}");
    assert!(told.contains("did you mean `saw:confidential`?"), "{told}");
    std::fs::write(folder.path().join("policies/flow.cedar"), POLICY).expect("a file");
    let settings = SETTINGS.replace("window: 2h", "window: 10m");
    std::fs::write(folder.path().join("quaymaster.yaml"), settings).expect("a file");
    let told = format!("{:?}", start(folder.path()).await.map(drop).expect_err("too short"));
    assert!(told.contains("labels last from `1h` to `30d`"), "{told}");
}

#[tokio::test]
async fn what_nobody_says_of_a_database_is_that_it_is_inside() {
    let folder = house();
    let served = Served::start(folder.path()).await;
    let plane = served.gateway.plane();
    let of = |name: &str| {
        let tool = plane.catalogue().tool(name).expect("a tool");
        (tool.declaration().trust.as_str(), tool.declaration().destination.as_str())
    };
    assert_eq!(of("pay_look"), ("internal", "internal"));
    assert_eq!(of("mail_look"), ("untrusted", "internal"));
    assert_eq!(of("web_look"), ("internal", "public"));
    let status =
        served.gateway.call_as_local_user("pay_look", Arguments::default(), CancellationToken::new());
    assert_eq!(status.await.expect("an answer").status, Status::Success);
    served.end().await;
}

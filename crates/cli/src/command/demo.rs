//! `quaymaster demo`: a sample company, governed, with nothing installed but this binary.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use quaymaster_control::identity::TokenRequest;
use quaymaster_core::ActorId;
use quaymaster_core::setting::Slug;
use quaymaster_gateway::{Gateway, Office};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::place::Place;
use super::serve::serve_until_signal;
use super::signals::Signals;
use crate::demo::client::Tokens;
use crate::demo::{client, company, files, ticketing, tour};
use crate::failure::Failure;
use crate::out;

/// How long the demo's tokens count.
const TOKEN_LIFETIME: Duration = Duration::from_hours(24);

/// Sets up a sample company and serves it, with nothing installed but this binary.
///
/// Makes a folder with a configuration to learn from, a database, a ticketing
/// server and three tokens, and serves MCP until Ctrl-C. Files that are there and
/// were changed are kept.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the demo lives.
    #[arg(long, value_name = "FOLDER", default_value = "quaymaster-demo")]
    data: PathBuf,
    /// Where agents connect; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Run the tour: calls that are permitted, refused and repeated, each checked. Ends with 0 if all went as they should.
    #[arg(long)]
    tour: bool,
    /// Print one line of JSON when ready: `{"mcp_url", "workspace_url", "tokens", "config", "data"}`.
    #[arg(long, conflicts_with = "tour")]
    json: bool,
}

/// The demo's ticketing server.
#[derive(Debug, Args)]
pub(crate) struct Ticketing {
    /// The folder with its state.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
}

impl Ticketing {
    pub(crate) fn run(self) -> Result<(), Failure> {
        Ok(ticketing::serve(&self.data, std::io::stdin().lock(), std::io::stdout().lock())?)
    }
}

/// The demo, served.
struct Served {
    folder: PathBuf,
    address: SocketAddr,
    tokens: Tokens,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.data).map_err(Failure::outside)?;
        let folder = self.data.canonicalize().map_err(Failure::outside)?;
        self.set_up(&folder)?;
        let place = Place { config: folder.clone() };
        let tokens = Tokens {
            analyst: token(&place, "analyst").await?,
            support: token(&place, "support").await?,
            manager: token(&place, "support_manager").await?,
        };
        let gateway = place.gateway().await?;
        let listener = gateway.listen().await.map_err(|e| {
            Failure::outside(format!("{e}; choose another port with --listen in a new folder (--data)"))
        })?;
        let address = listener.local_addr().map_err(Failure::outside)?;
        let served = Served { folder, address, tokens };
        if self.tour {
            return served.tour(&gateway, listener).await;
        }
        let signals = Signals::new()?;
        if self.json {
            served.print_json()?;
        } else {
            served.print()?;
        }
        serve_until_signal(&gateway, listener, signals).await
    }

    fn set_up(&self, folder: &Path) -> Result<(), Failure> {
        let executable = std::env::current_exe().and_then(std::fs::canonicalize).map_err(Failure::outside)?;
        let values = files::Values {
            executable,
            listen: self.listen,
            company: folder.join("company.db"),
            ticketing: folder.join("ticketing"),
        };
        if !values.company.exists() {
            company::create(&values.company)?;
        }
        std::fs::create_dir_all(&values.ticketing).map_err(Failure::outside)?;
        let written = files::write(folder, &values)?;
        for kept in written.kept {
            tracing::warn!(event = "demo.kept", file = kept, "this file was changed by somebody and is kept");
        }
        Ok(())
    }
}

async fn token(place: &Place, role: &str) -> Result<Zeroizing<String>, Failure> {
    let office = Office::open(place.options()).await?;
    let request = TokenRequest {
        person: None,
        actor: ActorId::parse(&format!("{role}@example.test")).map_err(Failure::outside)?,
        roles: vec![Slug::parse(role).map_err(Failure::outside)?],
        workspace: office.default_workspace().clone(),
        lifetime: TOKEN_LIFETIME,
        note: Some("made by quaymaster demo".into()),
    };
    let token = office.create_token(request).await?;
    office.close().await;
    Ok(token.text)
}

impl Served {
    fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    fn print_json(&self) -> Result<(), Failure> {
        out::json(&json!({
            "mcp_url": self.url(),
            "workspace_url": format!("http://{}/w/sales/mcp", self.address),
            "tokens": {
                "analyst": self.tokens.analyst.as_str(),
                "support": self.tokens.support.as_str(),
                "manager": self.tokens.manager.as_str(),
            },
            "config": self.folder,
            "data": self.folder.join("data"),
        }))
    }

    fn print(&self) -> Result<(), Failure> {
        let program = std::env::args().next().unwrap_or_else(|| "quaymaster".into());
        let (url, config) = (self.url(), self.folder.display());
        let Tokens { analyst, support, manager } = &self.tokens;
        let (analyst, support, manager) = (analyst.as_str(), support.as_str(), manager.as_str());
        out::line(format!(
            "\
Quaymaster serves a sample company. Ctrl-C ends it.

  MCP address      {url}
  configuration    {config}
  analyst's token  {analyst}
  support's token  {support}
  manager's token  {manager}

Try in another terminal:

  # permitted: a quarter's revenue
  {program} call -c {config} metrics_monthly_revenue from=2026-01-01 to=2026-04-01 region=EMEA

  # denied, with the reason: an e-mail address in a text that many will read
  {program} call -c {config} desk_create_support_escalation account_id=ACC-0007 severity=high summary='Call ada@example.test about the refused orders'

  # waits for a manager, who reads what would happen, and agrees
  {program} call -c {config} desk_create_support_escalation account_id=ACC-0007 severity=critical summary='No order can be placed'
  echo {manager} > {config}/manager.token
  {program} approvals list -c {config} --token-file {config}/manager.token
  {program} approvals approve -c {config} --token-file {config}/manager.token ID

  # proof that every call is recorded, and that no record was changed
  {program} audit verify -c {config}

Connect an agent:

  export QUAYMASTER_TOKEN={support}
  codex mcp add quaymaster --url {url} --bearer-token-env-var QUAYMASTER_TOKEN
  claude mcp add --transport http quaymaster {url} --header \"Authorization: Bearer $QUAYMASTER_TOKEN\"
"
        ))
    }

    async fn tour(self, gateway: &Arc<Gateway>, listener: TcpListener) -> Result<(), Failure> {
        let stop = CancellationToken::new();
        let serving = tokio::spawn(Arc::clone(gateway).serve(listener, stop.clone()));
        let runtime = tokio::runtime::Handle::current();
        let touring = tokio::task::spawn_blocking(move || {
            let mut demo = client::Visitor::new(runtime, self.folder, self.address, self.tokens);
            tour::run(&mut demo, &mut std::io::stdout())
        });
        let went_well = touring.await.map_err(Failure::outside)?;
        stop.cancel();
        serving.await.map_err(Failure::outside)?;
        gateway.shutdown().await;
        if went_well? { Ok(()) } else { Err(Failure::Told) }
    }
}

//! What a server offers before anything of it is configured.
//!
//! For `quaymaster import --list`: a person who drafts a connector wants the names of
//! the tools and what the server says of them. Nothing of it is believed anywhere
//! else: what a tool does to the world stays a person's decision (`config`).
//!
//! Invariants:
//! - Nothing is called, and the server is ended before the answer is given.
//! - Pages, tools and bytes are bounded (`pages`), and so is the time.

use std::path::Path;
use std::time::Duration;

use quaymaster_core::SecretSource;
use quaymaster_core::connector::ConnectorFile;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::config::McpSpec;
use super::inbox::Inbox;
use super::link::Until;
use super::{check, handshake, pages};

const MAX_NAME_BYTES: usize = 256;

/// A tool as a server describes it. Nothing of this was checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OfferedTool {
    /// The server's name for it.
    pub name: String,
    /// What the server claims that it does to the world.
    #[serde(default)]
    pub annotations: Claims,
}

/// What a server claims of a tool (MCP 2025-11-25, `ToolAnnotations`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claims {
    /// That it changes nothing.
    pub read_only_hint: Option<bool>,
    /// That it may take something away.
    pub destructive_hint: Option<bool>,
    /// That a repeated call changes nothing more.
    pub idempotent_hint: Option<bool>,
}

/// Starts or reaches the server of `file`, asks for its tools and ends it, within `limit`.
///
/// The tools that `file` names play no part.
///
/// # Errors
///
/// Why there is no list, in one sentence without secrets: what is wrong with the
/// file, or with the server.
pub async fn survey(
    file: ConnectorFile<McpSpec>,
    secrets: &dyn SecretSource,
    folder: &Path,
    limit: Duration,
) -> Result<Vec<OfferedTool>, String> {
    let settings = check::settings(file, secrets, folder)
        .map_err(|problems| problems.into_iter().next().map(|p| p.message).unwrap_or_default())?;
    let stop = CancellationToken::new();
    let deadline = Instant::now() + limit;
    let opening =
        tokio::time::timeout_at(deadline, handshake::open(&settings, false, Inbox::default(), &stop));
    let link = match opening.await {
        Ok(opened) => opened.map_err(|trouble| trouble.reason)?,
        Err(_) => return Err("no answer in time".into()),
    };
    let listed = pages::read(&link, pages::TOOLS, Until { deadline, cancel: &stop }, |_| true).await;
    link.close().await;
    let listed = listed.map_err(|failure| failure.reason())?;
    // One that cannot be understood does not take the others with it.
    let tools = listed.iter().filter_map(|tool| serde_json::from_str::<OfferedTool>(tool.get()).ok());
    Ok(tools.filter(|tool| !tool.name.is_empty() && tool.name.len() <= MAX_NAME_BYTES).collect())
}

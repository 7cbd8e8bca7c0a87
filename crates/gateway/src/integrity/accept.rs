//! Writing the files that pin contracts, for whoever accepts what they are shown.
//!
//! Invariants:
//! - A gateway that serves never writes them.
//! - What is written is what was looked at in the same step; with a digest, it is what was looked at before.
//! - That somebody accepted is in the audit log before the file says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quaymaster_catalog::contract::{Accepted, LOCK_SUFFIX, Lock, Pin};
use quaymaster_control::audit::{ActorPart, AuditError, Durability, Event};
use quaymaster_core::ActorId;

use super::Standing;
use super::report::{Looked, look, record};
use crate::config::{CONTRACTS_FOLDER, Loaded, SecretCheck, load};
use crate::people::local_id;
use crate::state::{StartError, StartOptions, State};

/// What is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accept {
    /// These tools, by the names that agents know.
    Tools(BTreeSet<String>),
    /// One tool, if its definition and effect have this digest.
    Exactly(String, String),
    /// All that differ from what was accepted, and all that are new.
    All,
    /// All that are not quarantined: what agents may call is written down as it is.
    Unobjected,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The installation cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What was asked for is not there, or is not what it was.
    #[error("{0}")]
    Refused(String),
    /// A file cannot be written.
    #[error("{path} cannot be written: {reason}")]
    File {
        /// The file.
        path: String,
        /// The operating system's reason.
        reason: String,
    },
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The tools that were accepted, as they stood before.
    pub accepted: Vec<Standing>,
    /// The files, relative to the configuration folder.
    pub files: Vec<String>,
    /// The connectors whose server could not be asked, each with why.
    pub absent: Vec<(String, String)>,
}

/// Accepts `what` of the tools of the configuration in `options.folder`, of `connector` alone if that is
/// given. The file says that `by` accepted it, or whoever runs this if that is not given; who that is on this
/// machine is in the audit log beside it. Servers are waited for at most `limit`.
///
/// # Errors
///
/// [`AcceptError`]; no file is changed then, unless it is [`AcceptError::File`].
pub async fn accept(
    options: StartOptions,
    what: &Accept,
    connector: Option<&str>,
    by: Option<&str>,
    limit: Duration,
) -> Result<Written, AcceptError> {
    let refused = |message: String| AcceptError::Refused(format!("who accepts: {message}"));
    let who = local_id().ok_or_else(|| refused("this machine has no user".to_owned()))?;
    let by = by.map_or(Ok(who.clone()), ActorId::parse).map_err(refused)?;
    let loaded = load(&options.folder, SecretCheck::Resolve).map_err(StartError::from)?;
    let looked = look(&loaded, limit).await?;
    let chosen = chosen(&looked, what, connector)?;
    let at = options.clock.now();
    let locks = locks(&loaded, &looked, &chosen, &Accepted { by: by.to_string(), at });
    let state = State::open(&loaded, &options).await?;
    note(&state, &loaded, &chosen, (&who, &by)).await?;
    let mut files = Vec::new();
    for lock in locks.values() {
        files.push(write(&loaded.folder, lock)?);
        state.store.seen_contracts_delete(&lock.connector).await.map_err(StartError::from)?;
    }
    if let Err(error) = state.store.close().await {
        tracing::error!(event = "store.close", %error, "the store could not be closed in order");
    }
    Ok(Written { accepted: chosen.into_iter().cloned().collect(), files, absent: looked.absent })
}

fn chosen<'a>(
    looked: &'a Looked,
    what: &Accept,
    connector: Option<&str>,
) -> Result<Vec<&'a Standing>, AcceptError> {
    let of_connector = |tool: &&Standing| connector.is_none_or(|name| tool.connector.as_str() == name);
    let here: Vec<&Standing> = looked.standings.iter().filter(of_connector).collect();
    let is_open = |tool: &Standing| tool.basis != super::Basis::File || !tool.reasons.is_empty();
    let named = |name: &str| {
        let found = here.iter().find(|tool| tool.name.as_str() == name).copied();
        found.ok_or_else(|| {
            AcceptError::Refused(format!(
                "no MCP server offers a tool `{}`: `tools diff` names those that there are",
                name.escape_debug()
            ))
        })
    };
    match what {
        Accept::All => Ok(here.into_iter().filter(|tool| is_open(tool)).collect()),
        Accept::Unobjected => {
            Ok(here.into_iter().filter(|tool| is_open(tool) && tool.quarantined.is_none()).collect())
        }
        Accept::Tools(wanted) => wanted.iter().map(|name| named(name)).collect(),
        Accept::Exactly(name, digest) => {
            let tool = named(name)?;
            if tool.offered.digest() == digest {
                return Ok(vec![tool]);
            }
            Err(AcceptError::Refused(format!(
                "the definition of `{name}` now has the digest {}: look at it again with `tools diff`",
                tool.offered.digest()
            )))
        }
    }
}

/// The files as they will be. A connector that had none gets one with all of its tools that nothing
/// stands against, as what the file is without is quarantined.
fn locks(
    loaded: &Loaded,
    looked: &Looked,
    chosen: &[&Standing],
    accepted: &Accepted,
) -> BTreeMap<String, Lock> {
    let mut locks = BTreeMap::new();
    for tool in chosen {
        let name = tool.connector.to_string();
        let lock = locks.entry(name.clone()).or_insert_with(|| match loaded.locks.get(&name) {
            Some(lock) => lock.clone(),
            None => first(&name, looked, accepted),
        });
        let pin = Pin { contract: tool.offered.clone(), accepted: accepted.clone() };
        lock.pins.insert(tool.tool.clone(), pin);
    }
    for lock in locks.values_mut() {
        let configured: BTreeSet<&str> = loaded
            .connectors
            .iter()
            .filter(|file| file.connector.metadata().name.as_str() == lock.connector)
            .flat_map(|file| file.connector.upstream_tools())
            .collect();
        lock.pins.retain(|tool, _| configured.contains(tool.as_str()));
    }
    locks
}

fn first(connector: &str, looked: &Looked, accepted: &Accepted) -> Lock {
    let own = looked.standings.iter().filter(|tool| tool.connector.as_str() == connector);
    let pins = own.filter(|tool| tool.quarantined.is_none()).map(|tool| {
        // What was seen first is what was compared with, and stays that.
        let contract = tool.pinned.as_ref().map_or(&tool.offered, |pin| &pin.contract);
        (tool.tool.clone(), Pin { contract: contract.clone(), accepted: accepted.clone() })
    });
    Lock { connector: connector.to_owned(), pins: pins.collect() }
}

async fn note(
    state: &State,
    loaded: &Loaded,
    chosen: &[&Standing],
    (who, by): (&ActorId, &ActorId),
) -> Result<(), StartError> {
    if chosen.is_empty() {
        return Ok(());
    }
    let evidence = state.evidence(loaded).await?;
    let subject = evidence.subjects.of(who).await?;
    let named = if who == by { None } else { Some(evidence.subjects.of(by).await?) };
    let mut noted: Result<(), AuditError> = Ok(());
    for tool in chosen {
        let mut record = record(Event::ToolAccepted, tool, &evidence);
        let id = std::sync::Arc::clone(subject.commitment());
        record.actor = Some(ActorPart { authentication: "local_user", id, roles: [].into(), token: None });
        record.on_behalf_of = named.as_ref().map(|subject| &**subject.commitment());
        noted = evidence.audit.append(record, None, Durability::Durable).await;
        if noted.is_err() {
            break;
        }
    }
    evidence.audit.close().await;
    Ok(noted?)
}

/// Writes a file beside its place and then puts it there. Gives its path below `folder`.
fn write(folder: &Path, lock: &Lock) -> Result<String, AcceptError> {
    let name = format!("{CONTRACTS_FOLDER}/{}{LOCK_SUFFIX}", lock.connector);
    let path = folder.join(&name);
    let failed = |error: std::io::Error| AcceptError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    std::fs::create_dir_all(folder.join(CONTRACTS_FOLDER)).map_err(failed)?;
    // Hidden, so that a gateway that watches the folder passes it over.
    let beside: PathBuf = folder.join(CONTRACTS_FOLDER).join(format!(".{}{LOCK_SUFFIX}.new", lock.connector));
    let mut file = std::fs::File::create(&beside).map_err(failed)?;
    file.write_all(lock.to_text().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, &path).map_err(failed)?;
    Ok(name)
}

//! What people are told of incident switches: in the console and on the command line.

use std::path::Path;

use quaymaster_catalog::{Catalogue, Tool};
use quaymaster_control::approval::Request;
use quaymaster_control::incident::{IncidentError, Notice, Switch, standing};
use quaymaster_core::{Actor, SystemClock};

use crate::config::{SecretCheck, load};
use crate::office::OfficeError;
use crate::state::{StartError, existing_store};

/// The incident switches that stand in the installation of the configuration in `folder`, oldest first.
/// Opens its store alone, and makes none where there is none.
///
/// # Errors
///
/// [`OfficeError`] if the configuration is not valid, or the store cannot be read.
pub async fn standing_switches(folder: &Path) -> Result<Vec<Switch>, OfficeError> {
    let loaded = load(folder, SecretCheck::Skip).map_err(StartError::from)?;
    let Some(store) = existing_store(&loaded).await? else { return Ok(Vec::new()) };
    let switches = standing(&store, &SystemClock).await;
    store.close().await.map_err(IncidentError::from)?;
    Ok(switches?)
}

/// What `viewer` is told of `switches`: those that stop the call of `request` where there is one,
/// else those that stop something of their workspace.
pub(crate) fn notices(
    switches: &[Switch],
    catalogue: &Catalogue,
    viewer: &Actor,
    request: Option<&Request>,
) -> Vec<Notice> {
    let is_theirs = |tool: &&Tool| tool.declaration().workspaces.contains(&viewer.workspace);
    let told = |switch: &Switch| match request {
        Some(request) => {
            switch.notice_of(request, catalogue.tool(&request.document.tool).map(|tool| &**tool))
        }
        None => switch.notice(viewer, catalogue.offers().map(|tool| &**tool).filter(is_theirs)),
    };
    switches.iter().filter_map(told).collect()
}

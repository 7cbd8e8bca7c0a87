//! Telling people and programs of calls that wait until somebody agrees.
//!
//! Wiring alone: what is told is `quaymaster_operations::notify`, sockets are opened by
//! `quaymaster-connectors`.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use quaymaster_connectors::post;
use quaymaster_operations::notify::{Bag, Carrier, Parcel, deliver as deliver_letters};

use crate::gateway::Gateway;

/// Carries messages by the one way out that the gateway has.
#[derive(Clone, Copy, Debug)]
struct Egress;

impl Carrier for Egress {
    fn post(&self, parcel: Parcel) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send + '_>> {
        Box::pin(async move { post(&parcel.url, parcel.headers, parcel.body).await })
    }
}

/// Delivers letters until the gateway stops, which waits for what is under way.
pub(crate) fn deliver(gateway: &Arc<Gateway>) {
    let (weak, stopped) = (Arc::downgrade(gateway), gateway.stopped.clone());
    gateway.waiting.runs.spawn(deliver_letters(move || bag(&weak), Egress, stopped));
}

fn bag(gateway: &Weak<Gateway>) -> Option<Bag> {
    let gateway = gateway.upgrade()?;
    let loaded = gateway.at_work().loaded;
    Some(Bag {
        approvals: Arc::clone(&gateway.state.approvals),
        config: Arc::clone(&loaded.settings.approvals),
        console: gateway.console_url(),
        secrets: loaded.secrets(),
        keys: Arc::clone(&gateway.state.keys),
        clock: Arc::clone(&gateway.state.clock),
    })
}

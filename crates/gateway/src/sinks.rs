//! Passing the audit log on: to files, syslog and collectors.
//!
//! The log itself is what waits: a sink has a position in the store, which moves when the records before it
//! were taken. A sink that is down is tried again and again and loses nothing; pruning waits for it. How far
//! it may be behind, and whether calls wait for it then, is configuration.
//!
//! Invariants:
//! - A position moves only behind records that were delivered; after a crash some are delivered twice.
//! - One process feeds a sink at a time, also where several share a store.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use quaymaster_connectors::post;
use quaymaster_control::audit::AuditError;
use quaymaster_core::{SecretRef, SecretSource as _, WriterId};
use quaymaster_operations::evidence::{Form, otlp, syslog};
use quaymaster_store::{StoreError, StoredRecord};
use secrecy::ExposeSecret as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{Sink, Target};
use crate::gateway::Gateway;

/// How often it is looked for new records.
const LOOK: Duration = Duration::from_millis(500);
/// How many records are delivered together.
const BATCH: u32 = 200;
/// How long one delivery may take.
const DELIVERY: Duration = Duration::from_secs(20);
/// How long a process that feeds a sink keeps it, and so how long another waits if it is lost.
const LEASE: Duration = Duration::from_secs(30);
/// How long after a failure it is tried again at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// How far sinks are behind.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    behind: Mutex<BTreeMap<String, Behind>>,
}

/// How far one sink is behind.
#[derive(Clone, Copy, Debug, Default)]
struct Behind {
    records: u64,
    /// Whether calls have to wait for it.
    holds: bool,
}

impl Sinks {
    /// How many records each sink does not have yet, by name.
    pub(crate) fn behind(&self) -> Vec<(String, u64)> {
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.iter().map(|(name, behind)| (name.clone(), behind.records)).collect()
    }

    /// Notes how far a sink is behind, and says whether calls have to wait for any.
    fn note(&self, name: &str, now: Behind) -> bool {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.insert(name.to_owned(), now);
        behind.values().any(|behind| behind.holds)
    }
}

/// Why a batch was not delivered. Names no address, which may let in by itself.
#[derive(Debug, thiserror::Error)]
enum SinkError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Refused(String),
    #[error("records {0} to {1} were pruned before they were passed on")]
    Gap(u64, u64),
}

/// Feeds the configured sinks until the gateway stops. Which there are is read when it starts.
pub(crate) fn feed(gateway: &Arc<Gateway>) {
    for sink in gateway.settings().audit.sinks {
        let holder = WriterId::new(gateway.state.clock.as_ref(), gateway.state.randomness.as_ref());
        let feeder =
            Feeder { gateway: Arc::downgrade(gateway), sink, holder: holder.to_string(), alarmed: false };
        tokio::spawn(feeder.run(gateway.stopped.clone()));
    }
}

/// The number of the first record that a configured sink does not have: pruning waits for it.
pub(crate) async fn wanted_from(store: &quaymaster_store::Store, sinks: &[Sink]) -> Result<u64, AuditError> {
    let mut from = u64::MAX;
    for sink in sinks {
        from = from.min(store.audit_sink_position(sink.name.as_str()).await?);
    }
    Ok(from)
}

struct Feeder {
    gateway: Weak<Gateway>,
    sink: Sink,
    holder: String,
    /// Whether it was said that it is too far behind.
    alarmed: bool,
}

impl Feeder {
    async fn run(mut self, stopped: tokio_util::sync::CancellationToken) {
        let mut pause = LOOK;
        while let Some(gateway) = self.gateway.upgrade().filter(|_| !stopped.is_cancelled()) {
            let done = self.round(&gateway).await;
            self.watch(&gateway).await;
            drop(gateway);
            pause = match done {
                // There is more: at once.
                Ok(true) => Duration::ZERO,
                Ok(false) => LOOK,
                Err(error) => {
                    tracing::error!(event = "audit.sink", sink = %self.sink.name, %error, "the audit log could not be passed on");
                    (pause * 2).clamp(PAUSES.0, PAUSES.1)
                }
            };
            tokio::select! {
                () = stopped.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        // So that the next process need not wait until the lease is over.
        if let Some(gateway) = self.gateway.upgrade() {
            let released =
                gateway.state.store.audit_sink_release(self.sink.name.as_str(), &self.holder).await;
            if let Err(error) = released {
                tracing::warn!(event = "audit.sink", sink = %self.sink.name, %error, "a sink could not be left to others");
            }
        }
    }

    /// Delivers the next batch. True if there may be more.
    async fn round(&self, gateway: &Gateway) -> Result<bool, SinkError> {
        let (store, name) = (&gateway.state.store, self.sink.name.as_str());
        // Nothing is written while there is nothing to do.
        if store.audit_read(store.audit_sink_position(name).await?, 1).await?.is_empty() {
            return Ok(false);
        }
        let now = gateway.state.clock.now();
        let lease = (now.as_micros(), now.after(LEASE).as_micros());
        if !store.audit_sink_claim(name, &self.holder, lease).await? {
            return Ok(false);
        }
        let next = store.audit_sink_position(name).await?;
        let records = store.audit_read(next, BATCH).await?;
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(false) };
        // A sink that is new begins with what is left.
        if first.seq != next && next > 0 {
            let gap = SinkError::Gap(next, first.seq.saturating_sub(1));
            tracing::error!(event = "audit.sink_gap", sink = name, error = %gap, "the audit log has a gap for a sink");
        }
        let after = last.seq + 1;
        let more = records.len() as u64 == u64::from(BATCH);
        let delivered = timeout(DELIVERY, self.deliver(gateway, records)).await;
        delivered.unwrap_or_else(|_| {
            Err(SinkError::Refused(format!("no answer within {} s", DELIVERY.as_secs())))
        })?;
        store.audit_sink_advance(name, &self.holder, after).await?;
        Ok(more)
    }

    async fn deliver(&self, gateway: &Gateway, records: Vec<StoredRecord>) -> Result<(), SinkError> {
        match &self.sink.target {
            Target::File(path, form) => append(path.clone(), *form, records).await,
            Target::Tcp(address) => {
                let sent = async {
                    let mut stream = TcpStream::connect(address).await?;
                    for record in &records {
                        let message = syslog::framed(&Form::Syslog.write(&record.body));
                        stream.write_all(message.as_bytes()).await?;
                    }
                    // Syslog answers nothing: that the other side closes after us is how it says that it has read all.
                    stream.shutdown().await?;
                    stream.read_to_end(&mut Vec::new()).await
                };
                sent.await.map(drop).map_err(|error| SinkError::Refused(error.to_string()))
            }
            Target::Otlp(url, token) => {
                let headers = headers(gateway, token.as_ref())?;
                let body = otlp::request(records.iter().map(|record| record.body.as_slice()));
                match post(url, headers, body).await {
                    Ok(200..=299) => Ok(()),
                    Ok(status) => Err(SinkError::Refused(format!("it answered {status}"))),
                    Err(error) => Err(SinkError::Refused(error)),
                }
            }
        }
    }

    /// Looks how far the sink is behind, and says so.
    async fn watch(&mut self, gateway: &Gateway) {
        let Ok(position) = gateway.state.store.audit_sink_position(self.sink.name.as_str()).await else {
            return;
        };
        let audit = &gateway.plane().evidence.audit;
        let records = audit.size().saturating_sub(position);
        let too_far = records > self.sink.max_behind;
        if too_far && !self.alarmed {
            tracing::error!(event = "audit.sink_behind", sink = %self.sink.name, records, "a sink of the audit log is too far behind");
        }
        self.alarmed = too_far;
        let behind = Behind { records, holds: too_far && self.sink.refuses };
        audit.hold(gateway.sinks.note(self.sink.name.as_str(), behind));
    }
}

fn headers(gateway: &Gateway, token: Option<&SecretRef>) -> Result<Vec<(&'static str, String)>, SinkError> {
    let Some(token) = token else { return Ok(vec![]) };
    let token = gateway.at_work().loaded.secrets().resolve(token);
    let token = token.map_err(|error| SinkError::Refused(error.to_string()))?;
    Ok(vec![("authorization", format!("Bearer {}", token.expose_secret()))])
}

/// Adds lines to a file that its owner alone may read; on disk when this returns.
async fn append(path: PathBuf, form: Form, records: Vec<StoredRecord>) -> Result<(), SinkError> {
    let write = move || {
        let lines: String = records.iter().map(|record| form.write(&record.body) + "\n").collect();
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(lines.as_bytes())?;
        file.sync_data()
    };
    let written = tokio::task::spawn_blocking(write).await;
    let written = written.map_err(|_| SinkError::Refused("the gateway stops".into()))?;
    written.map_err(|error| SinkError::Refused(error.to_string()))
}

//! The audit trail of the reference floor: a hash chain, written and synced in batches.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use base64::Engine;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

/// What is recorded of one request.
pub(super) struct Record {
    pub(super) sub: Arc<str>,
    pub(super) tool: String,
    pub(super) args: [u8; 32],
    pub(super) reply: [u8; 32],
    pub(super) decision: &'static str,
    pub(super) micros: u64,
    pub(super) done: Option<oneshot::Sender<()>>,
}

/// The thread that appends records to `path`, in batches, each one's hash over the one before.
pub(super) fn auditor(path: PathBuf) -> anyhow::Result<std::sync::mpsc::Sender<Record>> {
    let mut file = File::options().create(true).append(true).open(path)?;
    let (tx, rx) = std::sync::mpsc::channel::<Record>();
    std::thread::spawn(move || {
        let (mut prev, mut seq) = ([0u8; 32], 0u64);
        let mut buf = Vec::new();
        while let Ok(first) = rx.recv() {
            let mut batch = vec![first];
            batch.extend(rx.try_iter().take(4095));
            buf.clear();
            for r in &batch {
                seq += 1;
                let from = buf.len();
                let _ = write!(
                    buf,
                    r#"{{"seq":{seq},"sub":"{}","tool":"{}","decision":"{}","us":{},"args":"{}","reply":"{}","prev":"{}"}}"#,
                    r.sub,
                    r.tool,
                    r.decision,
                    r.micros,
                    B64.encode(r.args),
                    B64.encode(r.reply),
                    B64.encode(prev)
                );
                prev = Sha256::digest(&buf[from..]).into();
                buf.push(b'\n');
            }
            let _ = file.write_all(&buf).and_then(|()| file.sync_data());
            for r in batch {
                if let Some(d) = r.done {
                    let _ = d.send(());
                }
            }
        }
    });
    Ok(tx)
}

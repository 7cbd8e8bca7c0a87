//! Records to append. Their hashes are made up: the store does not look at them.

use quaymaster_store::{AppendError, NewRecord, Store, TreeState};

pub(crate) fn record(seq: u64) -> NewRecord {
    NewRecord {
        seq,
        time_us: 1_000 + seq,
        event: "call.intent",
        call_id: None,
        actor: None,
        workspace: None,
        tool: None,
        status: None,
        code: None,
        body: format!("{{\"seq\":{seq}}}").into_bytes(),
        leaf: hash(seq),
        sealed: None,
    }
}

pub(crate) fn batch(from: u64, count: u64) -> Vec<NewRecord> {
    (from..from + count).map(record).collect()
}

/// A tree of `size` records: a frontier has one hash for each bit that is set.
pub(crate) fn tree(size: u64) -> TreeState {
    TreeState { size, frontier: (0..u64::from(size.count_ones())).map(|n| hash(size * 100 + n)).collect() }
}

pub(crate) async fn append(store: &Store, records: Vec<NewRecord>) -> Result<(), AppendError> {
    let from = records.first().map_or(0, |record| record.seq);
    let size = from + records.len() as u64;
    store.audit_append(from, records, tree(size)).await
}

pub(crate) async fn all_seqs(store: &Store) -> Vec<u64> {
    store.audit_read(0, u32::MAX).await.expect("records").iter().map(|record| record.seq).collect()
}

fn hash(number: u64) -> [u8; 32] {
    let mut hash = [0xab; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash
}

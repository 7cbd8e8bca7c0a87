//! What the records say together: calls that begin and end, writers that start and stop.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::Verification;

/// Follows calls and writers from record to record.
pub(super) struct Story {
    /// The first record that is kept. What began before it is not known.
    minimum: u64,
    /// What the last record about pruning says.
    said_minimum: u64,
    open: HashMap<String, u64>,
    writers: HashMap<String, Written>,
}

/// What a writer has written so far.
#[derive(Default)]
struct Written {
    started: bool,
    stopped: bool,
    records: u64,
    calls: HashSet<String>,
}

#[derive(Deserialize)]
struct Head {
    event: String,
    call: Option<String>,
    seq: u64,
    writer: String,
    tally: Option<Tally>,
    minimum: Option<u64>,
}

#[derive(Deserialize)]
struct Tally {
    calls: u64,
    records: u64,
}

impl Story {
    pub(super) fn new(minimum: u64) -> Self {
        Self { minimum, said_minimum: 0, open: HashMap::new(), writers: HashMap::new() }
    }

    pub(super) fn follow(&mut self, body: &[u8], found: &mut Verification) {
        let Ok(head) = serde_json::from_slice::<Head>(body) else { return };
        *found.events.entry(head.event.clone()).or_default() += 1;
        if head.event == "audit.pruned" {
            self.said_minimum = self.said_minimum.max(head.minimum.unwrap_or(0));
        }
        self.follow_writer(&head, found);
        self.follow_call(&head, found);
    }

    /// An outcome needs an intent before it, and there is one of each.
    fn follow_call(&mut self, head: &Head, found: &mut Verification) {
        let Some(call) = &head.call else { return };
        match head.event.as_str() {
            "call.intent" if self.open.insert(call.clone(), head.seq).is_some() => {
                found.problem(format!("record {} begins a call that had begun", head.seq));
            }
            "call.outcome" if self.open.remove(call).is_none() && self.minimum == 0 => {
                found.problem(format!("record {} ends a call that had not begun", head.seq));
            }
            _ => {}
        }
    }

    /// A writer that stops says how much it had accepted: as much must be there.
    fn follow_writer(&mut self, head: &Head, found: &mut Verification) {
        let written = self.writers.entry(head.writer.clone()).or_default();
        if written.stopped {
            found.problem(format!("record {} is of a writer that had stopped before", head.seq));
        }
        if head.event == "writer.stopped" {
            written.stopped = true;
            let there = (written.calls.len() as u64, written.records);
            let tally = head.tally.as_ref().filter(|_| written.started);
            if let Some(Tally { calls, records }) =
                tally.filter(|tally| (tally.calls, tally.records) != there)
            {
                found.problem(format!(
                    "writer {} accepted {records} records of {calls} calls, and {} of {} are there",
                    head.writer, there.1, there.0
                ));
            }
            written.calls = HashSet::new();
            return;
        }
        written.started |= head.event == "writer.started";
        written.records += 1;
        if let ("call.intent" | "call.refused", Some(call)) = (head.event.as_str(), &head.call) {
            written.calls.insert(call.clone());
        }
    }

    pub(super) fn end(self, found: &mut Verification) {
        if self.minimum > self.said_minimum {
            found.problem(format!(
                "records before {} are gone, and the log speaks of those before {} alone as pruned",
                self.minimum, self.said_minimum
            ));
        }
        found.writers = self.writers.len() as u64;
        let open = self.writers.into_iter().filter(|(_, written)| !written.stopped);
        found.open_writers = open.map(|(writer, _)| writer).collect();
        found.open_writers.sort();
        found.open_calls = self.open.into_keys().collect();
        found.open_calls.sort();
    }
}

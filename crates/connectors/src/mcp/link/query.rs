//! A request on its way to a server, and what comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderName, HeaderValue};
use quaymaster_core::{Actor, InputPort, LogSink, PartedBuf, ProgressSink};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::caller::CallerCredential;
use super::super::question::{Pause, Questions};
use super::super::wire::{Settled, Stage};

/// How large the answer to a request of our own may be, unless it says otherwise.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Until when a request is worth waiting for.
#[derive(Clone, Copy)]
pub(in crate::mcp) struct Until<'a> {
    pub(in crate::mcp) deadline: Instant,
    pub(in crate::mcp) cancel: &'a CancellationToken,
}

/// A request, before it has an id.
pub(in crate::mcp) struct Query<'a> {
    /// For whom it is asked; none is for ourselves.
    pub(in crate::mcp) actor: Option<&'a Actor>,
    /// Whether it begins a call of the actor's; else it is about one.
    pub(in crate::mcp) begins: bool,
    /// Whether the actor may be told nothing before the result.
    pub(in crate::mcp) mute: bool,
    pub(in crate::mcp) method: &'static str,
    /// Pieces of JSON text: the members of the parameters.
    pub(in crate::mcp) members: &'a [&'a str],
    /// The tool's name as a header, for a modern server over HTTP.
    pub(in crate::mcp) name: Option<&'a HeaderValue>,
    /// Headers that mirror arguments, for a modern server over HTTP.
    pub(in crate::mcp) mirrored: &'a [(HeaderName, HeaderValue)],
    /// The caller's own credential, for a server over HTTP.
    pub(in crate::mcp) credential: Option<&'a Arc<CallerCredential>>,
    pub(in crate::mcp) sink: Option<&'a Arc<dyn ProgressSink>>,
    /// Who can be asked something before the answer.
    pub(in crate::mcp) input: Option<&'a Arc<dyn InputPort>>,
    /// Who wants to read what is logged before the answer.
    pub(in crate::mcp) log: Option<&'a Arc<dyn LogSink>>,
    /// How long the client has thought so far, if this is not the first request of its call.
    pub(in crate::mcp) pause: Option<&'a Pause>,
    /// The trace that the call is part of.
    pub(in crate::mcp) traceparent: Option<&'a str>,
    /// Whether a modern server may answer with a task.
    pub(in crate::mcp) tasks: bool,
    /// Where it is noted whether the server may have seen it, for who does not wait for the end.
    pub(in crate::mcp) sent: Option<&'a Sent>,
    /// Of a request for a task of a session's server: cancelled when its call no longer waits, and nobody
    /// is to be asked anything.
    pub(in crate::mcp) left: Option<&'a CancellationToken>,
    /// How large the message that holds the answer may be.
    pub(in crate::mcp) limit_bytes: usize,
    pub(in crate::mcp) until: Until<'a>,
}

impl<'a> Query<'a> {
    /// A request of our own, for which nobody waits but us.
    pub(in crate::mcp) fn plain(method: &'static str, members: &'a [&'a str], until: Until<'a>) -> Self {
        Self {
            actor: None,
            begins: false,
            mute: false,
            method,
            members,
            name: None,
            mirrored: &[],
            credential: None,
            sink: None,
            input: None,
            log: None,
            pause: None,
            traceparent: None,
            tasks: false,
            sent: None,
            left: None,
            limit_bytes: MAX_ANSWER_BYTES,
            until,
        }
    }
}

/// A request as a transport takes it.
pub(in crate::mcp) struct Outgoing<'a> {
    /// Whether a session's server is asked for a task.
    pub(in crate::mcp) wants_task: bool,
    pub(in crate::mcp) actor: Option<&'a Actor>,
    pub(in crate::mcp) begins: bool,
    pub(in crate::mcp) mute: bool,
    pub(in crate::mcp) id: u64,
    pub(in crate::mcp) method: &'static str,
    pub(in crate::mcp) body: String,
    pub(in crate::mcp) name: Option<&'a HeaderValue>,
    pub(in crate::mcp) mirrored: &'a [(HeaderName, HeaderValue)],
    pub(in crate::mcp) credential: Option<&'a Arc<CallerCredential>>,
    pub(in crate::mcp) sink: Option<&'a Arc<dyn ProgressSink>>,
    pub(in crate::mcp) questions: Option<Questions>,
    pub(in crate::mcp) log: Option<Arc<dyn LogSink>>,
    pub(in crate::mcp) limit_bytes: usize,
}

/// Whether the server may have seen a request.
#[derive(Default)]
pub(in crate::mcp) struct Sent(AtomicBool);

impl Sent {
    /// From now on it may have.
    pub(in crate::mcp) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(in crate::mcp) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A result and what came with it.
#[derive(Debug)]
pub(in crate::mcp) struct Answer {
    pub(in crate::mcp) result: PartedBuf,
    /// What kind of result it is.
    pub(in crate::mcp) stage: Stage,
    /// The session that an HTTP server opened.
    pub(in crate::mcp) session: Option<HeaderValue>,
    /// The server's own id for the request, where it gave one.
    pub(in crate::mcp) upstream_id: Option<String>,
}

impl From<Settled<PartedBuf>> for Answer {
    fn from(Settled { result, stage }: Settled<PartedBuf>) -> Self {
        Self { result, stage, session: None, upstream_id: None }
    }
}

//! The seam between the protocol and what it is a protocol for.
//!
//! The gateway implements [`Door`]; ingress knows nothing else of it, and its
//! own tests stand a small one in memory behind it.

use std::future::Future;
use std::sync::Arc;

pub use quaymaster_connectors::Wire;
pub use quaymaster_control::RequestRefusal;
use quaymaster_core::{Actor, CallError, CallId, CallRequest, Clock, Reply, SessionId};
use tokio::sync::watch;

/// Where a request goes once the protocol is done with it.
pub trait Door: Send + Sync + 'static {
    /// Establishes who asks. `authorization` is the value of the header,
    /// `workspace` the one that the path names, if any.
    fn authenticate(
        &self,
        authorization: Option<&str>,
        workspace: Option<&str>,
    ) -> impl Future<Output = Result<Arc<Actor>, CallError>> + Send;

    /// The user of this machine, as the configuration has it now.
    fn local_user(&self) -> Result<Arc<Actor>, CallError>;

    /// Whether calls can be expected to succeed; if not, why, in words that anybody may read.
    fn ready(&self) -> Result<(), String>;

    /// The tools that `actor` may see: a JSON array of Tool objects, in
    /// deterministic order.
    fn tools(&self, actor: &Actor) -> Arc<str>;

    /// Governs and runs one call. Ingress drives it to its end.
    fn call(self: Arc<Self>, request: CallRequest, wire: Wire) -> impl Future<Output = Reply> + Send;

    /// Takes note of a request that never became a call.
    fn refused(&self, refusal: RequestRefusal) -> impl Future<Output = ()> + Send;

    /// Changes whenever the list of tools may have changed.
    fn changes(&self) -> watch::Receiver<u64>;

    /// An id for a call.
    fn call_id(&self) -> CallId;

    /// An id for a session; cannot be guessed.
    fn session_id(&self) -> SessionId;

    /// What time it is.
    fn clock(&self) -> &dyn Clock;
}

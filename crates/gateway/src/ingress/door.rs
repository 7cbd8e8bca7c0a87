//! The seam between the protocol and what it is a protocol for.
//!
//! The gateway implements [`Door`]; ingress knows nothing else of it, and its
//! own tests stand a small one in memory behind it.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
pub use quaymaster_catalog::{Page, Shelf};
pub use quaymaster_connectors::Wire;
pub use quaymaster_connectors::mcp::Announced;
pub(super) use quaymaster_connectors::mcp::Watch;
pub use quaymaster_control::RequestRefusal;
pub use quaymaster_control::identity::{Arrival, Protection};
use quaymaster_control::keyring::KeyRing;
pub(super) use quaymaster_core::mirror::Mismatch;
use quaymaster_core::{Actor, CallError, CallId, CallRequest, Caller, Clock, Kind, Reply, SessionId};
use serde_json::Value;
use tokio::sync::watch;

use super::gaps::Gaps;

/// Where a request goes once the protocol is done with it.
pub trait Door: Send + Sync + 'static {
    /// Establishes who asks.
    fn authenticate(
        &self,
        arrival: Arrival<'_>,
    ) -> impl Future<Output = Result<Arc<Actor>, CallError>> + Send;

    /// How clients get access tokens, where anybody issues them.
    fn protection(&self) -> Option<Arc<Protection>> {
        None
    }

    /// Whether the credentials of `caller` cover a call, as far as that can be told before it begins.
    ///
    /// # Errors
    ///
    /// `auth.scope`, with all scopes that are needed.
    fn check_scopes(
        &self,
        _caller: &Caller,
        _kind: Kind,
        _name: &str,
        _arguments: &Value,
    ) -> Result<(), CallError> {
        Ok(())
    }

    /// The user of this machine, as the configuration has it now.
    fn local_user(&self) -> Result<Arc<Actor>, CallError>;

    /// Whether calls can be expected to succeed; if not, why, in words that anybody may read.
    fn ready(&self) -> Result<(), String>;

    /// What of a list `caller` may see: a JSON array of its objects, in deterministic order.
    fn list(&self, caller: &Caller, which: Shelf) -> Arc<str>;

    /// The part of that list which is sent at once: the first, or the one behind the key `after`
    /// of another. None if the list has one part alone, so that no other can have come before.
    fn page(&self, caller: &Caller, which: Shelf, after: Option<&str>) -> Option<Page> {
        after.is_none().then(|| Page::whole(self.list(caller, which)))
    }

    /// Whether lists are answered in the workspace of `actor`.
    ///
    /// # Errors
    ///
    /// Why not.
    fn whole(&self, _actor: &Actor) -> Result<(), CallError> {
        Ok(())
    }

    /// What `caller` would otherwise get something of, or could call.
    fn gaps(&self, _caller: &Caller) -> Gaps {
        Gaps::default()
    }

    /// Checks the headers in which a call of the tool `name` repeats its arguments.
    ///
    /// # Errors
    ///
    /// The first header that does not say what the body says.
    fn check_mirrors(
        &self,
        caller: &Caller,
        name: &str,
        headers: &HeaderMap,
        arguments: &Value,
    ) -> Result<(), (HeaderName, Mismatch)>;

    /// Governs and begins the watch of the resource that `request` would read. Ingress drives it to its end.
    fn begin_watch(
        self: Arc<Self>,
        request: CallRequest,
    ) -> impl Future<Output = Result<Watch, CallError>> + Send;

    /// Another watch of what `caller` watches already; none if it may no longer be read or cannot be
    /// watched. Leaves no record.
    fn watch(&self, caller: &Caller, uri: &str) -> Option<Watch>;

    /// Whether there are values for the arguments of something that `caller` may see.
    fn completes(&self, caller: &Caller) -> bool;

    /// Whether `caller` can call this tool as a task; without a name, whether there is one.
    fn takes_tasks(&self, _caller: &Caller, _tool: Option<&str>) -> bool {
        false
    }

    /// Governs and runs one call. Ingress drives it to its end.
    fn call(self: Arc<Self>, request: CallRequest, wire: Wire) -> impl Future<Output = Reply> + Send;

    /// Takes note of a request that never became a call.
    fn refused(&self, refusal: RequestRefusal) -> impl Future<Output = ()> + Send;

    /// How often lists were announced to have changed that had not, as far as `caller` is shown
    /// something in them of whoever announced it. Only that it differs means something.
    fn announced(&self, _caller: &Caller) -> Announced {
        Announced::default()
    }

    /// Changes whenever what somebody sees may have changed, or [`Self::announced`] has.
    fn changes(&self) -> watch::Receiver<u64>;

    /// An id for a call.
    fn call_id(&self) -> CallId;

    /// An id for a session; cannot be guessed.
    fn session_id(&self) -> SessionId;

    /// The keys that seal what clients bring back.
    fn keys(&self) -> &KeyRing;

    /// What time it is.
    fn clock(&self) -> &dyn Clock;
}

//! The gateway as ingress sees it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use quaymaster_connectors::Wire;
use quaymaster_connectors::mcp::Watch;
use quaymaster_control::RequestRefusal;
use quaymaster_control::identity::{Arrival, Protection};
use quaymaster_control::incident::Switch;
use quaymaster_control::keyring::KeyRing;
use quaymaster_core::mirror::Mismatch;
use quaymaster_core::{
    Actor, Authentication, CallError, CallId, CallRequest, CallTool, Caller, Clock, Effect, Kind,
    ProgressSink, Reply, SessionId,
};
use serde_json::Value;
use tokio::sync::watch;

use crate::finder;
use crate::gateway::Gateway;
use crate::ingress::{Announced, Door, Gaps, Page, Shelf};

impl Door for Gateway {
    async fn authenticate(&self, arrival: Arrival<'_>) -> Result<Arc<Actor>, CallError> {
        let identity = Arc::clone(&self.plane().people.identity);
        identity.authenticate(arrival).await
    }

    fn protection(&self) -> Option<Arc<Protection>> {
        self.plane().people.identity.protection()
    }

    fn check_scopes(
        &self,
        caller: &Caller,
        kind: Kind,
        name: &str,
        arguments: &Value,
    ) -> Result<(), CallError> {
        if !matches!(caller.authentication, Authentication::Issuer(_)) {
            return Ok(());
        }
        let plane = self.plane();
        let effect = match kind {
            // Of a tool that is hidden or unknown nothing is told, not even that a scope lacks.
            Kind::Tool => finder::meant(&plane, caller, name, arguments),
            Kind::Prompt | Kind::Resource | Kind::Completion => Some(Effect::Read),
        };
        effect
            .and_then(|effect| caller.lacks_scopes(effect))
            .map_or(Ok(()), |scope| Err(CallError::lacking(scope)))
    }

    fn local_user(&self) -> Result<Arc<Actor>, CallError> {
        Gateway::local_user(self)
    }

    fn ready(&self) -> Result<(), String> {
        Gateway::ready(self)
    }

    fn list(&self, caller: &Caller, which: Shelf) -> Arc<str> {
        self.plane().list(caller, which)
    }

    fn page(&self, caller: &Caller, which: Shelf, after: Option<&str>) -> Option<Page> {
        self.plane().page(caller, which, after)
    }

    fn whole(&self, actor: &Actor) -> Result<(), CallError> {
        self.plane().check_whole(&actor.workspace)
    }

    fn gaps(&self, caller: &Caller) -> Gaps {
        let plane = self.plane();
        let switches = self.state.incidents.standing_as_known();
        let stopped = if switches.is_empty() {
            Vec::new()
        } else {
            let view = plane.reached(caller, &caller.reach);
            let told = |switch: &Switch| switch.notice(caller, view.offers().map(|tool| &**tool));
            switches.iter().filter_map(told).collect()
        };
        Gaps { missing: plane.missing_upstreams(caller, &caller.reach), stopped }
    }

    fn check_mirrors(
        &self,
        caller: &Caller,
        name: &str,
        headers: &HeaderMap,
        arguments: &Value,
    ) -> Result<(), (HeaderName, Mismatch)> {
        let view = self.plane().reached(caller, &caller.reach);
        let mirrors = view.tool(name).map(|tool| tool.mirrors()).unwrap_or_default();
        mirrors.iter().try_for_each(|header| {
            let values = headers.get_all(header.name()).iter();
            header.check(values, arguments).map_err(|mismatch| (header.name().clone(), mismatch))
        })
    }

    async fn begin_watch(self: Arc<Self>, request: CallRequest) -> Result<Watch, CallError> {
        Gateway::begin_watch(&self, request).await
    }

    fn watch(&self, caller: &Caller, uri: &str) -> Option<Watch> {
        let is_covered = caller.lacks_scopes(Effect::Read).is_none();
        is_covered.then(|| self.plane().watch(caller, &caller.reach, uri)).flatten()
    }

    fn completes(&self, caller: &Caller) -> bool {
        self.plane().reached(caller, &caller.reach).completes()
    }

    fn takes_tasks(&self, caller: &Caller, tool: Option<&str>) -> bool {
        self.plane().reached(caller, &caller.reach).takes_tasks(tool)
    }

    async fn call(self: Arc<Self>, request: CallRequest, wire: Wire) -> Reply {
        Gateway::call(&self, request, wire).await
    }

    async fn refused(&self, refusal: RequestRefusal) {
        self.note_refusal(refusal).await;
    }

    fn announced(&self, caller: &Caller) -> Announced {
        self.plane().announced(caller)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Gateway::changes(self)
    }

    fn call_id(&self) -> CallId {
        self.new_call_id()
    }

    fn session_id(&self) -> SessionId {
        SessionId::new(self.state.clock.as_ref(), self.state.randomness.as_ref())
    }

    fn keys(&self) -> &KeyRing {
        &self.state.keys
    }

    fn clock(&self) -> &dyn Clock {
        self.state.clock.as_ref()
    }
}

impl CallTool for Gateway {
    fn call_tool<'a>(
        &'a self,
        request: CallRequest,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        let wire = Wire { progress, ..Wire::default() };
        Box::pin(self.call(request, wire))
    }
}

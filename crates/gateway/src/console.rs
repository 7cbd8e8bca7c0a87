//! The console of a running gateway.
//!
//! Wiring alone: pages are `quaymaster_operations::console`, the listener is `ingress::http`.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use quaymaster_control::approval::Request;
use quaymaster_control::console::Codes;
use quaymaster_control::incident::Notice;
use quaymaster_core::{Actor, ApprovalId, CallError};
use quaymaster_operations::console::{Console, Desk, Guest, House};
use quaymaster_operations::links::Links;
use tokio::net::TcpListener;

use crate::gateway::Gateway;
use crate::incidents::notices;
use crate::ingress;
use crate::serve::bind;

/// A gateway as its console sees it.
#[derive(Debug)]
struct Running {
    gateway: Weak<Gateway>,
    codes: Arc<Codes>,
}

impl House for Running {
    fn open(&self) -> Option<Desk> {
        let gateway = self.gateway.upgrade().filter(|gateway| !gateway.stopped.is_cancelled())?;
        let plane = gateway.plane();
        Some(Desk {
            approvals: Arc::clone(&gateway.state.approvals),
            evidence: plane.evidence.clone(),
            codes: Arc::clone(&self.codes),
            identity: Arc::clone(&plane.people.identity),
            base: gateway.console_url(),
            keys: Arc::clone(&gateway.state.keys),
            randomness: Arc::clone(&gateway.state.randomness),
        })
    }

    fn again<'a>(&'a self, who: &'a Guest) -> Pin<Box<dyn Future<Output = Option<Arc<Actor>>> + Send + 'a>> {
        Box::pin(async move {
            let plane = self.gateway.upgrade()?.plane();
            let who = match who {
                Guest::Code(who) if plane.people.identity.takes_codes() => who,
                // By a code nobody logs in any more.
                Guest::Code(_) => return None,
                Guest::Issuer(voucher) => return plane.people.identity.vouched(voucher),
            };
            plane.people.identity.again(who).await.unwrap_or_else(|error| {
                tracing::error!(event = "console.again", %error, "it cannot be looked up who is logged in");
                None
            })
        })
    }

    fn stopped<'a>(
        &'a self,
        viewer: &'a Actor,
        request: Option<&'a Request>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Notice>, CallError>> + Send + 'a>> {
        Box::pin(async move {
            let Some(gateway) = self.gateway.upgrade() else { return Ok(Vec::new()) };
            let switches = gateway.state.incidents.standing().await?;
            Ok(notices(&switches, gateway.plane().catalogue(), viewer, request))
        })
    }
}

impl Gateway {
    /// Opens the port of the console, if one is configured.
    ///
    /// # Errors
    ///
    /// The operating system's, with the address.
    pub async fn listen_for_console(&self) -> std::io::Result<Option<TcpListener>> {
        let Some(address) = self.settings().listen.console else { return Ok(None) };
        let listener = bind(address).await?;
        // Where it was opened before, links go to that one.
        let _ = self.console.set(listener.local_addr()?);
        Ok(Some(listener))
    }

    /// Where people reach the console, without a slash at the end; none if they do not.
    pub fn console_url(&self) -> Option<String> {
        let configured = self.settings().approvals.url.clone();
        configured.or_else(|| self.console.get().map(|address| format!("http://{address}")))
    }

    /// A link to the page of the request `id` that suggests `answer` for an hour, as messages have;
    /// none if there is no console.
    pub fn answer_link(&self, id: &str, answer: &str) -> Option<String> {
        let (id, base) = (id.parse::<ApprovalId>().ok()?, self.console_url()?);
        let links = Links { base: &base, keys: &self.state.keys };
        links.answer(&id, answer, Duration::from_hours(1)).ok()
    }

    /// Answers browsers on `listener` until the gateway has drained and shuts down.
    pub async fn serve_console(self: Arc<Self>, listener: TcpListener) {
        let mut settings = self.http_settings();
        let own = self.settings().approvals.url.clone();
        let host = own.as_deref().and_then(|url| url.split_once("://")).map(|(_, host)| host.to_owned());
        settings.allowed_hosts.extend(host);
        let codes = Codes::new(
            self.state.store.clone(),
            Arc::clone(&self.state.subjects),
            Arc::clone(&self.state.clock),
        );
        let house = Running { gateway: Arc::downgrade(&self), codes: Arc::new(codes) };
        let stopped = self.stopped.clone();
        drop(self);
        ingress::http::serve_console(listener, &settings, Console::new(house), stopped).await;
    }
}

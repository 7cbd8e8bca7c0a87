//! Outbound HTTP: the one place that opens connections to other systems.
//!
//! It owns where a connector may connect to, and how. A `connection` serves one
//! request after another and rests in between (`idle`); how much of a response is
//! read is in `body`. What is said over a connection is the engines' business
//! (`mcp::streamable`).
//!
//! Invariants:
//! - `https` anywhere, `http` on the loopback interface alone; never a user or a
//!   password in an address.
//! - No redirect is followed and no proxy is taken from the environment: a
//!   credential goes to the address it was configured for, or nowhere.
//! - Connecting has a time limit and reading a size limit.
//! - Whether a request may have reached the other side is part of the error.

mod body;
mod connection;
mod idle;
mod outlet;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use hyper::service::Service as _;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::service::TowerToHyperService;
pub(crate) use quaymaster_control::address::address;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};

pub(crate) use self::body::{BodyError, Incoming};
use self::connection::Connection;
pub(crate) use self::connection::Payload;
use self::idle::Idle;
pub use self::outlet::post;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Shorter than the 5 s after which Node closes an idle connection: a request
/// that meets such a close has an unknown outcome.
const IDLE_LIMIT: Duration = Duration::from_secs(4);
/// So that a peer that vanished without a word is noticed on a long stream.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// The way to one system, with a pool of connections to it.
#[derive(Clone)]
pub(crate) struct Egress {
    connector: TowerToHyperService<HttpsConnector<HttpConnector>>,
    address: Uri,
    /// The address as a request line has it: path and query alone.
    target: Uri,
    idle: Arc<Idle>,
}

/// Why there is no response, each with its cause.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EgressError {
    /// Nothing was sent.
    #[error("no connection: {0}")]
    NotSent(String),
    /// The connection broke after something may have been sent.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl Egress {
    /// A pool for a system at `address`, which [`address`] has accepted.
    ///
    /// # Errors
    ///
    /// The reason, if the machine's root certificates cannot be read.
    pub(crate) fn try_new(address: &Uri) -> Result<Self, String> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_LIMIT));
        http.set_keepalive(Some(TCP_KEEPALIVE));
        let builder = HttpsConnectorBuilder::new();
        let connector = if address.scheme() == Some(&Scheme::HTTPS) {
            builder.with_tls_config(tls(true)?).https_only().enable_http1().wrap_connector(http)
        } else {
            builder.with_tls_config(tls(false)?).https_or_http().enable_http1().wrap_connector(http)
        };
        let target = address.path_and_query().cloned();
        Ok(Self {
            connector: TowerToHyperService::new(connector),
            address: address.clone(),
            target: target.unwrap_or(PathAndQuery::from_static("/")).into(),
            idle: Idle::new(IDLE_LIMIT),
        })
    }

    /// The same way to the same system, for requests of `target`.
    pub(crate) fn at(&self, target: PathAndQuery) -> Self {
        Self { target: target.into(), ..self.clone() }
    }

    /// Sends `request` to the system, wherever it says that it goes, and gives
    /// the response, its body unread.
    ///
    /// A connection that was closed before the request was written is replaced
    /// without a word; that repeats nothing.
    pub(crate) async fn send(
        &self,
        mut request: Request<Payload>,
    ) -> Result<Response<Incoming>, EgressError> {
        *request.uri_mut() = self.target.clone();
        loop {
            let rested = self.idle.take().await;
            let is_rested = rested.is_some();
            let mut connection = match rested {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            match connection.exchange(request).await {
                Ok(response) => {
                    return Ok(response.map(|body| Incoming::new(body, connection, &self.idle)));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_rested => request = unsent,
                    _ => return Err(EgressError::Broken(cause(&error.into_error()))),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Box<Connection>, EgressError> {
        let stream = self.connector.call(self.address.clone()).await;
        let stream = stream.map_err(|error| EgressError::NotSent(cause(&*error)))?;
        let connection = Connection::open(stream).await;
        connection.map(Box::new).map_err(|error| EgressError::NotSent(cause(&error)))
    }
}

/// What is at the bottom of `error`, such as that a connection was refused.
fn cause(mut error: &dyn Error) -> String {
    while let Some(deeper) = error.source() {
        error = deeper;
    }
    error.to_string()
}

/// TLS 1.2 and 1.3. Reading the machine's certificates takes tens of
/// milliseconds, so a pool that never speaks TLS does not.
fn tls(with_roots: bool) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS cannot be set up: {e}"))?;
    let builder = if with_roots {
        builder
            .with_native_roots()
            .map_err(|e| format!("the machine's root certificates cannot be read: {e}"))?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

//! What identity needs of the network: a port.
//!
//! Outbound connections are `quaymaster-connectors`' part, with its rules: no
//! redirect, no proxy, `http` on loopback alone. Here is what is asked of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use zeroize::Zeroizing;

/// How long an issuer may take for one answer.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Most bytes of an issuer's answer.
pub const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// A form that is sent, and who sends it. Shows nothing of either.
#[derive(Clone)]
pub struct Form {
    /// The fields, as `application/x-www-form-urlencoded`.
    pub fields: Zeroizing<String>,
    /// The value of `Authorization`, if there is one.
    pub authorization: Option<Zeroizing<String>>,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form").finish_non_exhaustive()
    }
}

/// An answer in JSON.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<String, WebError>> + Send + 'a>>;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// The address is none that is connected to.
    #[error("the address may not be connected to: {0}")]
    Address(String),
    /// Nobody answered, or not in time.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer is not the one that was asked for.
    #[error("HTTP status {0}")]
    Status(u16),
    /// The answer cannot be read.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
}

/// Asks issuers. An answer is text of at most [`MAX_ANSWER_BYTES`] with status 200, within
/// [`ANSWER_LIMIT`].
pub trait Web: Send + Sync + fmt::Debug {
    /// Gets the document at `address`, or posts `form` to it.
    fn ask<'a>(&'a self, address: &'a str, form: Option<Form>) -> Answer<'a>;
}

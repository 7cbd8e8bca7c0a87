//! What secrets need of the network: a port.
//!
//! Outbound connections are `quaymaster-connectors`' part, with its rules: no redirect, no proxy, `http`
//! on loopback alone. Here is what is asked of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use zeroize::Zeroizing;

/// How long a server may take for one answer.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
pub const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// A request to a server. Shows nothing of itself but where it goes.
pub struct Question {
    /// The whole address.
    pub url: String,
    /// Headers; their values are secrets.
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    /// What is posted, in JSON; without it the address is got.
    pub body: Option<Zeroizing<String>>,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What a server answered: the HTTP status and the text, which holds secrets.
pub struct Told {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Told").field("status", &self.status).finish_non_exhaustive()
    }
}

/// An answer, or why there is none, in words of our own.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Told, String>> + Send + 'a>>;

/// Asks servers. An answer has at most [`MAX_ANSWER_BYTES`] and comes within [`ANSWER_LIMIT`].
pub trait SecretWeb: Send + Sync + fmt::Debug {
    /// Sends `question`.
    fn send(&self, question: Question) -> Answer<'_>;
}

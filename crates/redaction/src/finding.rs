//! What was found and what was done, and why a text is not released.

use std::borrow::Cow;

use serde::Serialize;

use crate::action::Action;
use crate::kind::Kind;

/// A part of a value that was found to be data of a kind.
///
/// It never holds what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where the value is: an RFC 6901 pointer, empty for a text. A name of a member in it that is
    /// data itself is there as it was released. Cut after 1,024 bytes, with an ellipsis.
    pub path: String,
    /// What it is.
    pub class: Kind,
    /// What was done with it.
    pub action: Action,
    /// What found it, such as `email`, `field.de`, `column`, `declared` or `secret.github_pat`.
    pub detector: &'static str,
    /// Where the part begins, in bytes of the decoded string or of the number as it is written.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// A text of which nothing is left that may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted<'a> {
    /// The text; the one that came if nothing had to be changed.
    pub text: Cow<'a, str>,
    /// What was found, in the order of the text.
    pub findings: Vec<Finding>,
}

/// Why a text is not released. Says nothing of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is not JSON, as when it was cut off.
    #[error("the text is not JSON: {reason}")]
    Malformed {
        /// What was expected, and where.
        reason: String,
    },
    /// A string in it begins as JSON and does not end as such.
    #[error("the string at `{path}` begins as JSON and cannot be read to its end")]
    Truncated {
        /// Where the string is.
        path: String,
    },
    /// A string in it holds half of a surrogate pair, which is no text.
    #[error("the string at `{path}` is not Unicode text")]
    NotText {
        /// Where the string is.
        path: String,
    },
    /// A string in it holds content in more layers than are looked into.
    #[error("the string at `{path}` is encoded in more than {max} layers")]
    TooDeep {
        /// Where the string is.
        path: String,
        /// The limit.
        max: usize,
    },
    /// Content that is no text, of a type that is not let through.
    #[error("the content at `{path}` is binary and its type is not let through")]
    Binary {
        /// Where the content is.
        path: String,
    },
    /// More was found than is kept track of.
    #[error("more than {max} findings in one text")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// The text is longer than is looked at.
    #[error("the text is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// What placeholders stand for could not be kept.
    #[error("what placeholders stand for could not be kept: {reason}")]
    Vault {
        /// Why.
        reason: String,
    },
}

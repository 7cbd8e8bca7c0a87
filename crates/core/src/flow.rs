//! Where what a tool answers comes from, where what it is told goes to, and the labels of whoever saw it.
//!
//! Both are said by a person in a connector's file, or are the worse of what could be. What sets labels and how
//! long they last is in `quaymaster-control`; what follows from them is for policies to say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The label of whoever was given content that a stranger may have written.
pub const SAW_UNTRUSTED: &str = "saw:untrusted";
/// The label of whoever was given confidential data, or data above that.
pub const SAW_CONFIDENTIAL: &str = "saw:confidential";
/// The label of whoever was given restricted data.
pub const SAW_RESTRICTED: &str = "saw:restricted";

/// The labels that are set by themselves. Policies may set others.
pub const OWN_LABELS: [&str; 3] = [SAW_CONFIDENTIAL, SAW_RESTRICTED, SAW_UNTRUSTED];

/// Longest label, in bytes.
pub const MAX_LABEL_BYTES: usize = 64;

/// Checks the form of a label, such as `saw:customer-data`.
///
/// # Errors
///
/// Says what a label looks like.
pub fn check_label(label: &str) -> Result<(), String> {
    let fits = (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b':' | b'.'));
    if fits {
        return Ok(());
    }
    Err(format!(
        "`{}` is not a label: expected 1 to {MAX_LABEL_BYTES} of a-z, 0-9, `-`, `_`, `.` and `:`",
        label.escape_debug()
    ))
}

/// Who may have written what a tool answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Anybody, such as pages of the internet, mails, or tickets of customers.
    #[default]
    Untrusted,
    /// People and systems of the company alone.
    Internal,
}

impl Trust {
    /// The word in configuration and policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Internal => "internal",
        }
    }
}

/// Who may come to know what a tool is called with, questions and searches included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// Anybody.
    #[default]
    Public,
    /// Others who are bound to the company by a contract.
    Partner,
    /// People and systems of the company alone.
    Internal,
}

impl Destination {
    /// The word in configuration and policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Partner => "partner",
            Self::Internal => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_says_is_the_worse() {
        assert_eq!((Trust::default(), Destination::default()), (Trust::Untrusted, Destination::Public));
        assert!(Destination::Public < Destination::Partner && Destination::Partner < Destination::Internal);
    }

    #[test]
    fn the_labels_that_are_set_by_themselves_are_labels() {
        assert!(OWN_LABELS.iter().all(|label| check_label(label).is_ok()));
        let long = "a".repeat(MAX_LABEL_BYTES + 1);
        for bad in ["", "Saw", "saw it", long.as_str()] {
            assert!(check_label(bad).is_err(), "{bad}");
        }
    }
}

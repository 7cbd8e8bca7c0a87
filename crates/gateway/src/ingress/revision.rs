//! The revisions with sessions, and what each of them has.
//!
//! A session speaks the one revision that was agreed on when it was opened. Members
//! of results that a revision does not know do no harm, and clients skip them. What
//! it would not understand is not sent: requests of ours that it does not have, and
//! kinds of content (see `content`).

use std::fmt;

use http::StatusCode;
use quaymaster_core::InputAbilities;

use super::refusal::Refusal;

/// A revision with sessions, from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// 2024-11-05.
    November2024,
    /// 2025-03-26: batches, audio.
    March2025,
    /// 2025-06-18: elicitation, links to resources, the version in a header.
    June2025,
    /// 2025-11-25: elicitation by an address, sampling with tools.
    November2025,
}

impl Revision {
    /// Every one, newest first.
    pub const ALL: [Self; 4] = [Self::November2025, Self::June2025, Self::March2025, Self::November2024];

    /// The revision as it is on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::November2024 => "2024-11-05",
            Self::March2025 => "2025-03-26",
            Self::June2025 => "2025-06-18",
            Self::November2025 => "2025-11-25",
        }
    }

    /// The revision called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == name)
    }

    /// The revision of a session whose client asked for `requested`: that one if we speak
    /// it, else our newest (MCP 2025-11-25, basic/lifecycle, version negotiation).
    pub(super) fn negotiated(requested: &str) -> Self {
        Self::named(requested).unwrap_or(Self::November2025)
    }

    /// Whether the streams of calls can be taken up again (since MCP 2025-03-26, basic/transports).
    pub(super) fn has_resumable_streams(self) -> bool {
        self >= Self::March2025
    }

    /// Whether a stream begins with an event that has an id alone, after which it may be closed
    /// before the answer (since MCP 2025-11-25, basic/transports).
    pub(super) fn is_primed(self) -> bool {
        self >= Self::November2025
    }

    /// What `MCP-Protocol-Version` names, if it is there (since MCP 2025-06-18, basic/transports).
    ///
    /// # Errors
    ///
    /// 400 if it is no revision with sessions that we speak.
    pub(super) fn of_header(header: Option<&str>) -> Result<Option<Self>, Refusal> {
        let Some(version) = header else { return Ok(None) };
        Self::named(version).map(Some).ok_or_else(|| Refusal::unsupported_version(version))
    }

    /// Checks that a request in a session of this revision names no other. A request that
    /// names none is of the session's: 2025-03-26 is assumed only of who has no session.
    ///
    /// # Errors
    ///
    /// 400 if it does.
    pub(super) fn agrees_with(self, named: Option<Self>) -> Result<(), Refusal> {
        let Some(other) = named.filter(|named| *named != self) else { return Ok(()) };
        let message = format!(
            "`MCP-Protocol-Version` says `{other}` and this session was opened with `{self}`: send that"
        );
        Err(Refusal::invalid_request(StatusCode::BAD_REQUEST, message))
    }

    /// Whether a client may send several messages at once (MCP 2025-03-26, basic).
    pub(super) fn has_batches(self) -> bool {
        self == Self::March2025
    }

    /// Whether calls can be made as tasks. In sessions that is no matter of what a client declares.
    pub(super) fn has_tasks(self) -> bool {
        self == Self::November2025
    }

    /// What of `claimed` a client of this revision can be asked, whatever it says.
    pub(super) fn within(self, claimed: InputAbilities) -> InputAbilities {
        match self {
            Self::November2025 => InputAbilities { tasks: false, ..claimed },
            // Here elicitation has no modes, so whatever it is said to have is a form.
            Self::June2025 => {
                let form = claimed.form || claimed.url;
                InputAbilities { form, url: false, sampling_tools: false, tasks: false, ..claimed }
            }
            Self::March2025 | Self::November2024 => {
                let InputAbilities { sampling, roots, .. } = claimed;
                InputAbilities { sampling, roots, ..InputAbilities::default() }
            }
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_comes_first_and_each_is_found_by_its_name() {
        assert!(Revision::ALL.is_sorted_by(|a, b| a > b && a.as_str() > b.as_str()));
        for revision in Revision::ALL {
            assert_eq!(Revision::negotiated(revision.as_str()), revision);
        }
        for other in ["2026-07-28", "2025-03-27", "", "DRAFT-2025-v2"] {
            assert_eq!(Revision::negotiated(other), Revision::November2025, "{other}");
        }
    }

    #[test]
    fn a_client_is_asked_no_more_than_its_revision_has() {
        let all = InputAbilities {
            form: true,
            url: true,
            sampling: true,
            sampling_tools: true,
            roots: true,
            tasks: false,
            apps: false,
        };
        let told = |revision: Revision| revision.within(all).as_json();
        assert_eq!(told(Revision::November2025), all.as_json());
        assert_eq!(told(Revision::June2025), r#"{"elicitation":{"form":{}},"sampling":{},"roots":{}}"#);
        for old in [Revision::March2025, Revision::November2024] {
            assert_eq!(told(old), r#"{"sampling":{},"roots":{}}"#);
        }
        let none = InputAbilities::default();
        assert!(Revision::ALL.into_iter().all(|revision| revision.within(none) == none));
    }

    #[test]
    fn only_one_revision_has_batches() {
        let having: Vec<_> = Revision::ALL.into_iter().filter(|revision| revision.has_batches()).collect();
        assert_eq!(having, [Revision::March2025]);
    }
}

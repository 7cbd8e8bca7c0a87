//! What people and agents are told of a switch that they did not make.
//!
//! Invariants:
//! - Nobody learns by a notice of another workspace, of a tool or connector that they do not know of, or
//!   that somebody else is stopped. Whoever decides on a request learns that its call is.
//! - The reason and who made the switch are for those who read the list of switches alone.

use std::fmt;

use quaymaster_catalog::Tool;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, CallError, Effect, IncidentId, Timestamp};
use serde::Serialize;

use super::target::Target;
use super::{Incidents, Switch};
use crate::approval::Request;

/// That calls are stopped. Written out, it is one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The switch.
    pub id: IncidentId,
    /// What it stops, such as `writes of the tool crm_refund`.
    pub stops: String,
    /// When it ends by itself: RFC 3339, UTC.
    pub until: Timestamp,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} are stopped until {} by the incident switch {}", self.stops, self.until, self.id)
    }
}

impl Switch {
    /// What `viewer` is told, who knows of the tools `known`; none if it stops nothing that they know of.
    pub fn notice<'t>(&self, viewer: &Actor, known: impl IntoIterator<Item = &'t Tool>) -> Option<Notice> {
        let Target { tool, connector, actor, session, workspace, writes } = &self.target;
        let is_for_them = session.is_none()
            && workspace.as_ref().is_none_or(|workspace| *workspace == viewer.workspace)
            && actor
                .as_deref()
                .is_none_or(|actor| is_of(actor, viewer.id.as_str(), viewer.person().as_str()));
        let is_known = || {
            let names_some = tool.is_some() || connector.is_some() || *writes;
            !names_some || known.into_iter().any(|offer| self.target.is_about(offer))
        };
        (is_for_them && is_known()).then(|| self.told(&self.target.to_string()))
    }

    /// What those are told who decide on `request`, whose call `tool` would run; none if it does not stop that.
    /// A switch for a session is not told: which one a request came from is not kept.
    pub fn notice_of(&self, request: &Request, tool: Option<&Tool>) -> Option<Notice> {
        let Target { tool: name, connector, actor, session, workspace, writes } = &self.target;
        let stops = session.is_none()
            && workspace.as_ref().is_none_or(|workspace| *workspace == request.workspace)
            && actor
                .as_deref()
                .is_none_or(|actor| is_of(actor, request.requester.as_str(), request.person.as_str()))
            && name.as_deref().is_none_or(|name| name == request.document.tool)
            && (!writes || request.document.effect != Effect::Read.as_str())
            && connector
                .as_ref()
                .is_none_or(|one| tool.is_some_and(|tool| tool.declaration().connector == *one));
        stops.then(|| self.told("calls like the one that is asked for"))
    }

    fn told(&self, stops: &str) -> Notice {
        Notice { id: self.id.clone(), stops: stops.to_owned(), until: self.until }
    }
}

fn is_of(named: &str, account: &str, person: &str) -> bool {
    named == account || named == person
}

impl Target {
    /// Whether it names something that this tool is.
    fn is_about(&self, tool: &Tool) -> bool {
        let is_connector = |one: &Slug| tool.declaration().connector == *one;
        self.tool.as_deref().is_none_or(|name| name == tool.name().as_str())
            && self.connector.as_ref().is_none_or(is_connector)
            && (!self.writes || tool.effect() != Effect::Read)
    }
}

/// What it stops, in words: `writes of the connector crm in the workspace sales`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tool, connector, actor, session, workspace, writes } = self;
        f.write_str(if *writes { "writes" } else { "calls" })?;
        let name = |slug: &Option<Slug>| slug.as_ref().map(ToString::to_string);
        let parts = [
            (" of the tool ", tool.clone()),
            (" of the connector ", name(connector)),
            (" by ", actor.clone()),
            (" of the session ", session.clone()),
            (" in the workspace ", name(workspace)),
        ];
        let named = parts.into_iter().filter_map(|(word, value)| Some((word, value?)));
        named
            .into_iter()
            .try_for_each(|(word, value)| write!(f, "{word}{}", quaymaster_core::text::plain(&value)))
    }
}

impl Incidents {
    /// The switches that stand, read anew where what is known is not [fresh](super::FRESH).
    ///
    /// # Errors
    ///
    /// `audit.unavailable` if they cannot be read; then nothing runs.
    pub async fn standing(&self) -> Result<Vec<Switch>, CallError> {
        self.refresh().await?;
        Ok(self.standing_as_known())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_as_what_it_stops() {
        let slug = |name: &str| Some(Slug::parse(name).expect("a name"));
        let all = Target {
            tool: Some("crm_refund".into()),
            connector: slug("crm"),
            actor: Some("ada\u{202e}@example.test".into()),
            session: Some("thread-1".into()),
            workspace: slug("sales"),
            writes: true,
        };
        let words = "writes of the tool crm_refund of the connector crm by ada\\u{202e}@example.test of the session thread-1 in the workspace sales";
        assert_eq!(all.to_string(), words);
        assert_eq!(
            Target { workspace: slug("lab"), ..Target::default() }.to_string(),
            "calls in the workspace lab"
        );
    }
}

//! What a call is on the wire of its server: a method and its parameters.
//!
//! Names are the server's own, by the connector's file; what the connector does not
//! have is asked of nobody.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use quaymaster_core::{Kind, Tasks, mirror};

use super::check::Settings;
use super::discovery::TaskSupport;
use super::supervise::Live;
use crate::ask::Ask;

/// A request as the server is sent it.
pub(super) struct Target<'a> {
    pub(super) method: &'static str,
    /// Whether it begins the call; else it follows one that was begun.
    pub(super) begins: bool,
    /// Whether a modern server is told that it may make a task of it.
    pub(super) tasks: bool,
    /// Pieces of JSON text: the members of the parameters.
    pub(super) members: Vec<&'a str>,
    /// What stands in `Mcp-Name`.
    pub(super) name: Option<Cow<'a, HeaderValue>>,
}

impl<'a> Target<'a> {
    fn beginning(method: &'static str, members: Vec<&'a str>) -> Self {
        Self { method, begins: true, tasks: false, members, name: None }
    }

    /// What `ask` means; none if the connector has no such thing.
    pub(super) fn of(settings: &'a Settings, ask: &'a Ask<'_>) -> Option<Self> {
        let arguments = ask.arguments.as_json();
        let named = |method, name: &'a str, header| Self {
            name: Some(Cow::Borrowed(header)),
            ..Self::beginning(method, vec![r#""name":"#, name, r#","arguments":"#, arguments])
        };
        match ask.kind {
            Kind::Tool => {
                let tool = settings.tools.iter().find(|tool| tool.config.name == ask.tool)?;
                Some(named("tools/call", &tool.name_json, &tool.name_header))
            }
            Kind::Prompt => {
                let prompt = settings.prompts.iter().find(|prompt| prompt.config.name == ask.tool)?;
                Some(named("prompts/get", &prompt.name_json, &prompt.name_header))
            }
            Kind::Resource => {
                let uri = ask.arguments.value().get("uri")?.as_str()?;
                // Looked at once more: what the server is sent is what was decided on.
                settings.resources.iter().find(|r| r.config.name == ask.tool && r.pattern.fits(uri))?;
                let members = vec![arguments.strip_prefix('{')?.strip_suffix('}')?];
                let name = Some(Cow::Owned(mirror::encode(uri)));
                Some(Self { name, ..Self::beginning("resources/read", members) })
            }
            Kind::Completion => {
                let prompts = settings.prompts.iter().map(|prompt| (&prompt.completed, &prompt.reference));
                let groups = settings.resources.iter().map(|group| (&group.completed, &group.reference));
                let (_, reference) =
                    prompts.chain(groups).find(|(completed, _)| ***completed == *ask.tool)?;
                let members = vec![&**reference, ",", arguments.strip_prefix('{')?.strip_suffix('}')?];
                Some(Self::beginning("completion/complete", members))
            }
        }
    }
}

/// Whether a session's server is to make a task of the call: where it can do nothing else, and
/// where the client takes one. A modern server decides by itself.
pub(super) fn as_task(live: &Live, ask: &Ask<'_>) -> bool {
    if ask.kind != Kind::Tool || live.link.is_modern() {
        return false;
    }
    match live.routes.get(ask.tool).map(|route| route.tasks).unwrap_or_default() {
        TaskSupport::Forbidden => false,
        TaskSupport::Optional => matches!(ask.tasks, Tasks::Taken(_)),
        TaskSupport::Required => true,
    }
}

/// The headers that mirror arguments of the call.
pub(super) fn mirrored(live: &Live, ask: &Ask<'_>) -> Vec<(HeaderName, HeaderValue)> {
    if ask.kind != Kind::Tool {
        return Vec::new();
    }
    let declared = live.routes.get(ask.tool).map(|route| route.headers.as_slice()).unwrap_or_default();
    mirror::of_call(declared, ask.arguments.value())
}

//! What the system behind a tool may ask of the client in the middle of a call.
//!
//! In the words of 2026-07-28 (multi round-trip requests): requests by names of the
//! asker's choice, answered by results under the same names. Sessions of earlier
//! revisions ask one by one, which is a request with one name.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::{Raw, RawBuf};

/// A method by which a client is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputMethod {
    /// `elicitation/create`: a person fills a form or opens an address.
    Elicit,
    /// `sampling/createMessage`: the client's model writes something.
    Sample,
    /// `roots/list`: which folders the client works in.
    Roots,
}

impl InputMethod {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Elicit, Self::Sample, Self::Roots];

    /// The method as it is on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Elicit => "elicitation/create",
            Self::Sample => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }

    /// The method called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// What a client says that it can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a capability of its own in the protocol")]
pub struct InputAbilities {
    /// To fill a form.
    pub form: bool,
    /// To open an address.
    pub url: bool,
    /// To have its model write.
    pub sampling: bool,
    /// To let its model use tools that the asker names (MCP 2025-11-25, client/sampling).
    pub sampling_tools: bool,
    /// Which folders it works in.
    pub roots: bool,
    /// To take a task instead of an answer, and come back for the result.
    pub tasks: bool,
    /// To show what a tool has for a person (MCP Apps).
    pub apps: bool,
}

/// The name of the extension by which clients of 2026-07-28 take tasks.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// The name of the extension by which clients show what tools have for a person (MCP Apps).
pub const APPS_EXTENSION: &str = "io.modelcontextprotocol/ui";

/// What clients that do so show (MCP Apps, capability negotiation).
const APPS_SETTINGS: &str = r#"{"mimeTypes":["text/html;profile=mcp-app"]}"#;

impl InputAbilities {
    /// Whether these are all of `needed`, and perhaps more.
    pub fn cover(self, needed: Self) -> bool {
        self.and(needed) == self
    }

    /// Whether the client can be asked anything.
    pub fn is_askable(self) -> bool {
        InputMethod::ALL.into_iter().any(|method| self.allow(method))
    }

    /// Whether the client can be asked by `method` at all.
    pub fn allow(self, method: InputMethod) -> bool {
        match method {
            InputMethod::Elicit => self.form || self.url,
            InputMethod::Sample => self.sampling,
            InputMethod::Roots => self.roots,
        }
    }

    /// What it takes to be asked by `method`.
    pub fn of(method: InputMethod) -> Self {
        let none = Self::default();
        match method {
            InputMethod::Elicit => Self { form: true, ..none },
            InputMethod::Sample => Self { sampling: true, ..none },
            InputMethod::Roots => Self { roots: true, ..none },
        }
    }

    /// What either of both takes.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            form: self.form || other.form,
            url: self.url || other.url,
            sampling: self.sampling || other.sampling,
            sampling_tools: self.sampling_tools || other.sampling_tools,
            roots: self.roots || other.roots,
            tasks: self.tasks || other.tasks,
            apps: self.apps || other.apps,
        }
    }

    /// What `clientCapabilities` say. `{}` under `elicitation` is how revisions before
    /// 2025-11-25 say that a form can be shown.
    pub fn read(capabilities: Option<Raw<'_>>) -> Self {
        let mut abilities = Self::default();
        let members = capabilities.into_iter().filter_map(Raw::members).flatten().filter_map(Result::ok);
        for (name, value) in members.filter(|(_, value)| value.get().starts_with('{')) {
            match &*name {
                "elicitation" => {
                    let modes: Vec<_> = value
                        .members()
                        .into_iter()
                        .flatten()
                        .filter_map(Result::ok)
                        .map(|(mode, _)| mode)
                        .collect();
                    let has = |mode: &str| modes.iter().any(|m| m == mode);
                    abilities.url = has("url");
                    abilities.form = has("form") || !abilities.url;
                }
                "sampling" => {
                    abilities.sampling = true;
                    let tools = value.member("tools").ok().flatten();
                    abilities.sampling_tools = tools.is_some_and(|tools| tools.get().starts_with('{'));
                }
                "roots" => abilities.roots = true,
                "extensions" => {
                    let has = |name: &str| {
                        let extension = value.member(name).ok().flatten();
                        extension.is_some_and(|settings| settings.get().starts_with('{'))
                    };
                    (abilities.tasks, abilities.apps) = (has(TASKS_EXTENSION), has(APPS_EXTENSION));
                }
                _ => {}
            }
        }
        abilities
    }

    /// The abilities as the members of `clientCapabilities`, with their braces.
    pub fn as_json(self) -> String {
        let modes = [("form", self.form), ("url", self.url)];
        let modes: Vec<String> =
            modes.into_iter().filter(|(_, has)| *has).map(|(name, _)| format!(r#""{name}":{{}}"#)).collect();
        let mut members = Vec::new();
        if !modes.is_empty() {
            members.push(format!(r#""elicitation":{{{}}}"#, modes.join(",")));
        }
        if self.sampling || self.sampling_tools {
            let tools = if self.sampling_tools { r#""tools":{}"# } else { "" };
            members.push(format!(r#""sampling":{{{tools}}}"#));
        }
        if self.roots {
            members.push(r#""roots":{}"#.to_owned());
        }
        let extensions = [(TASKS_EXTENSION, "{}", self.tasks), (APPS_EXTENSION, APPS_SETTINGS, self.apps)];
        let extensions: Vec<String> = extensions
            .into_iter()
            .filter(|(_, _, has)| *has)
            .map(|(name, settings, _)| format!(r#""{name}":{settings}"#))
            .collect();
        if !extensions.is_empty() {
            members.push(format!(r#""extensions":{{{}}}"#, extensions.join(",")));
        }
        format!("{{{}}}", members.join(","))
    }
}

/// One request for input: a method and its parameters, of which each is there once.
#[derive(Clone, Copy, Debug)]
pub struct InputRequest<'a> {
    /// The method.
    pub method: InputMethod,
    /// The parameters, an object.
    pub params: Raw<'a>,
}

impl<'a> InputRequest<'a> {
    /// Reads `{method, params}`; none if it is something else, or could be read in two ways.
    pub fn read(request: Raw<'a>) -> Option<Self> {
        let method = InputMethod::named(&request.member("method").ok()??.text()?)?;
        let params = match request.member("params").ok()? {
            Some(params) => Some(params).filter(|params| params.get().starts_with('{'))?,
            None => Raw::read("{}").ok()?,
        };
        // Whoever answers must not see another mode than we do, or tools that we do not.
        let known = ["mode", "tools", "toolChoice"];
        known.iter().all(|name| params.member(name).is_ok()).then_some(Self { method, params })
    }

    /// What it takes to be asked this.
    pub fn needs(self) -> InputAbilities {
        let member = |name| self.params.member(name).ok().flatten();
        let none = InputAbilities::default();
        match self.method {
            InputMethod::Elicit if member("mode").and_then(Raw::text).as_deref() == Some("url") => {
                InputAbilities { url: true, ..none }
            }
            InputMethod::Sample => {
                let tools = member("tools").is_some() || member("toolChoice").is_some();
                InputAbilities { sampling: true, sampling_tools: tools, ..none }
            }
            method => InputAbilities::of(method),
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoInput {
    /// The client cannot be asked this.
    Unsupported,
    /// The client has gone, or nobody answered in time.
    Unanswered,
    /// The client refused to answer.
    Declined,
    /// Too many questions are open.
    Overloaded,
}

/// The client of one call, who can be asked.
pub trait InputPort: Send + Sync + fmt::Debug {
    /// What it can be asked.
    fn abilities(&self) -> InputAbilities;

    /// Asks. `requests` is an object of `{method, params}` by name; the answer is an
    /// object of results by the same names, which nobody has checked.
    fn ask<'a>(
        &'a self,
        requests: RawBuf,
    ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abilities_are_written_as_capabilities() {
        assert_eq!(InputAbilities::default().as_json(), "{}");
        let all = InputAbilities {
            form: true,
            url: true,
            sampling: true,
            sampling_tools: true,
            roots: true,
            tasks: true,
            apps: true,
        };
        let written = concat!(
            r#"{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{},"#,
            r#""extensions":{"io.modelcontextprotocol/tasks":{},"#,
            r#""io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#
        );
        assert_eq!(all.as_json(), written);
        assert_eq!(InputAbilities::read(Raw::read(written).ok()), all);
        assert!(InputMethod::ALL.into_iter().all(|method| all.allow(method)));
        assert!(!InputAbilities::default().allow(InputMethod::Roots));
        assert_eq!(InputMethod::named("roots/list"), Some(InputMethod::Roots));
    }

    #[test]
    fn a_client_says_what_it_can_be_asked() {
        let read = |text: &str| InputAbilities::read(Some(Raw::read(text).expect("JSON")));
        let (form, roots) = (InputAbilities::of(InputMethod::Elicit), InputAbilities::of(InputMethod::Roots));
        assert_eq!(read(r#"{"elicitation":{},"roots":{"listChanged":true}}"#), form.and(roots));
        let url = InputAbilities { url: true, ..InputAbilities::default() };
        assert_eq!(read(r#"{"elicitation":{"url":{}}}"#), url);
        assert_eq!(read(r#"{"elicitation":true,"sampling":{}}"#), InputAbilities::of(InputMethod::Sample));
        assert_eq!(InputAbilities::read(None), InputAbilities::default());
        let tasks = read(r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#);
        assert!(tasks.tasks && !tasks.is_askable());
    }

    #[test]
    fn to_be_asked_with_tools_is_an_ability_of_its_own() {
        let needs = |params: &str| {
            let request = format!(r#"{{"method":"sampling/createMessage","params":{params}}}"#);
            InputRequest::read(Raw::read(&request).expect("JSON")).map(InputRequest::needs)
        };
        let plain = InputAbilities::of(InputMethod::Sample);
        let tools = InputAbilities { sampling_tools: true, ..plain };
        assert_eq!(needs("{}"), Some(plain));
        assert_eq!(needs(r#"{"tools":[]}"#), Some(tools));
        assert_eq!(needs(r#"{"toolChoice":{"mode":"none"}}"#), Some(tools));
        assert_eq!(needs(r#"{"tools":[],"t\u006fols":[]}"#), None, "it could be read in two ways");
        assert!(tools.cover(plain) && !plain.cover(tools));
        let read = |text: &str| InputAbilities::read(Raw::read(text).ok());
        assert_eq!(read(r#"{"sampling":{"tools":{}}}"#), tools);
        assert_eq!(read(r#"{"sampling":{"tools":true,"context":{}}}"#), plain);
    }
}

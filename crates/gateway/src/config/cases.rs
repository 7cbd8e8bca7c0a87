//! Tests of policies, as they are written beside them: `policies/*.test.yaml`.

use std::path::Path;

use quaymaster_core::setting::Slug;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::diagnostic::Diagnostics;
use super::document::Document;
use super::folder;

/// A file of tests.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Tests of policies")]
pub struct PolicyTests {
    /// Who asks, where a test says nothing of its own.
    #[serde(default)]
    pub actor: Option<TestActor>,
    /// The tool, where a test says nothing of its own.
    #[serde(default)]
    pub tool: Option<String>,
    /// The tests.
    pub tests: Vec<PolicyCase>,
}

/// One call, and what should come of it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicyCase {
    /// What it shows, in a sentence.
    pub name: String,
    /// Who asks; that of the file if absent.
    #[serde(default)]
    pub actor: Option<TestActor>,
    /// The tool by its public name; that of the file if absent.
    #[serde(default)]
    pub tool: Option<String>,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// What else policies see.
    #[serde(default)]
    pub context: TestContext,
    /// What should be decided.
    pub expect: Expected,
    /// Who should have to agree: the roles of every gate. Not looked at if absent.
    #[serde(default)]
    pub by: Option<Vec<Slug>>,
    /// The policies that should have determined it, all of them. Not looked at if absent.
    #[serde(default)]
    pub policies: Option<Vec<String>>,
    /// What should bind the call, all of it. Not looked at if absent.
    #[serde(default)]
    pub obligations: Option<ExpectedObligations>,
}

/// Who asks in a test.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TestActor {
    /// The account; `somebody@example.test` if absent.
    #[serde(default)]
    pub id: Option<String>,
    /// The person behind the account; the account itself if absent.
    #[serde(default)]
    pub person: Option<String>,
    /// The roles.
    pub roles: Vec<Slug>,
    /// The groups, each as `issuer:group`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The workspace; the default one if absent.
    #[serde(default)]
    pub workspace: Option<Slug>,
    /// How the actor was established; `token` if absent.
    #[serde(default)]
    pub authentication: Option<String>,
}

/// What policies see beside actor, tool and arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TestContext {
    /// When, as RFC 3339; `2026-01-07T12:00:00Z`, a Wednesday, if absent.
    #[serde(default)]
    pub time: Option<String>,
    /// What the client says of its agent.
    #[serde(default)]
    pub agent: TestAgent,
    /// What whoever asks has seen, such as `saw:untrusted`.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The business reason that is given.
    #[serde(default)]
    pub reason: Option<String>,
    /// The session.
    #[serde(default)]
    pub session: Option<String>,
}

/// What a client says of its agent in a test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TestAgent {
    /// The client.
    #[serde(default)]
    pub client: Option<String>,
    /// The model.
    #[serde(default)]
    pub model: Option<String>,
    /// The sandbox.
    #[serde(default)]
    pub sandbox_mode: Option<String>,
    /// Whether a model answers in a person's place.
    #[serde(default)]
    pub auto_review: Option<bool>,
}

/// What should be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// The call may run.
    Allow,
    /// It may not, though the actor may see the tool.
    Deny,
    /// It may not, and the actor cannot see the tool.
    Hidden,
    /// It may once somebody has agreed.
    Approval,
}

/// What should bind a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExpectedObligations {
    /// Fields that are taken out, as written.
    #[serde(default)]
    pub redact: Vec<String>,
    /// Limits, such as `30/1m`.
    #[serde(default)]
    pub limit: Vec<String>,
    /// Labels.
    #[serde(default)]
    pub label: Vec<String>,
    /// Whether a business reason is needed.
    #[serde(default)]
    pub reason_required: bool,
}

/// The tests of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyCases {
    /// The file, below the configuration folder.
    pub path: String,
    /// What it says.
    pub file: PolicyTests,
}

/// Reads the tests beside the policies of the configuration in `folder`.
///
/// # Errors
///
/// Everything that is wrong with them.
pub fn load_tests(folder: &Path) -> Result<Vec<PolicyCases>, Diagnostics> {
    let (files, mut found) = folder::read_tests(folder);
    let mut cases = Vec::new();
    for file in files {
        let document = Document::<PolicyTests>::read(file);
        found.add(document.found);
        let path = document.source.path().to_owned();
        cases.extend(document.value.map(|file| PolicyCases { path, file }));
    }
    if found.has_errors() { Err(found) } else { Ok(cases) }
}

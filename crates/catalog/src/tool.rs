//! An entry of the catalogue: a declaration with its contract and compiled schema.
//!
//! It is called a tool because for policy, audit and release it is one: a prompt
//! and a group of resources are reads with a name and arguments.

use std::borrow::Cow;

use quaymaster_core::arguments::sha256_text;
use quaymaster_core::json::canonical;
use quaymaster_core::mirror::{self, ParamHeader};
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{
    Arguments, CallError, CallRequest, DataClass, Effect, ErrorCode, Kind, Offer, ToolDeclaration, ToolName,
    UriPattern,
};
use serde_json::{Value, json};

use crate::cost::Cost;
use crate::hidden;
use crate::listing::{self, ListedResources};
use crate::reason;
use crate::schema::InputSchema;

/// A tool as the path of a call knows it.
#[derive(Debug)]
pub struct Tool {
    declaration: ToolDeclaration,
    contract: String,
    listing: String,
    resources: ListedResources,
    input: InputSchema,
    output: Option<(jsonschema::Validator, Cost)>,
    mirrors: Vec<ParamHeader>,
    ruled: Ruled,
}

/// What the rules change in what agents are told of a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ruled {
    /// A call may be refused for want of a business reason, so there is an argument for it.
    pub asks_reason: bool,
    /// Fields may be taken out of results, so no structure is promised.
    pub takes_fields_out: bool,
    /// Somebody may have to agree to a call, so a client may want a task instead of an answer.
    pub may_park: bool,
}

/// Arguments that fit a tool's schema, ready to be decided on.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedArguments {
    /// Those that are decided on and run.
    pub arguments: Arguments,
    /// The business reason that was given beside them, or in an argument of that name.
    pub reason: Option<String>,
}

impl Tool {
    /// Compiles a declaration.
    ///
    /// # Errors
    ///
    /// Says why a schema cannot be used.
    pub(crate) fn new(declaration: ToolDeclaration) -> Result<Self, String> {
        Self::ruled(declaration, Ruled::default())
    }

    /// Compiles a declaration, with what the rules change in what agents are told.
    ///
    /// # Errors
    ///
    /// Says why a schema cannot be used.
    pub(crate) fn ruled(declaration: ToolDeclaration, ruled: Ruled) -> Result<Self, String> {
        let ruled =
            Ruled { asks_reason: ruled.asks_reason && matches!(declaration.offer, Offer::Tool), ..ruled };
        let visible = hidden::visible_schema(&declaration);
        let shown = if ruled.asks_reason { reason::with_reason(&visible) } else { visible.clone() };
        let object = listing::object(&declaration, &shown, ruled);
        let output = match (&declaration.output_schema, declaration.form) {
            (Some(schema), ResultForm::Upstream) => {
                let cost = Cost::of(schema)?;
                let validator = jsonschema::validator_for(schema)
                    .map_err(|e| format!("the output schema is not usable: {e}"))?;
                Some((validator, cost))
            }
            _ => None,
        };
        Ok(Self {
            contract: contract_digest(&declaration, &object),
            listing: object.to_string(),
            resources: listing::resources(&declaration),
            input: InputSchema::compile(&visible, shown, hidden::hidden_names(&declaration))?,
            output,
            // The listing shows the annotations as they are; what breaks the rules binds nobody.
            mirrors: mirror::declared(&visible).unwrap_or_default(),
            ruled,
            declaration,
        })
    }

    /// What the connector declared.
    pub fn declaration(&self) -> &ToolDeclaration {
        &self.declaration
    }

    /// The name under which agents know the tool.
    pub fn name(&self) -> &ToolName {
        &self.declaration.name
    }

    /// By which method it is asked for.
    pub fn kind(&self) -> Kind {
        self.declaration.offer.kind()
    }

    /// Whether `uri` is the address of one of its resources.
    pub(crate) fn holds(&self, uri: &str) -> bool {
        matches!(&self.declaration.offer, Offer::Resources(group) if group.pattern.fits(uri))
    }

    /// Whether it is the group of the addresses that `pattern` means.
    pub(crate) fn is_of(&self, pattern: &UriPattern) -> bool {
        matches!(&self.declaration.offer, Offer::Resources(group) if group.pattern == *pattern)
    }

    /// Whether it has the values for what `reference` names.
    pub(crate) fn completes(&self, reference: &str) -> bool {
        matches!(&self.declaration.offer, Offer::Completion(of) if of.reference() == reference)
    }

    /// Whether an address could lead to both, somewhere.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let (Offer::Resources(one), Offer::Resources(two)) =
            (&self.declaration.offer, &other.declaration.offer)
        else {
            return false;
        };
        let together =
            self.declaration.workspaces.iter().any(|here| other.declaration.workspaces.contains(here));
        together && one.pattern.may_meet(&two.pattern)
    }

    /// The addresses of the resources that are listed, each with its `Resource` object as JSON text.
    pub fn listed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resources.listed.iter().map(|(uri, object)| (uri.as_str(), object.as_str()))
    }

    /// The `ResourceTemplate` objects, each with its pattern, as JSON text.
    pub(crate) fn templates(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resources.templates.iter().map(|(pattern, object)| (pattern.as_str(), object.as_str()))
    }

    /// The headers in which modern clients repeat arguments.
    pub fn mirrors(&self) -> &[ParamHeader] {
        &self.mirrors
    }

    /// What a call does to the world.
    pub fn effect(&self) -> Effect {
        self.declaration.effect
    }

    /// Whether a call of it can go on as a task, because of its system or because of the rules.
    pub fn takes_tasks(&self) -> bool {
        self.declaration.tasks || self.ruled.may_park
    }

    /// The digest of everything that agents are told of the tool, and of its effect.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// The `Tool` or `Prompt` object of MCP (2026-07-28, server/tools, server/prompts) as JSON text.
    pub fn listing(&self) -> &str {
        &self.listing
    }

    /// The same under another name. Names have no character that JSON would write another way.
    pub(crate) fn listing_as(&self, name: &str) -> Cow<'_, str> {
        let opening = |name: &str| format!(r#"{{"name":"{name}""#);
        match self.listing.strip_prefix(&opening(self.name().as_str())) {
            Some(rest) if name != self.name().as_str() => Cow::Owned(opening(name) + rest),
            _ => Cow::Borrowed(&self.listing),
        }
    }

    /// The schema that agents see.
    pub fn input_schema(&self) -> &Value {
        self.input.value()
    }

    /// Why nobody may call it until a person has accepted its definition, if that is so.
    pub fn quarantine(&self) -> Option<&str> {
        self.declaration.quarantined.as_deref()
    }

    /// Whether a result may hold data of `class` or above.
    pub fn may_release(&self, class: DataClass) -> bool {
        self.declaration.classification.highest_released() >= class
    }

    /// What the rules change in what agents are told of it.
    pub fn rules(&self) -> Ruled {
        self.ruled
    }

    /// Checks the agent's arguments and returns those that are decided on and run.
    ///
    /// # Errors
    ///
    /// `input.invalid` with every problem, what would be right and where.
    pub fn check_arguments(&self, request: &CallRequest) -> Result<CheckedArguments, CallError> {
        self.check_restored(request, &request.arguments)
    }

    /// The same where the arguments hold placeholders: `restored` are those that are held against the schema, with
    /// what the placeholders stand for.
    ///
    /// # Errors
    ///
    /// As for [`Tool::check_arguments`].
    pub fn check_restored(
        &self,
        request: &CallRequest,
        restored: &Arguments,
    ) -> Result<CheckedArguments, CallError> {
        let own = reason::is_own(&self.declaration.input_schema);
        let asks = self.ruled.asks_reason && !own;
        let (given, beside) =
            if asks { reason::taken_out(&request.arguments)? } else { (request.arguments.clone(), None) };
        if asks {
            self.input.check(reason::taken_out(restored)?.0.value())?;
        } else {
            self.input.check(restored.value())?;
        }
        let arguments = hidden::effective_arguments(&self.declaration, request, &given);
        let reason = if own { reason::read(arguments.get(reason::ARGUMENT))? } else { beside };
        Ok(CheckedArguments { arguments, reason })
    }

    /// Checks a structured result against the output schema that the upstream published.
    ///
    /// # Errors
    ///
    /// `upstream.error` if the upstream broke its own contract; the result is not repeated.
    pub fn check_output(&self, structured: &Value) -> Result<(), CallError> {
        let Some((schema, cost)) = &self.output else { return Ok(()) };
        if cost.admits(structured) && schema.is_valid(structured) {
            return Ok(());
        }
        Err(CallError::new(
            ErrorCode::UpstreamError,
            "the upstream's result does not fit its own output schema",
        ))
    }

    /// Whether the upstream promises a structured result.
    pub fn promises_structure(&self) -> bool {
        self.output.is_some()
    }
}

fn contract_digest(declaration: &ToolDeclaration, object: &Value) -> String {
    let contract = json!({
        "connector": declaration.connector.as_str(),
        "effect": declaration.effect,
        "tool": object,
        "version": declaration.version,
    });
    sha256_text(canonical(&contract).as_bytes())
}

//! Whether tools of MCP servers are what somebody accepted.
//!
//! A definition is compared with its pin, once, when a listing has arrived or the configuration
//! changed: what a call looks at is one member of its tool. Pins come from the files in `contracts/`;
//! for a connector without such a file, from what was seen first (`seen`). What a change means is
//! `quaymaster_catalog::contract`'s part, what a text hides `poison`'s; what follows is decided here.
//! `report` tells of it, `accept` writes files for whoever asks, and nothing else does.
//!
//! Invariants:
//! - The comparison is always with what was accepted, never with the last listing: no row of small
//!   changes adds up to a large one that nobody saw.
//! - One tool is quarantined and no other with it.
//! - A connector that has a file has one for all of its tools: what the file does not pin is
//!   quarantined.

mod accept;
mod report;
mod seen;

use std::collections::BTreeSet;
use std::sync::Arc;

use quaymaster_catalog::contract::{Contract, Pin, Reason, Verdict, compare};
use quaymaster_catalog::poison::{Finding, Named, Severity, inspect, mentions, shadows};
use quaymaster_core::setting::Slug;
use quaymaster_core::{Kind, ToolDeclaration, ToolName};
use serde_json::Value;

pub use self::accept::{Accept, AcceptError, Written, accept};
pub use self::report::{Looked, look_at_tools};
pub(crate) use self::report::{looked_at, tell, with_standings};
pub(crate) use self::seen::{LastSeen, Seen, noted};

use crate::config::{FirstSight, Follow, Loaded};

/// With what a definition was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// What a file pins.
    File,
    /// What was seen first.
    FirstSight,
    /// Nothing: it is new.
    Nothing,
}

impl Basis {
    /// The word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::FirstSight => "first_sight",
            Self::Nothing => "nothing",
        }
    }
}

/// How one tool of an MCP server stands to what was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The connector.
    pub connector: Slug,
    /// The name that the server gives to the tool.
    pub tool: String,
    /// The name that agents know.
    pub name: ToolName,
    /// What the server offers now.
    pub offered: Contract,
    /// With what that was compared.
    pub basis: Basis,
    /// What was accepted, or seen first.
    pub pinned: Option<Pin>,
    /// What is different, worst first.
    pub reasons: Vec<Reason>,
    /// What the definition holds that is worth a look and that the accepted one does not hold.
    pub findings: Vec<Finding>,
    /// Why it is quarantined, if it is.
    pub quarantined: Option<Arc<str>>,
}

impl Standing {
    /// What the change means as a whole; none if there is none.
    pub fn verdict(&self) -> Option<Verdict> {
        Reason::worst(&self.reasons)
    }

    /// Whether the definition is the one that was accepted, or seen first.
    pub fn is_as_accepted(&self) -> bool {
        self.pinned.is_some() && self.reasons.is_empty()
    }

    fn is(&self, other: &Self) -> bool {
        self.connector == other.connector && self.tool == other.tool
    }
}

/// What connectors offer, with what is quarantined of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offered {
    pub(crate) declarations: Vec<ToolDeclaration>,
    /// One for each tool of an MCP server, in the order of the declarations.
    pub(crate) standings: Arc<[Standing]>,
}

impl Offered {
    /// `declarations`, judged by the files of `loaded` and by what was `seen` first. A tool of which
    /// nothing is known is taken as `at_first_sight` has it.
    pub(crate) fn judged(
        mut declarations: Vec<ToolDeclaration>,
        loaded: &Loaded,
        seen: &Seen,
        at_first_sight: AtFirstSight,
    ) -> Self {
        let known = Names::of(&declarations);
        let mut standings = Vec::new();
        for declaration in &mut declarations {
            let Some(contract) = contract(declaration) else { continue };
            let standing = judge(declaration, contract, (loaded, seen), &known, at_first_sight);
            if let Some(why) = &standing.quarantined {
                declaration.quarantined = Some(Arc::clone(why));
                if let Some(pin) = &standing.pinned {
                    as_accepted(declaration, &pin.contract);
                }
            }
            standings.push(standing);
        }
        Self { declarations, standings: standings.into() }
    }
}

/// What becomes of a tool of which nothing is known and that nothing hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtFirstSight {
    /// As the configuration has it: where it is only asked what would be.
    AsConfigured,
    /// It should have been noted what it is, and was not.
    Unnoted,
}

/// The contract of a tool that an MCP server offers.
fn contract(declaration: &ToolDeclaration) -> Option<Contract> {
    let definition = declaration.definition.as_ref().filter(|_| declaration.offer.kind() == Kind::Tool)?;
    Some(Contract::new(Arc::clone(definition), declaration.effect))
}

/// Until somebody accepts the new schemas, policies are held against the old ones.
fn as_accepted(declaration: &mut ToolDeclaration, contract: &Contract) {
    if let Some(schema) = contract.definition().get("inputSchema") {
        declaration.input_schema = schema.clone();
    }
    declaration.output_schema = contract.definition().get("outputSchema").filter(|s| s.is_object()).cloned();
}

/// The names of all tools of MCP servers, and what is found when they are compared.
struct Names {
    tools: Vec<(String, String)>,
    alike: Vec<(String, String, Finding)>,
}

impl Names {
    fn of(declarations: &[ToolDeclaration]) -> Self {
        let upstream = declarations.iter().filter(|tool| tool.definition.is_some());
        let tools: Vec<(String, String)> =
            upstream.map(|tool| (tool.connector.to_string(), tool.local_name.clone())).collect();
        let named: Vec<Named<'_>> = tools.iter().map(|(connector, name)| Named { connector, name }).collect();
        let alike = shadows(&named).into_iter();
        let alike = alike.map(|(tool, finding)| (tool.connector.to_owned(), tool.name.to_owned(), finding));
        let alike = alike.collect();
        Self { tools, alike }
    }

    /// All that is found in a definition.
    fn inspect(&self, connector: &str, tool: &str, contract: &Contract) -> Vec<Finding> {
        let definition = Value::Object(contract.definition().clone());
        let named: Vec<Named<'_>> =
            self.tools.iter().map(|(connector, name)| Named { connector, name }).collect();
        let mut found = inspect(&definition);
        found.extend(mentions(&definition, connector, &named));
        let own = self.alike.iter().filter(|(of, name, _)| of == connector && name == tool);
        found.extend(own.map(|(_, _, finding)| finding.clone()));
        found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        found
    }
}

fn judge(
    declaration: &ToolDeclaration,
    offered: Contract,
    (loaded, seen): (&Loaded, &Seen),
    names: &Names,
    at_first_sight: AtFirstSight,
) -> Standing {
    let (connector, tool) = (declaration.connector.as_str(), declaration.local_name.as_str());
    let lock = loaded.locks.get(connector);
    let (basis, pinned) = match lock.and_then(|lock| lock.pins.get(tool)) {
        Some(pin) => (Basis::File, Some(pin.clone())),
        None if lock.is_some() => (Basis::Nothing, None),
        None => match seen.pin(connector, tool, declaration.effect) {
            Some(pin) => (Basis::FirstSight, Some(pin)),
            None => (Basis::Nothing, None),
        },
    };
    // What is the same is kept once.
    let pinned = pinned.map(|pin| {
        let is_same = pin.contract.digest() == offered.digest();
        if is_same { Pin { contract: offered.clone(), ..pin } } else { pin }
    });
    let reasons = pinned.as_ref().map(|pin| compare(&pin.contract, &offered)).unwrap_or_default();
    let is_as_accepted = pinned.is_some() && reasons.is_empty();
    let mut findings = Vec::new();
    if !is_as_accepted {
        findings = names.inspect(connector, tool, &offered);
        if let Some(pin) = &pinned {
            let before = names.inspect(connector, tool, &pin.contract);
            let known: BTreeSet<(&str, &str, &str)> = before.iter().map(place).collect();
            findings.retain(|finding| !known.contains(&place(finding)));
        }
    }
    let mut standing = Standing {
        connector: declaration.connector.clone(),
        tool: tool.to_owned(),
        name: declaration.name.clone(),
        offered,
        basis,
        pinned,
        reasons,
        findings,
        quarantined: None,
    };
    if !is_as_accepted {
        standing.quarantined = objection(&standing, loaded, lock.is_some(), at_first_sight).map(Arc::from);
    }
    standing
}

/// What makes two findings the same one.
fn place(finding: &Finding) -> (&str, &str, &str) {
    (finding.rule, &finding.at, &finding.excerpt)
}

/// Why a tool that is new or changed is quarantined, if it is. Names rules, and nothing that the server wrote.
fn objection(
    standing: &Standing,
    loaded: &Loaded,
    has_file: bool,
    at_first_sight: AtFirstSight,
) -> Option<String> {
    let settings = &loaded.settings.integrity;
    let weighty: BTreeSet<&str> = standing
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::High)
        .map(|finding| finding.rule)
        .collect();
    if !weighty.is_empty() {
        let rules = weighty.into_iter().collect::<Vec<_>>().join(", ");
        return Some(format!("its definition has what honest ones have no use for ({rules})"));
    }
    match standing.verdict() {
        Some(verdict) if is_followed(settings.follow, verdict) => None,
        Some(verdict) => Some(format!(
            "its definition is not the one that was accepted, and the change is {}",
            verdict.as_str()
        )),
        None if has_file => {
            Some("it is new, and the file that pins the connector's tools is without it".into())
        }
        None if settings.first_sight == FirstSight::Quarantine => {
            Some("nobody has accepted its definition yet".into())
        }
        None if at_first_sight == AtFirstSight::Unnoted => {
            Some("it is new, and it could not be noted what it is".into())
        }
        None => None,
    }
}

fn is_followed(follow: Follow, verdict: Verdict) -> bool {
    match follow {
        Follow::Nothing => false,
        Follow::Cosmetic => verdict <= Verdict::Cosmetic,
        Follow::Additive => verdict <= Verdict::Additive,
    }
}

//! How long decisions and lists take, with 500 policies and 500 tools.
//!
//!     cargo run --release -p quaymaster-control --example policy_latency

#![expect(clippy::expect_used, reason = "a measurement that cannot be made ends")]

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quaymaster_catalog::{Catalogue, Tool};
use quaymaster_control::policy::{Circumstances, Known, Policies, PolicyFile};
use quaymaster_core::connector::Access;
use quaymaster_core::setting::Slug;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{
    Actor, ActorId, AgentClaims, Arguments, Authentication, Classification, DataClass, Effect, Offer,
    Timestamp, ToolDeclaration, ToolName,
};
use serde_json::{Map, json};

const TOOLS: usize = 500;
const CONNECTORS: usize = 20;
const ROLES: usize = 20;
const LISTS: usize = 1_000;

fn main() -> io::Result<()> {
    let (catalogue, problems) = Catalogue::build((0..TOOLS).map(declaration));
    assert!(problems.is_empty(), "{problems:?}");
    let names = |count: usize, prefix: &str| (0..count).map(|n| format!("{prefix}{n}")).collect();
    let known = Known {
        roles: names(ROLES, "role"),
        workspaces: [("sales".to_owned())].into(),
        connectors: names(CONNECTORS, "system"),
        tools: names(TOOLS, "tool"),
        ..Known::default()
    };
    let file = PolicyFile { path: "all.cedar".into(), text: policies() };
    let began = Instant::now();
    let (policies, problems) = Policies::build(&[file], &catalogue, &known);
    let load = began.elapsed();
    assert!(problems.is_empty(), "{problems:?}");
    let mut out = io::stdout();
    writeln!(out, "500 policies, 500 tools")?;
    writeln!(out, "load                     {:>9.1} ms", load.as_secs_f64() * 1e3)?;
    writeln!(out, "first of kind p50, p99   {}", firsts(&catalogue, &policies))?;
    writeln!(out, "decision      p50, p99   {}", decisions(&catalogue, &policies))?;
    writeln!(out, "filtered list p50, p99   {}", lists(&catalogue, &policies))
}

/// 10 about everything, 40 about a connector, 450 about one tool; one in five is a forbid, and
/// two in three look at arguments, time or environment.
fn policies() -> String {
    let mut text = String::new();
    for n in 0..500 {
        let resource = match n {
            0..10 => "resource".to_owned(),
            10..50 => format!("resource in Connector::\"system{}\"", n % CONNECTORS),
            _ => format!("resource == Tool::\"tool{n}\""),
        };
        let effect = if n % 5 == 0 { "forbid" } else { "permit" };
        let condition = match n % 6 {
            0 => "when { context.arguments has limit && context.arguments.limit > 1000 }",
            1 => "when { context.arguments.region != \"none\" }",
            2 => "when { context.time.hour >= 25 || context.environment == \"production\" }",
            3 => "when { resource.effect == \"read\" || context.approved }",
            _ => "",
        };
        let (effect, condition) = match (effect, condition) {
            ("forbid", "") => ("forbid", "when { context.labels.contains(\"saw:restricted\") }"),
            ("forbid", _) => {
                ("forbid", "when { context.arguments has limit && context.arguments.limit > 1000 }")
            }
            other => other,
        };
        let role = n % ROLES;
        let _ = writeln!(
            text,
            "@id(\"p{n}\") {effect} (principal in Role::\"role{role}\", action == Action::\"call\", {resource}) {condition};"
        );
    }
    text
}

fn declaration(n: usize) -> ToolDeclaration {
    ToolDeclaration {
        offer: Offer::Tool,
        connector: slug(&format!("system{}", n % CONNECTORS)),
        version: "1.0.0".into(),
        workspaces: [slug("sales")].into(),
        name: ToolName::parse(&format!("tool{n}")).expect("a name"),
        local_name: format!("tool{n}"),
        title: None,
        description: "A tool.".into(),
        effect: Effect::Read,
        input_schema: json!({
            "type": "object",
            "properties": {"region": {"type": "string"}, "limit": {"type": "integer"}, "note": {"type": "string"}},
            "required": ["region"]
        }),
        output_schema: None,
        form: ResultForm::Upstream,
        access: Access { roles: vec![], workspaces: None },
        approval: None,
        briefing: std::sync::Arc::default(),
        idempotency: None,
        fixed: Map::new(),
        defaults: Map::new(),
        classification: Arc::new(Classification {
            default: DataClass::Internal,
            columns: vec![],
            fields: vec![],
        }),
        passed_on: Map::new(),
        tasks: false,
        definition: None,
        quarantined: None,
        trust: quaymaster_core::Trust::Internal,
        destination: quaymaster_core::Destination::Internal,
    }
}

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

/// An actor with three roles, of which there are many.
fn actor(n: usize) -> Actor {
    let roles = [n % ROLES, (n + 7) % ROLES, (n + 13) % ROLES].map(|role| slug(&format!("role{role}")));
    Actor {
        id: ActorId::parse(&format!("actor{n}@example.test")).expect("an id"),
        person: None,
        roles: roles.into(),
        groups: [].into(),
        workspace: slug("sales"),
        clearance: DataClass::Internal,
        authentication: Authentication::LocalUser,
    }
}

/// The first decision about each tool for each of the twenty kinds of actors that there are.
fn firsts(catalogue: &Catalogue, policies: &Policies) -> String {
    let arguments = json!({"region": "EMEA", "limit": 50, "note": "a note"});
    let arguments = Arguments::from_map(arguments.as_object().cloned().unwrap_or_default());
    let claims = AgentClaims::default();
    let circumstances = Circumstances::new(&claims, Timestamp::from_micros(1_795_003_200_000_000));
    let actors: Vec<Actor> = (0..ROLES).map(actor).collect();
    let pairs = actors.iter().flat_map(|actor| catalogue.tools().map(move |tool| (actor, tool)));
    let times = pairs.map(|(caller, tool)| {
        let began = Instant::now();
        let decision = policies.decide(caller, tool, &arguments, &circumstances);
        let took = began.elapsed();
        assert_eq!(decision.errors, 0);
        took
    });
    quantiles(times.collect())
}

fn decisions(catalogue: &Catalogue, policies: &Policies) -> String {
    let tools: Vec<&Arc<Tool>> = catalogue.tools().collect();
    let actors: Vec<Actor> = (0..50).map(actor).collect();
    let arguments = json!({"region": "EMEA", "limit": 50, "note": "a note"});
    let arguments = Arguments::from_map(arguments.as_object().cloned().unwrap_or_default());
    let claims = AgentClaims { client: Some("codex/0.169.0".into()), ..AgentClaims::default() };
    let mut times = Vec::new();
    let mut allowed = 0_usize;
    for n in 0..50_000_usize {
        let (Some(tool), Some(caller)) = (tools.get(n * 7 % TOOLS), actors.get(n % 50)) else { continue };
        let circumstances =
            Circumstances::new(&claims, Timestamp::from_micros(1_795_003_200_000_000 + n as u64));
        let began = Instant::now();
        let decision = policies.decide(caller, tool, &arguments, &circumstances);
        times.push(began.elapsed());
        assert_eq!(decision.errors, 0);
        allowed += usize::from(decision.effect.as_str() == "allow");
    }
    format!("{}   ({allowed} of {} allowed)", quantiles(times), 50_000)
}

fn lists(catalogue: &Catalogue, policies: &Policies) -> String {
    let mut times = Vec::new();
    let mut seen = 0;
    for n in 0..LISTS {
        let actor = actor(1_000 + n);
        let began = Instant::now();
        let view = catalogue.view(|tool| policies.could_permit(&actor, tool));
        times.push(began.elapsed());
        seen += view.tools().count();
    }
    format!("{}   ({} tools on average)", quantiles(times), seen / LISTS)
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at =
        |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default().as_secs_f64() * 1e6;
    format!("{:>9.1} µs {:>9.1} µs", at(50), at(99))
}

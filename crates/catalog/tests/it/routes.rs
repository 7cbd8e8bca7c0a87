//! The names of a connector's tools: beside other connectors, and on a route of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use quaymaster_catalog::{Catalogue, Shelf, View};
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, AgentClaims, Arguments, Authentication, CallId, CallRequest, Completed, DataClass, Kind,
    Offer, Reach, Resources, ToolDeclaration, ToolName, UriPattern, random::CountingRandomness,
};
use quaymaster_core::{Timestamp, clock::FixedClock};
use serde_json::{Value, json};

use crate::large::{self, Definition};

fn of_systems(chosen: &[&str]) -> Vec<ToolDeclaration> {
    let all = large::definitions();
    all.iter().filter(|tool| chosen.contains(&tool.system)).map(Definition::declare).collect()
}

fn built(declarations: Vec<ToolDeclaration>) -> Catalogue {
    let (catalogue, problems) = Catalogue::build(declarations);
    assert_eq!(problems, []);
    catalogue
}

/// What agents are told of each tool, by its name.
fn told(catalogue: &Catalogue, system: &str) -> BTreeMap<String, (String, String)> {
    let own = catalogue.tools().filter(|tool| tool.declaration().connector.as_str() == system);
    own.map(|tool| (tool.name().to_string(), (tool.listing().to_owned(), tool.contract().to_owned())))
        .collect()
}

fn systems() -> Vec<&'static str> {
    let mut systems: Vec<&str> = large::definitions().iter().map(|tool| tool.system).collect();
    systems.dedup();
    systems
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn another_connector_never_changes_the_names_or_contracts_of_one_that_is_there(
        shuffled in Just(systems()).prop_shuffle(), several in 1_usize..6
    ) {
        let (one, others) = shuffled.split_at(1);
        let alone = told(&built(of_systems(one)), one[0]);
        prop_assert!(!alone.is_empty());
        let mut among: Vec<ToolDeclaration> = of_systems(&others[..several]);
        among.extend(of_systems(one));
        prop_assert_eq!(alone, told(&built(among), one[0]));
    }
}

/// A system with a tool, a prompt with values, and resources with a template.
fn desk() -> Vec<ToolDeclaration> {
    let tool = of_systems(&["helpdesk"]).remove(0);
    let as_offer = |name: &str, offer: Offer| ToolDeclaration {
        name: ToolName::parse(name).expect("a name"),
        offer,
        input_schema: json!({"type": "object"}),
        ..tool.clone()
    };
    let pattern = UriPattern::parse("desk://notes/*").expect("a pattern");
    let note = |name: &str| json!({"name": name, "uri": format!("desk://notes/{name}")});
    let resources = Resources {
        pattern: pattern.clone(),
        listed: vec![note("b"), note("a"), note("hidden")],
        templates: vec![json!({"name": "note", "uriTemplate": "desk://notes/*"})],
    };
    let review = ToolName::parse("helpdesk_review").expect("a name");
    vec![
        tool.clone(),
        as_offer("helpdesk_review", Offer::Prompt),
        as_offer("helpdesk_review_completion", Offer::Completion(Completed::Prompt(review))),
        as_offer("helpdesk_notes", Offer::Resources(Arc::new(resources))),
        as_offer("helpdesk_notes_completion", Offer::Completion(Completed::Resource(pattern))),
    ]
}

fn view() -> View {
    let mut declarations = desk();
    declarations.extend(of_systems(&["crm"]));
    built(declarations).view_listing(|_| true, |_, uri| uri != "desk://notes/hidden")
}

fn slug(name: &str) -> Slug {
    Slug::parse(name).expect("a name")
}

fn request(kind: Kind, tool: &str) -> CallRequest {
    let now = Timestamp::from_micros(1_795_255_200_000_000);
    CallRequest {
        id: CallId::new(&FixedClock::new(now), &CountingRandomness::default()),
        received: now,
        actor: Arc::new(Actor {
            id: ActorId::parse("ana").expect("a name"),
            person: None,
            roles: [].into(),
            groups: [].into(),
            workspace: slug("sales"),
            clearance: DataClass::Internal,
            authentication: Authentication::LocalUser,
        }),
        reach: Reach::All,
        session: None,
        agent: AgentClaims::default(),
        trace_id: None,
        sampled: false,
        correlation_id: None,
        idempotency_key: None,
        kind,
        tool: tool.to_owned(),
        arguments: Arguments::default(),
    }
}

/// What a call in `view` of what is called `name` there is a call of.
fn called(view: &View, kind: Kind, name: &str) -> Option<(String, String)> {
    let call = view.resolve(request(kind, name)).ok()?;
    Some((call.request().tool.clone(), call.tool().name().to_string()))
}

#[test]
fn a_route_of_one_connector_shows_it_as_if_it_stood_alone() {
    let part = view().of_connector(&slug("helpdesk"), "helpdesk");
    let told: Vec<Value> = [Shelf::Tools, Shelf::Prompts, Shelf::Resources, Shelf::ResourceTemplates]
        .map(|shelf| {
            let mut objects: Value = serde_json::from_str(&part.list(shelf)).expect("JSON");
            for object in objects.as_array_mut().expect("an array") {
                for long in ["inputSchema", "annotations", "description"] {
                    object.as_object_mut().expect("an object").remove(long);
                }
            }
            objects
        })
        .into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&told).expect("JSON"));
    let whole: Vec<Value> = serde_json::from_str(&view().list(Shelf::Tools)).expect("JSON");
    let full = whole.iter().find(|tool| tool["name"] == "helpdesk_list_tickets").expect("the tool");
    let mut short: Value =
        serde_json::from_str::<Vec<Value>>(&part.list(Shelf::Tools)).expect("JSON")[0].clone();
    short["name"] = "helpdesk_list_tickets".into();
    assert_eq!(*full, short, "nothing but the name differs");
}

#[test]
fn a_call_on_a_route_is_the_call_by_the_full_name() {
    let view = view();
    let part = view.of_connector(&slug("helpdesk"), "helpdesk");
    for (kind, short, full) in [
        (Kind::Tool, "list_tickets", "helpdesk_list_tickets"),
        (Kind::Prompt, "review", "helpdesk_review"),
        (Kind::Resource, "desk://notes/a", "desk://notes/a"),
        (Kind::Completion, "prompt:review", "prompt:helpdesk_review"),
        (Kind::Completion, "resource:desk://notes/*", "resource:desk://notes/*"),
    ] {
        let on_the_route = called(&part, kind, short);
        assert_eq!(on_the_route.as_ref().map(|(asked, _)| asked.as_str()), Some(full));
        assert_eq!(on_the_route, called(&view, kind, full));
        if short != full {
            assert_eq!(called(&part, kind, full), None, "{full} is no name on the route");
            assert_eq!(called(&view, kind, short), None, "{short} is a name on the route alone");
        }
    }
    assert_eq!(called(&part, Kind::Tool, "crm_list_accounts"), None);
}

#[test]
fn a_connector_that_is_hidden_is_shown_like_one_that_does_not_exist() {
    let seen = built(of_systems(&["crm", "helpdesk"])).view(|tool| tool.name().as_str().starts_with("crm_"));
    for name in ["helpdesk", "nowhere"] {
        let part = seen.of_connector(&slug(name), name);
        assert_eq!((&*part.listing(), part.offers().count()), ("[]", 0), "{name}");
    }
}

#[test]
fn a_connector_without_a_prefix_has_its_names_on_every_route() {
    let view = view();
    let part = view.of_connector(&slug("helpdesk"), "");
    assert!(called(&part, Kind::Tool, "helpdesk_list_tickets").is_some());
}

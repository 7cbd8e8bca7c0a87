//! Finding tools among a thousand.

use proptest::prelude::*;
use quaymaster_catalog::search::{CALL_TOOL, FIND_TOOLS, Found, MAX_FOUND, Query};
use quaymaster_catalog::{Catalogue, View};
use quaymaster_core::{Effect, ToolDeclaration, ToolName};
use serde_json::Value;

use crate::large;

fn catalogue() -> Catalogue {
    let (catalogue, problems) = Catalogue::build(large::definitions().iter().map(large::Definition::declare));
    assert_eq!(problems, []);
    catalogue
}

fn search(view: &View, text: &str) -> Found {
    view.search(Query { text, connector: None, limit: 5 })
}

fn names(found: &Found) -> Vec<&str> {
    found.hits.iter().map(|hit| hit.tool.name().as_str()).collect()
}

/// What somebody might say, and the tool that they mean. Written before the ranking was tried.
const WANTED: [(&str, &str); 40] = [
    ("create a new issue in the tracker", "tracker_create_issue"),
    ("report a bug", "tracker_create_issue"),
    ("give money back to a customer", "billing_create_refund"),
    ("list unpaid invoices", "billing_list_invoices"),
    ("who is on call", "monitoring_list_on_call_shifts"),
    ("ask for vacation", "hr_create_vacation_request"),
    ("open pull requests", "repo_list_pull_requests"),
    ("delete a DNS record", "cloud_delete_dns_record"),
    ("see why the build failed", "ci_get_build"),
    ("download payslip", "hr_get_payslip"),
    ("stock level of an item", "warehouse_get_stock_item"),
    ("track a parcel", "warehouse_get_shipment"),
    ("post a message in a channel", "chat_create_message"),
    ("silence an alert", "monitoring_create_silence"),
    ("revoke an API token", "identity_delete_api_token"),
    ("renew a TLS certificate", "security_update_certificate"),
    ("send a contract for signature", "legal_create_signature_request"),
    ("share a file with a link", "storage_create_share_link"),
    ("reserve a desk in the office", "facilities_create_desk_booking"),
    ("register a visitor", "facilities_create_visitor"),
    ("change the price list", "shop_update_price_list"),
    ("discount code", "billing_create_coupon"),
    ("new employee", "hr_create_employee"),
    ("customer complaint", "helpdesk_create_ticket"),
    ("GDPR data deletion request", "legal_create_data_request"),
    ("A/B test", "analytics_create_experiment"),
    ("out of office reply", "mail_create_auto_reply"),
    ("deployments to production", "ci_list_deployments"),
    ("create virtual machine", "cloud_create_virtual_machine"),
    ("expense reports of last month", "finance_list_expense_reports"),
    ("crm_get_account", "crm_get_account"),
    ("getPullRequest", "repo_get_pull_request"),
    ("tickets", "helpdesk_list_tickets"),
    ("write a wiki page", "wiki_create_page"),
    ("vulnerabilities found by the scanner", "security_list_vulnerabilities"),
    ("charge an electric car", "fleet_create_charging_session"),
    ("sign up for a training course", "learning_create_enrolment"),
    ("warehouse inventory count", "warehouse_create_stock_count"),
    ("purchase order for a supplier", "finance_create_purchase_order"),
    ("invite people to a meeting", "calendar_create_attendee"),
];

/// The same, written after the ranking was settled, and never used to change it.
const UNSEEN: [(&str, &str); 20] = [
    ("cancel a subscription", "billing_delete_subscription"),
    ("which invoices are overdue", "billing_list_invoices"),
    ("look up a customer by name", "crm_list_accounts"),
    ("log time spent on a task", "tracker_create_worklog"),
    ("edit an employee's position", "hr_update_employee"),
    ("remove a firewall rule", "cloud_delete_firewall_rule"),
    ("show dashboards", "monitoring_list_dashboards"),
    ("who may edit this wiki page", "wiki_list_page_permissions"),
    ("restore a deleted file", "storage_get_trash_item"),
    ("remind me tomorrow", "chat_create_reminder"),
    ("block a spam sender", "mail_create_blocked_sender"),
    ("find a free meeting room", "calendar_list_rooms"),
    ("applicants for a job", "hr_list_candidates"),
    ("how much budget is left", "finance_get_budget"),
    ("products in the store", "shop_list_products"),
    ("disable two factor device", "identity_delete_mfa_device"),
    ("report a phishing mail", "security_create_phishing_report"),
    ("set up a load balancer", "cloud_create_load_balancer"),
    ("what did users buy", "shop_list_orders"),
    ("car accident", "fleet_create_accident_report"),
];

/// How many of `wanted` are found among five, with a report of each.
fn quality(view: &View, wanted: &[(&str, &str)]) -> (usize, String) {
    let mut report = Vec::new();
    let (mut first, mut among_five, mut alike) = (0, 0, 0);
    for (text, wanted) in wanted {
        let found = search(view, text);
        let rank = names(&found).iter().position(|name| name == wanted);
        first += usize::from(rank == Some(0));
        among_five += usize::from(rank.is_some());
        alike += usize::from(names(&found).iter().any(|name| thing(name) == thing(wanted)));
        let place = rank.map_or_else(|| "-".to_owned(), |rank| (rank + 1).to_string());
        let best = names(&found).first().copied().unwrap_or("nothing").to_owned();
        report.push(format!("{place}  {text}: {wanted}; first is {best}"));
    }
    report.push(format!(
        "of {}: {first} first, {among_five} among five, {alike} with a tool for the same thing among five",
        wanted.len()
    ));
    (among_five, report.join("\n"))
}

#[test]
fn most_of_what_somebody_says_finds_the_tool_that_they_mean() {
    let view = catalogue().view(|_| true);
    let (found, report) = quality(&view, &WANTED);
    insta::assert_snapshot!("what_somebody_says", report);
    assert!(found * 10 >= WANTED.len() * 9, "{found} of {}", WANTED.len());
    let (found, report) = quality(&view, &UNSEEN);
    insta::assert_snapshot!("what_somebody_says_that_was_not_tried_before", report);
    assert!(found * 10 >= UNSEEN.len() * 7, "{found} of {}", UNSEEN.len());
}

/// A name without what is done: `crm_get_account` and `crm_list_accounts` are for the same thing.
fn thing(name: &str) -> String {
    let (system, rest) = name.split_once('_').expect(name);
    let (_, thing) = rest.split_once('_').expect(name);
    format!("{system} {}", thing.trim_end_matches('s').trim_end_matches("ie").trim_end_matches('y'))
}

#[test]
fn a_tool_that_is_called_by_its_name_comes_first() {
    let view = catalogue().view(|_| true);
    for definition in large::definitions().iter().step_by(37) {
        let name = definition.full_name();
        assert_eq!(names(&search(&view, &name)).first(), Some(&name.as_str()));
        let asked = format!("please use `{name}` and list all tickets");
        assert_eq!(names(&search(&view, &asked)).first(), Some(&name.as_str()));
    }
}

#[test]
fn what_a_caller_may_not_see_has_no_influence_on_what_it_finds() {
    let catalogue = catalogue();
    let may_see = |name: &str| name.starts_with("crm_") || name.starts_with("billing_list");
    let among_all = catalogue.view(|tool| may_see(tool.name().as_str()));
    let own = large::definitions().into_iter().filter(|definition| may_see(&definition.full_name()));
    let (alone, _) = Catalogue::build(own.map(|definition| definition.declare()));
    let alone = alone.view(|_| true);
    let told = |view: &View, text: &str| {
        let found = search(view, text);
        let hits: Vec<String> =
            found.hits.iter().map(|hit| format!("{} {:?}", hit.tool.name(), hit.score)).collect();
        (hits, found.total)
    };
    for (text, _) in WANTED {
        assert_eq!(told(&among_all, text), told(&alone, text), "{text}");
    }
    assert_eq!(told(&among_all, "kubernetes"), (vec![], 0));
}

#[test]
fn a_search_can_be_kept_to_one_connector() {
    let view = catalogue().view(|_| true);
    let of = |connector| view.search(Query { text: "certificate", connector: Some(connector), limit: 20 });
    let found = of("learning");
    assert_eq!(names(&found).len(), 5);
    assert!(names(&found).iter().all(|name| name.starts_with("learning_")));
    assert_eq!(of("no-such-connector").total, 0);
}

#[test]
fn tools_that_fit_equally_come_in_the_order_of_their_names() {
    let declare = |name: &str| ToolDeclaration {
        name: ToolName::parse(name).expect("a name"),
        ..large::definitions().remove(0).declare()
    };
    let (catalogue, _) = Catalogue::build(["c_x", "a_x", "b_x"].map(declare));
    let found = search(&catalogue.view(|_| true), "companies that buy");
    assert_eq!(names(&found), ["a_x", "b_x", "c_x"]);
}

#[test]
fn the_short_list_is_the_way_to_the_others_and_what_is_pinned() {
    let view = catalogue().view(|tool| tool.effect() != Effect::Destructive);
    let listing = view.short_listing(|tool| tool.name().as_str() == "wiki_get_page");
    let tools: Vec<Value> = serde_json::from_str(&listing).expect("JSON");
    let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names, [CALL_TOOL, FIND_TOOLS, "wiki_get_page"]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&tools[..2]).expect("JSON"));
}

#[test]
fn the_hints_of_call_tool_are_those_of_the_strictest_tool_that_its_caller_may_see() {
    let catalogue = catalogue();
    let hints = |may_see: fn(Effect) -> bool| {
        let listing = catalogue.view(|tool| may_see(tool.effect())).short_listing(|_| false);
        let tools: Vec<Value> = serde_json::from_str(&listing).expect("JSON");
        let hints = &tools[0]["annotations"];
        (hints["readOnlyHint"] == true, hints["destructiveHint"] == true)
    };
    assert_eq!(hints(|effect| effect == Effect::Read), (true, false));
    assert_eq!(hints(|effect| effect <= Effect::Write), (false, false));
    assert_eq!(hints(|_| true), (false, true));
}

#[test]
fn no_tool_can_have_a_name_that_is_reserved() {
    let declare = |name: &str| ToolDeclaration {
        name: ToolName::parse(name).expect("a name"),
        ..large::definitions().remove(0).declare()
    };
    let (catalogue, problems) = Catalogue::build([FIND_TOOLS, CALL_TOOL, "find_tool"].map(declare));
    assert_eq!(catalogue.tools().count(), 1);
    let messages: Vec<String> = problems.into_iter().map(|p| format!("{}: {}", p.tool, p.message)).collect();
    assert_eq!(
        messages,
        [
            "find_tools: the name is one of Quaymaster's own: give the tool another",
            "call_tool: the name is one of Quaymaster's own: give the tool another"
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_query_has_a_bounded_answer_in_order(text in ".{0,600}", limit in 0..100_usize) {
        thread_local! {
            static VIEW: View = catalogue().view(|tool| tool.name().as_str().starts_with("crm_"));
        }
        VIEW.with(|view| {
            let found = view.search(Query { text: &text, connector: None, limit });
            prop_assert!(found.hits.len() <= limit.min(MAX_FOUND) && found.hits.len() <= found.total);
            prop_assert!(found.hits.iter().all(|hit| hit.score.is_finite()));
            let again = view.search(Query { text: &text, connector: None, limit });
            prop_assert_eq!(names(&found), names(&again));
            Ok(())
        })?;
    }
}

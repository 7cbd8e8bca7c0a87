//! Lists that a server says it has, and has not.

use super::scripted::{Reply, Scripted, Seen, definitions, text};
use super::*;

/// The lists of a server, and what is declared of each.
const LISTS: [(&str, &str); 4] = [
    ("tools/list", "up_go"),
    ("prompts/list", "up_plan"),
    ("resources/list", "up_notes"),
    ("resources/templates/list", "up_notes"),
];

/// A server of either era that says it has everything; `other` answers what is in its way.
async fn full(is_modern: bool, other: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static) -> Scripted {
    Scripted::serve(move |seen| {
        if let Some(reply) = other(seen) {
            return reply;
        }
        let capabilities = json!({"tools": {}, "prompts": {}, "resources": {}, "completions": {}});
        match seen.method() {
            "server/discover" if is_modern => {
                seen.result(json!({"supportedVersions": ["2026-07-28"], "capabilities": capabilities}))
            }
            "initialize" if !is_modern => {
                seen.result(json!({"protocolVersion": "2025-11-25", "capabilities": capabilities}))
            }
            "tools/list" => seen.result(json!({"tools": definitions(&["go"])})),
            "prompts/list" => seen.result(json!({"prompts": [{"name": "plan"}]})),
            "resources/list" => seen.result(json!({"resources": [{"uri": "note://a", "name": "a"}]})),
            "resources/templates/list" => {
                seen.result(json!({"resourceTemplates": [{"uriTemplate": "note://{id}", "name": "n"}]}))
            }
            "tools/call" | "prompts/get" | "resources/read" => seen.result(text("done")),
            "server/discover" => Reply::status(400, ""),
            _ if seen.verb == "POST" => Reply::status(202, ""),
            _ => Reply::status(405, ""),
        }
    })
    .await
}

fn everything_of(server: &Scripted) -> Value {
    let access = json!({"roles": ["analyst"]});
    let mut spec = server.spec(&["go"]);
    spec["prompts"] = json!([{"name": "plan", "access": access}]);
    spec["resources"] = json!([{"name": "notes", "uri": "note://{id}", "access": access}]);
    spec
}

#[tokio::test]
async fn a_list_that_its_server_does_not_know_is_empty_and_the_rest_is_served() {
    for is_modern in [false, true] {
        for (list, _) in LISTS {
            let unknown = move |seen: &Seen| (seen.method() == list).then(|| seen.error(-32601, "unknown"));
            let server = full(is_modern, unknown).await;
            let connector = started(everything_of(&server)).await;
            assert!(connector.state().health.is_up(), "{list}: {:?}", connector.state());
            let declared = declared(&connector);
            // A group of resources is there by its pattern, with or without a list.
            for (other, name) in LISTS {
                let expected = other != list || name == "up_notes";
                assert_eq!(declared.iter().any(|has| has == name), expected, "{list} {name}");
            }
            for (kind, name) in [(Kind::Tool, "go"), (Kind::Prompt, "plan")] {
                assert_eq!(Call { kind, ..read(name) }.text(&connector).await, "done");
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_fails_otherwise_is_not_taken_for_empty() {
    for (list, _) in LISTS.into_iter().filter(|(list, _)| *list != "resources/templates/list") {
        let failing = move |seen: &Seen| (seen.method() == list).then(|| seen.error(-32603, "busy"));
        let server = full(true, failing).await;
        let connector = started(everything_of(&server)).await;
        assert_eq!(connector.state().health, Health::Unreachable, "{list}");
    }
}

//! Tools that are kept to some of their connector's workspaces.

use std::sync::Arc;

use quaymaster_connectors::Wire;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, AgentClaims, Arguments, CallId, CallRequest, Clock, ErrorCode, Reach, Reply, SystemClock,
};
use quaymaster_gateway::Gateway;

use crate::installation::{folder, start};

fn local_user_in(gateway: &Gateway, workspace: &str) -> Arc<Actor> {
    let user = gateway.local_user().expect("a local user");
    Arc::new(Actor { workspace: Slug::parse(workspace).expect("a workspace"), ..Actor::clone(&user) })
}

async fn call(gateway: &Gateway, workspace: &str, tool: &str) -> Reply {
    let request = CallRequest {
        kind: quaymaster_core::Kind::Tool,
        id: CallId::new(&SystemClock, &SystemRandomness),
        received: SystemClock.now(),
        actor: local_user_in(gateway, workspace),
        reach: Reach::All,
        session: None,
        agent: AgentClaims::default(),
        trace_id: None,
        sampled: false,
        correlation_id: None,
        idempotency_key: None,
        tool: tool.to_owned(),
        arguments: Arguments::parse(None).expect("no arguments"),
    };
    gateway.call(request, Wire::default()).await
}

#[tokio::test]
async fn a_tool_does_not_exist_in_a_workspace_that_its_list_leaves_out() {
    let folder = folder();
    let gateway = start(folder.path()).await.expect("started");
    let seen = |workspace: &str| -> Vec<String> {
        let listing = gateway.plane().view(&local_user_in(&gateway, workspace)).listing();
        let tools: Vec<serde_json::Value> = serde_json::from_str(&listing).expect("JSON");
        tools.iter().filter_map(|tool| tool["name"].as_str().map(ToOwned::to_owned)).collect()
    };
    assert_eq!(seen("sales"), ["numbers_far", "numbers_near"]);
    assert_eq!(seen("lab"), ["numbers_far"]);

    for (workspace, tool, code) in [
        ("sales", "numbers_near", None),
        ("sales", "numbers_far", None),
        ("lab", "numbers_far", None),
        ("lab", "numbers_near", Some(ErrorCode::ToolNotFound)),
    ] {
        assert_eq!(call(&gateway, workspace, tool).await.code, code, "{tool} in {workspace}");
    }
    gateway.shutdown().await;
}

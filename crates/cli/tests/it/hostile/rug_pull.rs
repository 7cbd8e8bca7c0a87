//! A server whose tool is another one after it was called, under a running gateway: the tool is quarantined
//! while its caller's session goes on, and nothing else is.

use std::time::{Duration, Instant};

use serde_json::json;

use super::behaviour::{Behaviour, Era, Over};
use super::caller::{Caller, PATIENCE};
use super::installation::{Gateway, Upstream};
use super::servers::settled;
use crate::gateway::run_in;

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}

fn is_listed(caller: &Caller, upstream: Upstream) -> bool {
    caller.list().0.contains(&upstream.tool())
}

#[test]
fn a_tool_that_is_another_one_after_a_call_is_quarantined_under_its_caller() {
    let gateway = Gateway::start();
    let (caller, others) = (gateway.caller("ana"), gateway.caller("bo"));
    Gateway::settle(&others);
    let pulls = |era, over| Upstream { behaviour: Behaviour::PullsTheRug, era, over };
    let rugs = [
        pulls(Era::Legacy, Over::Stdio),
        pulls(Era::Modern, Over::Stdio),
        pulls(Era::Legacy, Over::Http),
        pulls(Era::Modern, Over::Http),
    ];
    gateway.connect(&rugs, "30s");
    assert_eq!(settled(&caller, &rugs), [""; 0]);
    Gateway::others_are_served_during(&others, || {
        for rug in rugs {
            assert_eq!(caller.call(&rug.tool(), &json!({})), "", "{}", rug.tool());
            until(&format!("{} is still listed", rug.tool()), || !is_listed(&caller, rug));
            assert_eq!(caller.call(&rug.tool(), &json!({})), "tool.quarantined", "{}", rug.tool());
        }
    });
    let metrics = gateway.metrics();
    for rug in rugs {
        let line = format!("quaymaster_quarantined_tools{{connector=\"{}\"}} 1", rug.name());
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let log = run_in(gateway.folder(), &["audit", "query", "--json", "--event", "tool.quarantined"]);
    assert_eq!(log.code, 0, "{}", log.complaint);
    assert_eq!(log.output.lines().count(), rugs.len(), "each once: {}", log.output);
    Gateway::is_good(&others);
}

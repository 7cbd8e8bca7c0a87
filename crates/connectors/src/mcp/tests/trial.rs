//! A breaker's trial in which the server asks something.

use std::pin::Pin;

use quaymaster_core::{InputAbilities, NoInput};
use tokio::sync::Notify;

use super::scripted::{End, Reply, Scripted, event, legacy, text};
use super::*;

/// A client that is asked and thinks for ever.
#[derive(Debug, Default)]
struct Thinker(Notify);

impl InputPort for Thinker {
    fn abilities(&self) -> InputAbilities {
        InputAbilities { form: true, url: true, roots: true, ..InputAbilities::default() }
    }

    fn ask<'a>(&'a self, _: RawBuf) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
        self.0.notify_one();
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_trial_that_waits_for_a_person_keeps_nobody_else_out() {
    let server = Scripted::serve(legacy(&["fails", "asks", "go"], |seen| match seen.tool() {
        "fails" => Reply::HangUp,
        "asks" => {
            let question = json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {}});
            Reply::Stream { parts: vec![event(&question)], end: End::Stays }
        }
        _ => seen.result(text("done")),
    }))
    .await;
    let mut spec = server.spec(&["fails", "asks", "go"]);
    spec["limits"] = json!({"timeout": "20s", "breaker": {"failures": 1, "cooldown": "50ms"}});
    let connector = started(spec).await;
    assert_eq!(write("fails").code(&connector).await, "upstream.outcome_unknown");
    eventually("a trial may be made", async || connector.health() == Health::Degraded).await;
    let person = Arc::new(Thinker::default());
    let mut trial = read("asks");
    trial.input = Some(Arc::clone(&person) as Arc<dyn InputPort>);
    let cancel = trial.cancel.clone();
    let others = async {
        person.0.notified().await;
        eventually("it is closed", async || connector.health() == Health::Ready).await;
        assert_eq!(read("go").text(&connector).await, "done");
        cancel.cancel();
    };
    assert_eq!(tokio::join!(trial.code(&connector), others).0, "call.cancelled");
    assert_eq!(connector.health(), Health::Ready, "a call that is taken back says nothing");
}

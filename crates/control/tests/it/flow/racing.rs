//! Whatever runs at the same time: no call that began after something was released goes out with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use quaymaster_core::{AgentClaims, CallRequest, Status};
use tokio::sync::Barrier;

use super::{ask, called, session, world};

/// What one of many agents of one person does.
#[derive(Clone, Copy, Debug)]
enum Step {
    ReadsAPage,
    ReadsPrivateData,
    Sends,
}

/// A step, and with what the client tries to look like somebody else.
fn step() -> impl Strategy<Value = (Step, bool, bool)> {
    let step = prop_oneof![Just(Step::ReadsAPage), Just(Step::ReadsPrivateData), Just(Step::Sends)];
    (step, any::<bool>(), any::<bool>())
}

fn request((step, in_a_session, with_claims): (Step, bool, bool), number: usize) -> CallRequest {
    let tool = match step {
        Step::ReadsAPage => "crm_status",
        Step::ReadsPrivateData => "crm_account",
        Step::Sends => "crm_refund",
    };
    let thread = with_claims.then(|| format!("thread-{number}"));
    CallRequest {
        session: in_a_session.then(session),
        agent: AgentClaims { thread, ..AgentClaims::default() },
        idempotency_key: Some(format!("key-{number}")),
        ..ask(tool)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn labels_only_grow_and_decide_from_then_on(steps in proptest::collection::vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let world = world().await;
            let (mut page, mut private) = (false, false);
            for (number, step) in steps.into_iter().enumerate() {
                let reply = called(&world, request(step, number)).await;
                let may = match step.0 {
                    Step::ReadsPrivateData => true,
                    // A page is asked for outside as well.
                    Step::Sends | Step::ReadsAPage => !(page && private),
                };
                prop_assert_eq!(reply.status == Status::Success, may, "{:?} at {}", step, number);
                if may {
                    page |= matches!(step.0, Step::ReadsAPage);
                    private |= matches!(step.0, Step::ReadsPrivateData);
                }
                let now = world.evidence.clock.now().as_micros();
                let rows = world.store.labels_in("sales", Some(("actor:support@example.test", "-")), now).await;
                let names: Vec<String> = rows.expect("rows").into_iter().map(|row| row.label).collect();
                prop_assert_eq!(names.contains(&"saw:untrusted".to_owned()), page);
                prop_assert_eq!(names.contains(&"saw:confidential".to_owned()), private);
            }
            Ok(())
        })?;
    }
}

/// When a call began and when its result was given, by one clock that all share.
#[derive(Debug)]
struct Span {
    step: Step,
    began: u64,
    ended: u64,
    ran: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_that_began_after_a_release_escapes_it() {
    for round in 0..12 {
        let world = Arc::new(world().await);
        let (clock, barrier) = (Arc::new(AtomicU64::new(1)), Arc::new(Barrier::new(12)));
        let steps =
            [Step::ReadsAPage, Step::ReadsPrivateData, Step::Sends, Step::Sends, Step::Sends, Step::Sends];
        let tasks = (0..12).map(|number| {
            let (world, clock, barrier) = (Arc::clone(&world), Arc::clone(&clock), Arc::clone(&barrier));
            let step = steps[(number + round) % steps.len()];
            tokio::spawn(async move {
                barrier.wait().await;
                let mut spans = Vec::new();
                for turn in 0..4 {
                    let began = clock.fetch_add(1, Ordering::SeqCst);
                    let request = request((step, turn % 2 == 0, turn % 3 == 0), number * 10 + turn);
                    let reply = called(&world, request).await;
                    let ended = clock.fetch_add(1, Ordering::SeqCst);
                    spans.push(Span { step, began, ended, ran: reply.status == Status::Success });
                }
                spans
            })
        });
        let mut spans = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            spans.extend(task.await.expect("no panic"));
        }
        let released = |wanted: fn(Step) -> bool| {
            spans.iter().filter(|span| wanted(span.step) && span.ran).map(|span| span.ended).min()
        };
        let page = released(|step| matches!(step, Step::ReadsAPage));
        let private = released(|step| matches!(step, Step::ReadsPrivateData));
        let (Some(page), Some(private)) = (page, private) else { panic!("both are read once at least") };
        let from = page.max(private);
        for span in spans.iter().filter(|span| span.began > from) {
            let inside = matches!(span.step, Step::ReadsPrivateData);
            assert_eq!(span.ran, inside, "{span:?} began after {from}");
        }
    }
}

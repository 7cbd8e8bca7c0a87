//! TEMPORARY measurement; not to be kept.
use super::*;

async fn cost() {
    let url = std::env::var_os("COST_URL").expect("COST_URL").into_string().expect("text");
    let calls: usize =
        std::env::var_os("COST_CALLS").expect("n").into_string().expect("text").parse().expect("n");
    let wide: usize =
        std::env::var_os("COST_WIDE").and_then(|w| w.into_string().ok()?.parse().ok()).unwrap_or(1);
    let connector = started(spec(json!({"transport": "http", "url": url}), &["echo"])).await;
    let run = |n: usize| {
        let connector = Arc::clone(&connector);
        async move {
            let arguments = Arguments::from_map(object(json!({"text": "hello", "count": 3})));
            let clock = FixedClock::new(Timestamp::from_micros(0));
            let id = CallId::new(&clock, &CountingRandomness::default());
            let cancel = CancellationToken::new();
            for _ in 0..n {
                let ask = Ask {
                    tool: "echo",
                    arguments: &arguments,
                    call: &id,
                    effect: Effect::Read,
                    cancel: &cancel,
                    progress: None,
                };
                let mut account = Account::default();
                connector.call(&ask, &mut account).await.expect("a result");
            }
        }
    };
    let tasks: Vec<_> = (0..wide).map(|_| tokio::spawn(run(calls / wide))).collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

#[tokio::test]
async fn cost_one() {
    cost().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cost_many() {
    cost().await;
}

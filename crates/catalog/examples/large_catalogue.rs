//! The catalogue of a thousand tools that searches are measured on.
//!
//!     cargo run --release -p quaymaster-catalog --example large_catalogue -- tools   # as JSON
//!     cargo run --release -p quaymaster-catalog --example large_catalogue -- time    # how long searches take

#![expect(clippy::expect_used, reason = "a measurement that cannot be made ends")]

#[path = "../tests/it/large.rs"]
mod large;

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use quaymaster_catalog::search::{Found, Query};
use quaymaster_catalog::{Catalogue, View};
use serde_json::{Value, json};

const QUERIES: [&str; 8] = [
    "create an issue",
    "give money back to a customer",
    "who is on call this weekend",
    "revoke the API token of a user",
    "billing_list_invoices",
    "track a parcel on its way to the customer",
    "certificate",
    "list and search everything that was created or changed in the calendar, newest first, with its owner",
];

fn main() -> io::Result<()> {
    let text = match std::env::args().nth(1).as_deref() {
        Some("tools") => tools().to_string(),
        Some("time") => times(),
        _ => "say `tools` or `time`".to_owned(),
    };
    writeln!(io::stdout(), "{text}")
}

fn tools() -> Value {
    let tool = |tool: large::Definition| {
        json!({
            "connector": tool.system,
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "effect": tool.effect,
            "inputSchema": tool.schema,
        })
    };
    large::definitions().into_iter().map(tool).collect()
}

/// The middle of several tries.
fn median(mut tries: Vec<Duration>) -> Duration {
    tries.sort_unstable();
    tries.get(tries.len() / 2).copied().unwrap_or_default()
}

fn search(view: &View, text: &str) -> Found {
    view.search(Query { text, connector: None, limit: 5 })
}

fn times() -> String {
    let (catalogue, problems) = Catalogue::build(large::definitions().iter().map(large::Definition::declare));
    assert!(problems.is_empty(), "{problems:?}");
    let first = (0..21).map(|_| {
        let view = catalogue.view(|_| true);
        let began = Instant::now();
        let found = search(&view, "certificate");
        assert!(found.total > 0);
        began.elapsed()
    });
    let first = median(first.collect());
    let view = catalogue.view(|_| true);
    search(&view, "certificate");
    let later = |text: &str| {
        let tries = (0..501).map(|_| {
            let began = Instant::now();
            assert!(search(&view, text).total > 0);
            began.elapsed()
        });
        format!("{:>8.1} µs  {text}", median(tries.collect()).as_secs_f64() * 1e6)
    };
    let lines: Vec<String> = QUERIES.iter().map(|text| later(text)).collect();
    format!(
        "{} tools\nindex and first search: {:.1} ms\nlater searches:\n{}",
        view.tools().count(),
        first.as_secs_f64() * 1e3,
        lines.join("\n")
    )
}

//! From the samples of all rounds to medians, spreads and ratios, and the table of them.

use serde::Serialize;

use super::plan::{Scenario, Settings, Target};
use crate::load::Outcome;

#[derive(Serialize)]
pub(super) struct Sample {
    pub(super) scenario: String,
    pub(super) target: String,
    pub(super) round: usize,
    pub(super) waited_s: f64,
    pub(super) outcome: Option<Outcome>,
    pub(super) failure: Option<String>,
}

#[derive(Serialize, Default)]
pub(super) struct Summary {
    pub(super) scenario: String,
    pub(super) target: String,
    pub(super) samples: usize,
    pub(super) errors: u64,
    pub(super) per_second: Spread,
    pub(super) p50_us: Spread,
    pub(super) p99_us: Spread,
    pub(super) p999_us: Spread,
    pub(super) cpu_us_per_call: Option<Spread>,
    pub(super) rss_mib: Option<f64>,
    pub(super) cpu_vs_floor: Option<f64>,
    pub(super) rate_vs_floor: Option<f64>,
    pub(super) added_p50_us: Option<f64>,
    pub(super) added_p99_us: Option<f64>,
    pub(super) foreign_cpu_share: Spread,
    pub(super) note: Option<String>,
}

#[derive(Serialize, Default, Clone)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

fn spread(mut v: Vec<f64>) -> Spread {
    if v.is_empty() {
        return Spread::default();
    }
    v.sort_by(f64::total_cmp);
    let m = v.len() / 2;
    let median = if v.len() % 2 == 1 { v[m] } else { (v[m - 1] + v[m]) / 2.0 };
    Spread { median, min: v[0], max: v[v.len() - 1] }
}

pub(super) fn summarize(scenarios: &[Scenario], targets: &[Target], samples: &[Sample], set: &Settings) -> Vec<Summary> {
    let mut all: Vec<Summary> = Vec::new();
    for sc in scenarios {
        let mut rows = Vec::new();
        for t in targets {
            let mine: Vec<&Sample> = samples.iter().filter(|s| s.scenario == sc.name && s.target == t.name).collect();
            if mine.is_empty() {
                continue;
            }
            let o: Vec<&Outcome> = mine.iter().filter_map(|s| s.outcome.as_ref()).collect();
            let f = |g: &dyn Fn(&Outcome) -> f64| spread(o.iter().map(|x| g(x)).collect());
            let cpu: Vec<f64> = o.iter().filter_map(|x| x.proxy_cpu_us_per_call).collect();
            let rss: Vec<f64> = o.iter().filter_map(|x| Some(x.proxy_rss_kib? as f64 / 1024.0)).collect();
            rows.push(Summary {
                scenario: sc.name.clone(),
                target: t.name.clone(),
                samples: o.len(),
                errors: o.iter().map(|x| x.errors).sum(),
                per_second: f(&|x| x.per_second),
                p50_us: f(&|x| x.latency.p50_us),
                p99_us: f(&|x| x.latency.p99_us),
                p999_us: f(&|x| x.latency.p999_us),
                cpu_us_per_call: (!cpu.is_empty()).then(|| spread(cpu)),
                rss_mib: (!rss.is_empty()).then(|| spread(rss).max),
                foreign_cpu_share: f(&|x| x.foreign_cpu_share),
                note: mine
                    .iter()
                    .find_map(|s| s.failure.clone())
                    .or_else(|| o.iter().find_map(|x| x.error_kinds.keys().next().cloned())),
                ..Default::default()
            });
        }
        let floor = rows
            .iter()
            .find(|r| r.target == set.floor)
            .map(|r| (r.cpu_us_per_call.as_ref().map(|c| c.median), r.per_second.median));
        let direct = rows.iter().find(|r| r.target == set.direct).map(|r| (r.p50_us.median, r.p99_us.median));
        for r in &mut rows {
            if let (Some((Some(fc), fr)), Some(c)) = (floor, r.cpu_us_per_call.as_ref()) {
                r.cpu_vs_floor = Some(c.median / fc);
                r.rate_vs_floor = Some(r.per_second.median / fr);
            }
            if let Some((p50, p99)) = direct {
                r.added_p50_us = Some(r.p50_us.median - p50);
                r.added_p99_us = Some(r.p99_us.median - p99);
            }
        }
        all.extend(rows);
    }
    all
}

pub(super) fn table(rows: &[Summary]) {
    println!(
        "| scenario | target | calls/s (min-max) | p50 us | p99 us | p99.9 us | added p50 | CPU us/call (min-max) | CPU / floor | RSS MiB | errors | foreign CPU |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for r in rows {
        let o = |v: Option<f64>, d: usize| v.map_or("-".into(), |v| format!("{v:.d$}"));
        println!(
            "| {} | {} | {:.0} ({:.0}-{:.0}) | {:.0} | {:.0} | {:.0} | {} | {} | {} | {} | {} | {:.0}% |{}",
            r.scenario,
            r.target,
            r.per_second.median,
            r.per_second.min,
            r.per_second.max,
            r.p50_us.median,
            r.p99_us.median,
            r.p999_us.median,
            o(r.added_p50_us, 0),
            r.cpu_us_per_call
                .as_ref()
                .map_or("-".into(), |c| format!("{:.1} ({:.1}-{:.1})", c.median, c.min, c.max)),
            o(r.cpu_vs_floor, 2),
            o(r.rss_mib, 1),
            r.errors,
            r.foreign_cpu_share.median * 100.0,
            r.note.as_ref().map_or(String::new(), |n| format!(" <!-- {n} -->")),
        );
    }
}

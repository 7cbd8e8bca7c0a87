//! What is to be compared: the file with targets and scenarios (see the README).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::load::{Op, PayloadKind};

#[derive(Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) settings: Settings,
    #[serde(default, rename = "process")]
    pub(super) processes: Vec<ProcessSpec>,
    #[serde(rename = "target")]
    pub(super) targets: Vec<Target>,
    #[serde(rename = "scenario")]
    pub(super) scenarios: Vec<Scenario>,
}

#[derive(Deserialize, Clone)]
#[serde(default)]
pub(super) struct Settings {
    pub(super) rounds: usize,
    pub(super) warmup_s: f64,
    pub(super) duration_s: f64,
    /// Ratios are given against this target.
    pub(super) floor: String,
    /// Subtract this target's latency to get the added latency.
    pub(super) direct: String,
    /// Wait until the rest of the machine uses less than this share ...
    pub(super) quiet_share: f64,
    /// ... but no longer than this.
    pub(super) quiet_wait_s: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            rounds: 3,
            warmup_s: 1.0,
            duration_s: 4.0,
            floor: "pooled".into(),
            direct: "direct".into(),
            quiet_share: 0.08,
            quiet_wait_s: 20.0,
        }
    }
}

/// A process that is not itself measured (such as an upstream), started before the targets.
#[derive(Deserialize, Clone)]
pub(super) struct ProcessSpec {
    pub(super) name: String,
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// host:port to wait for.
    pub(super) ready: Option<String>,
}

#[derive(Deserialize, Clone)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) url: String,
    /// `{self}` stands for this program.
    #[serde(default)]
    pub(super) command: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    pub(super) cwd: Option<PathBuf>,
    /// A process that already runs, when there is no command.
    pub(super) pid: Option<u32>,
    #[serde(default)]
    pub(super) headers: Vec<String>,
    /// The upstream process behind this target, by name, for its CPU time.
    pub(super) upstream: Option<String>,
    /// Scenarios this target takes part in; empty means all.
    #[serde(default)]
    pub(super) scenarios: Vec<String>,
    #[serde(default = "ready_s")]
    pub(super) ready_s: f64,
    /// Added to tool names (otherwise the name is looked up in tools/list by suffix).
    pub(super) tool_prefix: Option<String>,
}

fn ready_s() -> f64 {
    60.0
}

#[derive(Deserialize, Clone)]
pub(super) struct Scenario {
    pub(super) name: String,
    #[serde(default = "revision")]
    pub(super) revision: String,
    #[serde(default = "op")]
    pub(super) op: Op,
    #[serde(default = "payload")]
    pub(super) payload: usize,
    #[serde(default = "kind")]
    pub(super) kind: PayloadKind,
    #[serde(default = "concurrency")]
    pub(super) concurrency: usize,
    pub(super) rate: Option<f64>,
    pub(super) expect_tools: Option<usize>,
    /// Targets of this scenario; empty means all.
    #[serde(default)]
    pub(super) targets: Vec<String>,
}

pub(super) fn revision() -> String {
    "2025-11-25".into()
}
fn op() -> Op {
    Op::Echo
}
fn payload() -> usize {
    1024
}
fn kind() -> PayloadKind {
    PayloadKind::Json
}
fn concurrency() -> usize {
    8
}

impl Target {
    /// Whether it takes part in `scenario`.
    pub(super) fn takes(&self, scenario: &Scenario) -> bool {
        (self.scenarios.is_empty() || self.scenarios.contains(&scenario.name))
            && (scenario.targets.is_empty() || scenario.targets.contains(&self.name))
    }
}

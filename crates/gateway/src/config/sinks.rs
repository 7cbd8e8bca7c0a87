//! Where the audit log is passed on to: the list `audit.sinks`, written and checked.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use quaymaster_core::SecretRef;
use quaymaster_core::setting::Slug;
use quaymaster_operations::evidence::Form;
use schemars::JsonSchema;
use serde::Deserialize;

use super::checked::{PathProblem, path_below};
use super::diagnostic::Code;

/// Somebody that the audit log is passed on to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SinkConfig {
    /// What it is known by. How far it has the records is noted in the store under this name.
    pub name: Slug,
    /// `file:PATH` for lines that are added to a file, `tcp://127.0.0.1:PORT` for syslog on this machine, or the
    /// address of a collector of OpenTelemetry logs, such as `https://collector.example.test/v1/logs`.
    pub to: String,
    /// The form of lines in a file. Over TCP it is syslog, to a collector OTLP.
    #[serde(default)]
    pub format: Option<SinkFormat>,
    /// Secret that is sent to a collector as a bearer token.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// How many records it may be behind before `onBehind`.
    #[serde(default = "default_max_behind")]
    pub max_behind: NonZeroU64,
    /// What is done when it is further behind.
    #[serde(default)]
    pub on_behind: OnBehind,
}

/// The form of lines in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SinkFormat {
    /// As records are stored: canonical JSON.
    Jsonl,
    /// OCSF 1.9, class API Activity.
    Ocsf,
    /// RFC 5424 with structured data.
    Syslog,
}

/// What is done when a sink is too far behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBehind {
    /// It is said in the log and the metrics; calls go on, and nothing is lost.
    #[default]
    Alarm,
    /// No call begins until it has caught up.
    Refuse,
}

fn default_max_behind() -> NonZeroU64 {
    NonZeroU64::new(100_000).unwrap_or(NonZeroU64::MIN)
}

/// Somebody that the audit log is passed on to, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// What it is known by.
    pub name: Slug,
    /// Where it is.
    pub target: Target,
    /// How many records it may be behind.
    pub max_behind: u64,
    /// Whether no call begins while it is further behind.
    pub refuses: bool,
}

/// Where a sink is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file that lines are added to.
    File(PathBuf, Form),
    /// A syslog receiver on this machine.
    Tcp(SocketAddr),
    /// A collector of OpenTelemetry logs.
    Otlp(String, Option<SecretRef>),
}

/// Checks the sinks of a configuration; paths are relative to `folder`.
pub(super) fn sinks(configs: &[SinkConfig], folder: &Path, problems: &mut Vec<PathProblem>) -> Vec<Sink> {
    let mut names = BTreeSet::new();
    let mut sinks = Vec::new();
    for (index, config) in configs.iter().enumerate() {
        let path = format!("audit.sinks[{index}]");
        if !names.insert(&config.name) {
            let message = format!("the sink `{}` is there already", config.name);
            problems.push(PathProblem::error(Code::Value, format!("{path}.name"), message));
        }
        let target = target(config, folder, &path, problems);
        sinks.extend(target.map(|target| Sink {
            name: config.name.clone(),
            target,
            max_behind: config.max_behind.get(),
            refuses: config.on_behind == OnBehind::Refuse,
        }));
    }
    sinks
}

fn target(config: &SinkConfig, folder: &Path, path: &str, problems: &mut Vec<PathProblem>) -> Option<Target> {
    let mut refuse = |member: &str, message: &str| {
        problems.push(PathProblem::error(Code::Value, format!("{path}.{member}"), message));
        None
    };
    let to = config.to.as_str();
    if let Some(file) = to.strip_prefix("file:") {
        if config.token.is_some() {
            return refuse("token", "a token is for a collector alone");
        }
        let form = match config.format {
            None | Some(SinkFormat::Jsonl) => Form::JsonLines,
            Some(SinkFormat::Ocsf) => Form::Ocsf,
            Some(SinkFormat::Syslog) => Form::Syslog,
        };
        return path_below(folder, &format!("{path}.to"), file, problems)
            .map(|file| Target::File(file, form));
    }
    if config.format.is_some() {
        return refuse("format", "a format is for a file alone: over TCP it is syslog, to a collector OTLP");
    }
    if let Some(address) = to.strip_prefix("tcp://") {
        if config.token.is_some() {
            return refuse("token", "a token is for a collector alone");
        }
        return match address.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Some(Target::Tcp(address)),
            Ok(_) => refuse(
                "to",
                "over TCP nothing is encrypted: use a relay on this machine, as in `tcp://127.0.0.1:601`",
            ),
            Err(_) => refuse("to", "not an address and a port, as in `tcp://127.0.0.1:601`"),
        };
    }
    if to.starts_with("https://") || to.starts_with("http://") {
        return Some(Target::Otlp(to.to_owned(), config.token.clone()));
    }
    refuse("to", "expected `file:PATH`, `tcp://ADDRESS:PORT` or the https address of a collector")
}

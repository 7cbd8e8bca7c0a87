//! How calls are recorded: the section `audit` of `quaymaster.yaml`, written and checked.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quaymaster_core::setting::DurationSetting;
use schemars::JsonSchema;
use serde::Deserialize;

use super::checked::{PathProblem, path_below};
use super::diagnostic::Code;
use super::sinks::{Sink, SinkConfig, sinks};

/// Longest window in which records may wait for each other.
const MAX_BATCH_WINDOW: Duration = Duration::from_secs(1);
/// Longest time that a record may wait for a checkpoint.
const MAX_CHECKPOINT: Duration = Duration::from_hours(24);
/// Shortest time that records are kept, where they are not kept for ever.
const MIN_RETENTION: Duration = Duration::from_hours(24);

/// How calls are recorded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AuditConfig {
    /// How long the record of a read may wait to be written together with others; at most `1s`.
    #[serde(default = "default_batch_window")]
    #[schemars(extend("default" = "5ms"))]
    pub batch_window: DurationSetting,
    /// Whether the record of a read must be on disk before the read begins, as it always is
    /// for a write.
    #[serde(default)]
    pub strict: bool,
    /// What becomes of reads that release nothing confidential while the log cannot be written: refused
    /// like everything else, or allowed as long as their records have room in memory. Those are lost if
    /// the process ends before the log can be written again.
    #[serde(default)]
    pub reads: ReadsConfig,
    /// How often the log is signed, and where the newest signature is kept.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// How long records are kept, such as `400d`; at least `1d`. For ever if absent.
    #[serde(default)]
    pub retention: Option<DurationSetting>,
    /// Where the log is passed on to. What changes here takes effect at the next start.
    #[serde(default)]
    pub sinks: Vec<SinkConfig>,
}

/// What becomes of reads while the log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReadsConfig {
    /// They are refused.
    #[default]
    Refuse,
    /// They go on.
    Allow,
}

/// How often the log is signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CheckpointConfig {
    /// After how many records there is a checkpoint.
    #[serde(default = "default_records")]
    pub records: NonZeroU64,
    /// After how many seconds there is one, where there are new records at all; at most 86400.
    #[serde(default = "default_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub seconds: NonZeroU32,
    /// The file that the newest checkpoint is kept in, outside the store: `audit.checkpoint` in the data
    /// folder if absent; relative to the configuration folder. On another disk it tells more.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub file: Option<String>,
}

fn default_batch_window() -> DurationSetting {
    DurationSetting::new(Duration::from_millis(5))
}

fn default_records() -> NonZeroU64 {
    NonZeroU64::new(1_000).unwrap_or(NonZeroU64::MIN)
}

fn default_seconds() -> NonZeroU32 {
    NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN)
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            batch_window: default_batch_window(),
            strict: false,
            reads: ReadsConfig::default(),
            checkpoint: CheckpointConfig::default(),
            retention: None,
            sinks: vec![],
        }
    }
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { records: default_records(), seconds: default_seconds(), file: None }
    }
}

/// How calls are recorded, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// How long the record of a read may wait to be written together with others.
    pub batch_window: Duration,
    /// Whether reads are recorded like writes.
    pub strict: bool,
    /// Whether harmless reads go on while the log cannot be written.
    pub reads_when_stuck: bool,
    /// After how many records, and after how long, there is a checkpoint.
    pub checkpoint: (u64, Duration),
    /// The file of the newest checkpoint, where it is not the usual one.
    pub checkpoint_file: Option<PathBuf>,
    /// How long records are kept.
    pub retention: Option<Duration>,
    /// Where the log is passed on to.
    pub sinks: Vec<Sink>,
}

/// Checks `config`; paths in it are relative to `folder`.
pub(super) fn audit(config: &AuditConfig, folder: &Path, problems: &mut Vec<PathProblem>) -> AuditSettings {
    let batch_window = config.batch_window.get();
    if batch_window > MAX_BATCH_WINDOW {
        let message = "a record may wait for at most `1s`";
        problems.push(PathProblem::error(Code::Value, "audit.batchWindow", message));
    }
    let CheckpointConfig { records, seconds, file } = &config.checkpoint;
    let every = Duration::from_secs(seconds.get().into());
    if every > MAX_CHECKPOINT {
        let message = "a record may wait for a checkpoint for at most 86400 seconds";
        problems.push(PathProblem::error(Code::Value, "audit.checkpoint.seconds", message));
    }
    let retention = config.retention.map(DurationSetting::get);
    if retention.is_some_and(|retention| retention < MIN_RETENTION) {
        let message = "records are kept for at least `1d`";
        problems.push(PathProblem::error(Code::Value, "audit.retention", message));
    }
    let file = file.as_deref().and_then(|file| path_below(folder, "audit.checkpoint.file", file, problems));
    AuditSettings {
        batch_window,
        strict: config.strict,
        reads_when_stuck: config.reads == ReadsConfig::Allow,
        checkpoint: (records.get(), every),
        checkpoint_file: file,
        retention,
        sinks: sinks(&config.sinks, folder, problems),
    }
}

//! Metrics, as a scraper reads them (`OpenMetrics` 1.0, text).
//!
//! What is counted as calls end is in [`CallMetrics`]: a handful of atomic additions. Everything
//! else is read when somebody asks ([`Moment`]), so nothing has to be kept in step and what is
//! gone is not shown any more. Who may ask is not decided here (`quaymaster_gateway`).
//!
//! Invariants:
//! - No label has a principal, a tool, an argument or an address. The only names are connectors'
//!   and sinks', which the configuration bounds.
//! - A metric of this file is renamed or removed with a major version alone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use quaymaster_core::ErrorCode;

/// The media type of what [`render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The code under which calls are counted that have none, because they succeeded.
pub const OK: &str = "ok";

/// Upper ends of the classes of durations, in microseconds: of what takes the gateway itself a
/// fraction of a millisecond, and systems up to minutes.
const BOUNDS_US: [u64; 16] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    30_000_000,
    120_000_000,
];

/// How many durations there were, by how long they are.
#[derive(Debug, Default)]
struct Durations {
    /// One class for each bound, and one for what is longer.
    classes: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Durations {
    fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS_US.partition_point(|bound| *bound < micros);
        if let Some(class) = self.classes.get(class) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// The sum in seconds, and each class with its upper end in seconds.
    fn read(&self) -> (f64, Vec<(f64, u64)>) {
        let bounds = BOUNDS_US.iter().copied().map(seconds).chain([f64::INFINITY]);
        let classes = self.classes.iter().map(|class| class.load(Ordering::Relaxed));
        (seconds(self.sum_us.load(Ordering::Relaxed)), bounds.zip(classes).collect())
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

/// What is counted of calls; shared by all listeners of a process.
#[derive(Debug)]
pub struct CallMetrics {
    succeeded: AtomicU64,
    /// In the order of the table of codes.
    failed: [AtomicU64; ErrorCode::ALL.len()],
    took: Durations,
    added: Durations,
}

impl Default for CallMetrics {
    fn default() -> Self {
        let failed = std::array::from_fn(|_| AtomicU64::new(0));
        Self { succeeded: AtomicU64::new(0), failed, took: Durations::default(), added: Durations::default() }
    }
}

impl CallMetrics {
    /// Counts a call that ended with `code`, or well.
    pub fn ended(&self, code: Option<ErrorCode>, took: Duration) {
        let count = code.map_or(Some(&self.succeeded), |code| self.failed.get(code as usize));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.took.observe(took);
    }

    /// Notes for how long a call that reached its system was here and not there.
    pub fn added(&self, added: Duration) {
        self.added.observe(added);
    }

    fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let codes = [OK].into_iter().chain(ErrorCode::ALL.iter().map(|code| code.as_str()));
        let counts = [&self.succeeded].into_iter().chain(&self.failed);
        codes.zip(counts.map(|count| count.load(Ordering::Relaxed)))
    }
}

/// How one upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamMoment {
    /// The connector's name.
    pub connector: String,
    /// One of [`Moment::states`].
    pub state: &'static str,
    /// How many of its tools are quarantined.
    pub quarantined: usize,
}

/// How a gateway is at the moment at which it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Every state that an upstream can be in.
    pub states: Vec<&'static str>,
    /// The upstreams of the configuration at work.
    pub upstreams: Vec<UpstreamMoment>,
    /// How many calls run.
    pub calls_in_flight: usize,
    /// How many sessions of clients are in memory.
    pub sessions: usize,
    /// How many incident switches stand.
    pub incident_switches: usize,
    /// How many connections of clients are open.
    pub connections: usize,
    /// How many tasks the process has.
    pub tasks: usize,
    /// How the audit log is.
    pub audit: AuditMoment,
    /// How many audit records each sink does not have yet, by the sink's name.
    pub sinks: Vec<(String, u64)>,
    /// How many requests never became a call, by code.
    pub refusals: Vec<(ErrorCode, u64)>,
}

/// How the audit log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditMoment {
    /// Whether it takes no records: the last write failed, or it is not what was signed.
    pub stuck: bool,
    /// How many accepted records are not known to be stored.
    pub pending: u64,
    /// How many stored records no checkpoint covers.
    pub unsigned: u64,
    /// How old the newest checkpoint is, where there is one.
    pub checkpoint_age: Option<Duration>,
    /// Whether a record has waited for a checkpoint for too long.
    pub checkpoint_late: bool,
}

/// The text for a scraper.
///
/// # Errors
///
/// None that is known: writing to a text does not fail.
pub fn render(calls: &Arc<CallMetrics>, moment: Moment) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("quaymaster");
    registry.register_collector(Box::new(Scrape { calls: Arc::clone(calls), moment }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Scrape {
    calls: Arc<CallMetrics>,
    moment: Moment,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let moment = &self.moment;
        upstreams(&mut encoder, moment)?;
        gauge(&mut encoder, ("calls_in_flight", "Calls that run"), moment.calls_in_flight)?;
        let switches = ("incident_switches", "Incident switches that stand");
        gauge(&mut encoder, switches, moment.incident_switches)?;
        gauge(&mut encoder, ("sessions", "Sessions of clients in memory"), moment.sessions)?;
        gauge(&mut encoder, ("connections", "Open connections of clients"), moment.connections)?;
        gauge(&mut encoder, ("tasks", "Tasks of the process, idle ones included"), moment.tasks)?;
        audit(&mut encoder, moment.audit)?;
        sinks(&mut encoder, &moment.sinks)?;
        let ended = ("calls", "Calls that ended, by code; `ok` is none");
        counters(&mut encoder, ended, self.calls.outcomes())?;
        let refused = ("refused_requests", "Requests that never became a call, by code");
        counters(&mut encoder, refused, moment.refusals.iter().map(|(code, count)| (code.as_str(), *count)))?;
        let took = ("call_duration", "Time from the arrival of a call to its answer");
        histogram(&mut encoder, took, &self.calls.took)?;
        let added = ("call_added", "Part of that in which the system behind the tool was not waited for");
        histogram(&mut encoder, added, &self.calls.added)
    }
}

/// Each upstream in each state, 1 in the one that it is in; and how many of its tools are quarantined.
fn upstreams(encoder: &mut DescriptorEncoder<'_>, moment: &Moment) -> fmt::Result {
    let help = "Whether the upstream of a connector is in a state";
    let mut family = encoder.encode_descriptor("upstream_state", help, None, MetricType::Gauge)?;
    for UpstreamMoment { connector, state, .. } in &moment.upstreams {
        for possible in &moment.states {
            let labels = [("connector", connector.as_str()), ("state", *possible)];
            family.encode_family(&labels)?.encode_gauge(&i64::from(possible == state))?;
        }
    }
    let help = "Tools of a connector that nobody may call until somebody accepts their definitions";
    let mut family = encoder.encode_descriptor("quarantined_tools", help, None, MetricType::Gauge)?;
    for UpstreamMoment { connector, quarantined, .. } in &moment.upstreams {
        let count = i64::try_from(*quarantined).unwrap_or(i64::MAX);
        family.encode_family(&[("connector", connector.as_str())])?.encode_gauge(&count)?;
    }
    Ok(())
}

fn audit(encoder: &mut DescriptorEncoder<'_>, audit: AuditMoment) -> fmt::Result {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let gauges = [
        ("audit_stuck", "1 while the audit log takes no records", usize::from(audit.stuck)),
        ("audit_pending_records", "Audit records that are not on disk yet", number(audit.pending)),
        ("audit_unsigned_records", "Audit records that no checkpoint covers yet", number(audit.unsigned)),
        ("audit_checkpoint_late", "1 while a checkpoint is overdue", usize::from(audit.checkpoint_late)),
    ];
    for (name, help, value) in gauges {
        gauge(encoder, (name, help), value)?;
    }
    let Some(age) = audit.checkpoint_age else { return Ok(()) };
    let help = "Age of the newest checkpoint of the audit log";
    let mut age_of =
        encoder.encode_descriptor("audit_checkpoint_age", help, Some(&Unit::Seconds), MetricType::Gauge)?;
    age_of.encode_gauge(&age.as_secs_f64())
}

fn sinks(encoder: &mut DescriptorEncoder<'_>, sinks: &[(String, u64)]) -> fmt::Result {
    let help = "Audit records that a sink does not have yet";
    let mut family = encoder.encode_descriptor("audit_sink_behind_records", help, None, MetricType::Gauge)?;
    for (name, records) in sinks {
        let records = i64::try_from(*records).unwrap_or(i64::MAX);
        family.encode_family(&[("sink", name.as_str())])?.encode_gauge(&records)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, (name, help): (&str, &str), value: usize) -> fmt::Result {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
}

fn counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    counts: impl Iterator<Item = (&'a str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (code, count) in counts {
        family.encode_family(&[("code", code)])?.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
    }
    Ok(())
}

fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    durations: &Durations,
) -> fmt::Result {
    let (sum, classes) = durations.read();
    // Of the classes, so that both say the same while calls end.
    let count = classes.iter().map(|(_, count)| count).sum();
    encoder
        .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?
        .encode_histogram::<NoLabelSet>(sum, count, &classes, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> Moment {
        let upstream =
            |connector: &str, state| UpstreamMoment { connector: connector.into(), state, quarantined: 2 };
        Moment {
            states: vec!["ready", "missing"],
            upstreams: vec![upstream("desk", "ready"), upstream("wiki", "missing")],
            calls_in_flight: 3,
            incident_switches: 1,
            sessions: 2,
            connections: 1,
            tasks: 9,
            audit: AuditMoment {
                stuck: true,
                pending: 12,
                unsigned: 34,
                checkpoint_age: Some(Duration::from_millis(90_500)),
                checkpoint_late: true,
            },
            sinks: vec![("siem".into(), 56)],
            refusals: vec![(ErrorCode::AuthMissing, 7)],
        }
    }

    #[test]
    fn what_a_scraper_reads_is_the_text_that_was_reviewed() {
        let calls = Arc::<CallMetrics>::default();
        calls.ended(None, Duration::from_micros(100));
        calls.ended(None, Duration::from_micros(101));
        calls.ended(Some(ErrorCode::GatewayInternal), Duration::from_hours(1));
        calls.added(Duration::from_micros(80));
        insta::assert_snapshot!(render(&calls, moment()).expect("a text"));
    }

    #[test]
    fn each_code_is_counted_under_its_own_word() {
        let calls = CallMetrics::default();
        for code in ErrorCode::ALL {
            calls.ended(Some(*code), Duration::ZERO);
        }
        calls.ended(None, Duration::ZERO);
        assert!(calls.outcomes().all(|(_, count)| count == 1));
        let words: std::collections::BTreeSet<&str> = calls.outcomes().map(|(word, _)| word).collect();
        assert_eq!(words.len(), ErrorCode::ALL.len() + 1, "`ok` is no code");
    }

    #[test]
    fn a_duration_belongs_to_the_first_class_that_it_fits() {
        let durations = Durations::default();
        for micros in [0, 100, 101, 120_000_000, 120_000_001, u64::MAX / 2] {
            durations.observe(Duration::from_micros(micros));
        }
        let (_, classes) = durations.read();
        let counts: Vec<(f64, u64)> = classes.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [(0.0001, 2), (0.00025, 1), (120.0, 1), (f64::INFINITY, 2)]);
    }
}

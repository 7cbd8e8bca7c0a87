//! `quaymaster audit query` and `timeline`: what happened.

use clap::Args;
use quaymaster_control::audit::search::{MAX_FOUND, Wanted, find, timeline};
use quaymaster_core::{ActorId, Timestamp};
use quaymaster_gateway::Office;
use quaymaster_store::{AuditFilter, StoredRecord};
use serde_json::{Value, json};

use super::super::place::Place;
use super::print;
use crate::failure::Failure;
use crate::out;

#[derive(Debug, Args)]
pub(super) struct Query {
    #[command(flatten)]
    place: Place,
    /// Of one call, by its audit id.
    #[arg(long)]
    call: Option<String>,
    /// By one actor. The log holds a keyed commitment; the key is in the store.
    #[arg(long, value_parser = ActorId::parse)]
    actor: Option<ActorId>,
    /// In one workspace.
    #[arg(long)]
    workspace: Option<String>,
    /// Of one tool.
    #[arg(long)]
    tool: Option<String>,
    /// Of one event, such as `call.refused`.
    #[arg(long)]
    event: Option<String>,
    /// With one status, such as `failed`.
    #[arg(long)]
    status: Option<String>,
    /// With one error code, such as `policy.denied`.
    #[arg(long)]
    code: Option<String>,
    /// Of one session, agent thread or correlation id.
    #[arg(long)]
    session: Option<String>,
    /// That speak of one incident switch.
    #[arg(long)]
    incident: Option<String>,
    /// With this word in any of their values, such as the name of a policy. May be repeated: all must be there.
    #[arg(long, value_name = "WORD")]
    text: Vec<String>,
    /// From this time on, such as `2026-11-21T10:00:00Z`.
    #[arg(long, value_parser = Timestamp::parse)]
    since: Option<Timestamp>,
    /// Until this time.
    #[arg(long, value_parser = Timestamp::parse)]
    until: Option<Timestamp>,
    /// Records before this number: where the page before this one ended.
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// At most this many, the newest.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print the records as they are stored: canonical JSON, one a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(id = "of", required = true, multiple = true, args = ["session", "incident", "actor"])]
pub(super) struct Timeline {
    #[command(flatten)]
    place: Place,
    /// Of one session, agent thread or correlation id.
    #[arg(long)]
    session: Option<String>,
    /// Under one incident switch.
    #[arg(long)]
    incident: Option<String>,
    /// By one actor.
    #[arg(long, value_parser = ActorId::parse)]
    actor: Option<ActorId>,
    /// From this time on, such as `2026-11-21T10:00:00Z`.
    #[arg(long, value_parser = Timestamp::parse)]
    since: Option<Timestamp>,
    /// Until this time.
    #[arg(long, value_parser = Timestamp::parse)]
    until: Option<Timestamp>,
    /// Print one JSON object a line: `{"after_us", "record"}`.
    #[arg(long)]
    json: bool,
}

/// What the log calls `actor`: none if it has nothing by them, or they were erased.
async fn commitment(office: &Office, actor: &ActorId) -> Result<Option<String>, Failure> {
    let subject = office.subjects().find(actor).await.map_err(Failure::outside)?;
    Ok(subject.map(|subject| subject.commitment().to_string()))
}

impl Query {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let actor = match &self.actor {
            Some(actor) => {
                let Some(name) = commitment(&office, actor).await? else { return Ok(()) };
                Some(name)
            }
            None => None,
        };
        let filter = AuditFilter {
            call_id: self.call,
            actor,
            workspace: self.workspace,
            tool: self.tool,
            event: self.event,
            status: self.status,
            code: self.code,
            since_us: self.since.map(Timestamp::as_micros),
            until_us: self.until.map(Timestamp::as_micros),
            before_seq: self.before,
        };
        let wanted = Wanted { filter, session: self.session, incident: self.incident, words: self.text };
        let found = find(office.store(), &wanted, self.limit).await;
        office.close().await;
        let found = found.map_err(Failure::outside)?;
        found.records.iter().rev().try_for_each(|record| print(record, self.json))?;
        match found.next {
            Some(next) if !self.json => out::line(format!("older ones: --before {next}")),
            _ => Ok(()),
        }
    }
}

impl Timeline {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let actor = match &self.actor {
            Some(actor) => {
                let Some(name) = commitment(&office, actor).await? else { return Ok(()) };
                Some(name)
            }
            None => None,
        };
        let filter = AuditFilter {
            actor,
            since_us: self.since.map(Timestamp::as_micros),
            until_us: self.until.map(Timestamp::as_micros),
            ..AuditFilter::default()
        };
        let wanted = Wanted { filter, session: self.session, incident: self.incident, words: vec![] };
        let records = timeline(office.store(), &wanted, MAX_FOUND).await;
        office.close().await;
        let mut first = None;
        for record in records.map_err(Failure::outside)? {
            tell(&record, &mut first, self.json)?;
        }
        Ok(())
    }
}

/// A record with how long after the first it was.
fn tell(record: &StoredRecord, first: &mut Option<Timestamp>, json: bool) -> Result<(), Failure> {
    let said: Value = serde_json::from_slice(&record.body).map_err(Failure::outside)?;
    let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str);
    let time = text("/time").and_then(|time| Timestamp::parse(time).ok());
    let time = time.unwrap_or(Timestamp::from_micros(0));
    let after = time.since(*first.get_or_insert(time));
    if json {
        return out::json(&json!({"after_us": after.as_micros(), "record": said}));
    }
    let what = [
        text("/tool/name").map(str::to_owned),
        text("/status").map(str::to_owned),
        text("/code").map(|code| format!("({code})")),
        text("/incident/id").map(|id| format!("switch {id}")),
        text("/approval/id").map(|id| format!("request {id}")),
        text("/call").map(|call| format!("[{call}]")),
    ];
    let list = |name: &str, sign: &str| {
        let labels = said.get(name).and_then(Value::as_array)?;
        let labels: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
        Some(format!("{sign}{}", labels.join(&format!(" {sign}"))))
    };
    let seen = [list("labels", "@"), list("labelled", "+@")];
    let what = what.into_iter().chain(seen);
    let what: Vec<String> = what.flatten().collect();
    let event = text("/event").unwrap_or("-");
    out::line(format!("+{:>10.3} s  {time}  {event:<18} {}", after.as_secs_f64(), what.join(" ")))
}

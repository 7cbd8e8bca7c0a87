//! What policies see of a call: the values of `context`.

use cedar_policy::{Context, RestrictedExpression};
use quaymaster_core::{Arguments, Timestamp, Zone};

use super::decision::Circumstances;
use super::entities::Data;
use super::schema::{ArgumentType, NOT_COMPARABLE};
use super::source::SourcePolicy;

/// What a call's context is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) circumstances: &'a Circumstances<'a>,
    pub(super) environment: &'a str,
    pub(super) zone: &'a Zone,
    pub(super) data: &'a Data,
    /// As if somebody had agreed.
    pub(super) approved: bool,
}

/// Which parts of the context policies may ask for: making a part takes time.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each part")]
pub(super) struct Wants {
    agent: bool,
    arguments: bool,
    data: bool,
    environment: bool,
    labels: bool,
    time: bool,
}

impl Wants {
    /// What the policy names, whatever it means by it: too much does no harm.
    pub(super) fn of(source: &SourcePolicy) -> Self {
        let names = |part: &str| {
            let quoted = format!("\"{part}\"");
            source.json.as_deref().is_none_or(|text| text.contains(&quoted))
        };
        Self {
            agent: names("agent"),
            arguments: names("arguments"),
            data: names("data"),
            environment: names("environment"),
            labels: names("labels"),
            time: names("time"),
        }
    }

    /// What either asks for.
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            agent: self.agent || other.agent,
            arguments: self.arguments || other.arguments,
            data: self.data || other.data,
            environment: self.environment || other.environment,
            labels: self.labels || other.labels,
            time: self.time || other.time,
        }
    }

    /// Whether the time of a call is asked for.
    pub(super) fn asks_time(self) -> bool {
        self.time
    }

    /// Whether labels are asked for.
    pub(super) fn asks_labels(self) -> bool {
        self.labels
    }
}

impl Asked<'_> {
    /// The context of the call, as far as it is wanted, with its arguments as `types` says.
    pub(super) fn context(&self, types: &ArgumentType, wants: Wants) -> Result<Context, String> {
        let Circumstances { labels, reason, session, .. } = self.circumstances;
        let mut pairs = vec![("approved".to_owned(), RestrictedExpression::new_bool(self.approved))];
        if wants.agent {
            pairs.push(("agent".to_owned(), self.agent()?));
        }
        if wants.arguments {
            pairs.push(("arguments".to_owned(), types.expression(self.arguments.value())?));
        }
        if wants.data {
            pairs.push(("data".to_owned(), self.data.expression()?));
        }
        if wants.environment {
            pairs.push(("environment".to_owned(), text(self.environment)));
        }
        if wants.labels {
            let labels = labels.iter().map(|label| text(label));
            pairs.push(("labels".to_owned(), RestrictedExpression::new_set(labels)));
        }
        if wants.time {
            pairs.push(("time".to_owned(), time_of(self.zone, self.circumstances.at)?));
        }
        pairs.extend(reason.map(|reason| ("reason".to_owned(), text(reason))));
        pairs.extend(session.map(|session| ("session".to_owned(), text(session))));
        Context::from_pairs(pairs).map_err(|_| NOT_COMPARABLE.to_owned())
    }

    fn agent(&self) -> Result<RestrictedExpression, String> {
        let agent = self.circumstances.agent;
        let claims =
            [("client", &agent.client), ("model", &agent.model), ("sandbox_mode", &agent.sandbox_mode)];
        let claims = claims
            .into_iter()
            .filter_map(|(name, claim)| claim.as_ref().map(|claim| (name.to_owned(), text(claim))));
        let review = agent.auto_review.map(RestrictedExpression::new_bool);
        let review = review.map(|review| ("auto_review".to_owned(), review));
        record(claims.chain(review))
    }
}

/// An instant as policies see it: the clock on the wall in `zone`.
pub(super) fn time_of(zone: &Zone, at: Timestamp) -> Result<RestrictedExpression, String> {
    let local = zone.at(at);
    let unix = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let parts = [
        ("hour", i64::from(local.hour)),
        ("minute_of_day", i64::from(local.minute)),
        ("unix", unix),
        ("weekday", i64::from(local.weekday)),
    ];
    record(parts.into_iter().map(|(name, part)| (name.to_owned(), RestrictedExpression::new_long(part))))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn record(
    members: impl Iterator<Item = (String, RestrictedExpression)>,
) -> Result<RestrictedExpression, String> {
    RestrictedExpression::new_record(members).map_err(|_| NOT_COMPARABLE.to_owned())
}

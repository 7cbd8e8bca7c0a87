//! How much may be used, as policies and configuration say it.
//!
//! What counts, and who is refused, is the limits' in `quaymaster-control`; here is what can be
//! written and what it means.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use crate::setting::DurationSetting;

/// How much of something may be used, and what it is counted together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limit {
    /// How much.
    pub allowance: Allowance,
    /// What is counted together.
    pub by: LimitScope,
}

/// How much of something may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Allowance {
    /// At most so many calls in any span of this length.
    Rate {
        /// The calls.
        calls: NonZeroU32,
        /// The length of the span.
        per: Duration,
    },
    /// At most so many calls at once.
    Concurrency {
        /// The calls.
        calls: NonZeroU32,
    },
    /// At most so much in a period.
    Quota {
        /// What is counted.
        measure: Measure,
        /// The most of it.
        most: NonZeroU64,
        /// The period.
        per: Period,
    },
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Calls that ran.
    Calls,
    /// Rows of results.
    Rows,
    /// Tokens of results, as the tool counts them.
    Tokens,
    /// Units of money, as the tool declares them.
    Cost,
}

/// The period of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// One call.
    Call,
    /// A calendar day in the time zone of the workspace.
    Day,
    /// A calendar month in the time zone of the workspace.
    Month,
}

/// What is counted together. Nothing is ever counted across workspaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitScope {
    /// Each actor by itself.
    #[default]
    Actor,
    /// All who have the same roles.
    Role,
    /// All calls of one tool.
    Tool,
    /// All calls of one connector's tools.
    Connector,
    /// All calls in one workspace.
    Workspace,
}

impl Limit {
    /// Reads one limit.
    ///
    /// ```text
    /// 30/1m
    /// concurrent 4 by tool
    /// calls 1000 per day
    /// rows 5000
    /// cost 200 per month by workspace
    /// ```
    ///
    /// # Errors
    ///
    /// Says what cannot be read, and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (words, by) = match words.as_slice() {
            [rest @ .., "by", scope] => (rest, LimitScope::parse(scope)?),
            all => (all, LimitScope::default()),
        };
        let allowance = match words {
            [rate] if rate.contains('/') => rate_of(rate)?,
            ["concurrent", calls] => Allowance::Concurrency { calls: number(calls)? },
            [measure, most] => quota(measure, most, "call")?,
            [measure, most, "per", period] => quota(measure, most, period)?,
            _ => return Err(format!("`{}` is not a limit: {FORMS}", text.trim().escape_debug())),
        };
        Ok(Self { allowance, by })
    }

    /// Reads what a `@limit` annotation says: limits, separated by semicolons.
    ///
    /// # Errors
    ///
    /// Says what cannot be read, and what would be right.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        text.split(';').map(Self::parse).collect()
    }
}

const FORMS: &str = "write one such as `30/1m`, `concurrent 4`, `calls 1000 per day` or `rows 5000`, \
                     perhaps with `by tool` after it";

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{}` is not a number above 0", text.escape_debug()))
}

fn rate_of(text: &str) -> Result<Allowance, String> {
    let (calls, per) = text.split_once('/').ok_or(FORMS)?;
    Ok(Allowance::Rate { calls: number(calls)?, per: DurationSetting::parse(per)?.get() })
}

fn quota(measure: &str, most: &str, per: &str) -> Result<Allowance, String> {
    let measure = Measure::ALL
        .into_iter()
        .find(|m| m.as_str() == measure)
        .ok_or_else(|| format!("`{}` cannot be limited: {FORMS}", measure.escape_debug()))?;
    let per = match (per, measure) {
        ("call", Measure::Calls) => return Err("`calls` needs a period: `per day` or `per month`".into()),
        ("call", _) => Period::Call,
        ("day", _) => Period::Day,
        ("month", _) => Period::Month,
        _ => return Err(format!("`{}` is not a period: write `day` or `month`", per.escape_debug())),
    };
    Ok(Allowance::Quota { measure, most: number(most)?, per })
}

impl Measure {
    const ALL: [Self; 4] = [Self::Calls, Self::Rows, Self::Tokens, Self::Cost];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Rows => "rows",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
        }
    }
}

impl Period {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

impl LimitScope {
    const ALL: [Self; 5] = [Self::Actor, Self::Role, Self::Tool, Self::Connector, Self::Workspace];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Role => "role",
            Self::Tool => "tool",
            Self::Connector => "connector",
            Self::Workspace => "workspace",
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join("`, `");
            format!("`by {}` is unknown: after `by` comes one of `{all}`", text.escape_debug())
        })
    }
}

/// As it is written.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.allowance {
            Allowance::Rate { calls, per } => write!(f, "{calls}/{}", DurationSetting::new(*per))?,
            Allowance::Concurrency { calls } => write!(f, "concurrent {calls}")?,
            Allowance::Quota { measure, most, per: Period::Call } => {
                write!(f, "{} {most}", measure.as_str())?;
            }
            Allowance::Quota { measure, most, per } => {
                write!(f, "{} {most} per {}", measure.as_str(), per.as_str())?;
            }
        }
        match self.by {
            LimitScope::Actor => Ok(()),
            scope => write!(f, " by {}", scope.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_reads_back_what_it_prints() {
        for text in [
            "30/1m",
            "5/250ms by role",
            "concurrent 4",
            "concurrent 1 by tool",
            "calls 1000 per day",
            "rows 5000",
            "rows 100000 per month by workspace",
            "tokens 20 per day by connector",
            "cost 200 per month",
        ] {
            assert_eq!(Limit::parse(text).expect("a limit").to_string(), text);
        }
        let all = Limit::parse_all("30/60s; concurrent 4").expect("limits");
        assert_eq!(all.iter().map(Limit::to_string).collect::<Vec<_>>(), ["30/1m", "concurrent 4"]);
    }

    #[test]
    fn what_is_no_limit_is_told_with_what_would_be_right() {
        let wrong = [
            "",
            "30",
            "0/1m",
            "30/minute",
            "concurrent 0",
            "calls 10",
            "calls 10 per week",
            "files 3 per day",
            "rows many",
            "30/1m by person",
            "30/1m;",
        ];
        let told: Vec<String> =
            wrong.iter().map(|text| Limit::parse_all(text).expect_err("not a limit")).collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}

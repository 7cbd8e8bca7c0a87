//! What went wrong in a database, as its caller is told.
//!
//! A database's own messages hold values, names and pieces of SQL, so none of
//! them is passed on: the caller gets the class of the error and its SQLSTATE
//! (PostgreSQL 18, appendix A) or SQLite result code, and so does the log.

use quaymaster_core::{CallError, ErrorCode, Retry};

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: ErrorCode,
    /// The database's own code for it, such as `SQLSTATE 42703`.
    pub(crate) state: Option<State>,
    /// What the caller is told instead of the words for `code`; of the configuration alone.
    pub(crate) said: Option<String>,
    /// For logs: never holds values or SQL.
    pub(crate) cause: Option<String>,
}

/// A database's own code for an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Five characters, of which the first two are the class.
    SqlState(String),
    /// A primary result code of SQLite.
    Sqlite(i32),
}

/// A rule of the configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorRule {
    /// SQLSTATE codes, or their beginnings followed by `*`.
    pub(crate) sqlstate: Vec<String>,
    pub(crate) code: ErrorCode,
    pub(crate) retry: Retry,
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure that no database reported.
    pub(crate) fn new(code: ErrorCode) -> Self {
        Self { code, state: None, said: None, cause: None }
    }

    /// Adds a cause for logs.
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// A template whose result is not what the configuration expects of it.
    pub(crate) fn misfit(said: String) -> Self {
        Self { said: Some(said), ..Self::new(ErrorCode::QueryInvalid) }
    }

    /// An error that PostgreSQL reported with `state`.
    pub(crate) fn sqlstate(state: &str) -> Self {
        Self { state: Some(State::SqlState(state.to_owned())), ..Self::new(class(state)) }
    }

    /// The error that the caller gets, the first of `rules` that matches considered.
    pub(crate) fn into_call_error(self, rules: &[ErrorRule]) -> CallError {
        let rule = match &self.state {
            Some(State::SqlState(state)) => rules.iter().find(|r| r.matches(state)),
            _ => None,
        };
        let code = rule.map_or(self.code, |r| r.code);
        let message = match &self.state {
            Some(State::SqlState(state)) => format!("{} (SQLSTATE {state})", words(code)),
            Some(State::Sqlite(result)) => format!("{} (SQLite result {result})", words(code)),
            None => self.said.unwrap_or_else(|| words(code).to_owned()),
        };
        let mut error = CallError::new(code, message);
        error.hint = hint(code).map(Into::into);
        if code == ErrorCode::QueryInvalid {
            // The caller cannot change the template.
            error.retry = Retry::Never;
        }
        if let Some(rule) = rule {
            error.retry = rule.retry;
            error.hint = rule.hint.as_deref().map(Into::into).or(error.hint);
        }
        match self.cause {
            Some(cause) => error.because(cause),
            None => error,
        }
    }
}

impl ErrorRule {
    fn matches(&self, state: &str) -> bool {
        self.sqlstate.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => state.starts_with(start),
            None => state == pattern,
        })
    }
}

/// What an SQLSTATE means for the caller.
fn class(state: &str) -> ErrorCode {
    match state {
        "42501" => ErrorCode::UpstreamPermission,
        "25006" => ErrorCode::QueryRefused,
        "57014" => ErrorCode::UpstreamTimeout,
        // Serialization failure, deadlock, lock timeout, database not there.
        "40001" | "40P01" | "55P03" | "3D000" => ErrorCode::UpstreamUnavailable,
        _ => match state.get(..2).unwrap_or_default() {
            "22" => ErrorCode::InputInvalid,
            "28" => ErrorCode::UpstreamPermission,
            "0A" | "42" => ErrorCode::QueryInvalid,
            "54" => ErrorCode::QueryTooCostly,
            "08" | "53" | "57" => ErrorCode::UpstreamUnavailable,
            _ => ErrorCode::UpstreamError,
        },
    }
}

fn words(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::CallCancelled => "the call was cancelled",
        ErrorCode::GatewayInternal => "the query could not be run",
        ErrorCode::InputInvalid => "an argument does not fit the query",
        ErrorCode::QueryInvalid => "the database does not understand the query",
        ErrorCode::QueryRefused => "the query does something that is not allowed",
        ErrorCode::QueryTooCostly => "the query needs more than the database allows",
        ErrorCode::UpstreamAuthRequired => "the database wants the user to sign in",
        ErrorCode::UpstreamConflict => "the data changed meanwhile",
        ErrorCode::UpstreamNotFound => "the database does not know the thing",
        ErrorCode::UpstreamPermission => "the database does not let this account do it",
        ErrorCode::UpstreamRateLimited => "the database asks for fewer calls",
        ErrorCode::UpstreamTimeout => "the database did not answer in time",
        ErrorCode::UpstreamUnavailable => "the database cannot be reached at present",
        _ => "the database answered with an error",
    }
}

fn hint(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::UpstreamTimeout => Some("ask for less at a time"),
        ErrorCode::QueryInvalid => {
            Some("the fault is in the tool's template, not in the arguments: tell the owner of the connector")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_sqlstate_has_its_code() {
        let states = [
            "08006", "0A000", "22P02", "23505", "25006", "28P01", "3D000", "40001", "40P01", "42501",
            "42601", "42703", "42P01", "42P18", "53300", "54001", "55P03", "57014", "57P01", "P0001",
            "XX000", "",
        ];
        let table: Vec<String> = states
            .iter()
            .map(|state| {
                let error = Failure::sqlstate(state).into_call_error(&[]);
                format!("{error}, retry {:?}", error.retry)
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn a_rule_overrides_the_class_and_the_first_that_matches_wins() {
        let rule = |pattern: &str, code, hint: &str| ErrorRule {
            sqlstate: vec!["99999".into(), pattern.into()],
            code,
            retry: Retry::Safe,
            hint: Some(hint.into()),
        };
        let rules = [
            rule("42P*", ErrorCode::UpstreamNotFound, "first"),
            rule("42P01", ErrorCode::UpstreamConflict, "second"),
        ];
        let error = Failure::sqlstate("42P01").into_call_error(&rules);
        assert_eq!(
            error.to_string(),
            "upstream.not_found: the database does not know the thing (SQLSTATE 42P01)"
        );
        assert_eq!((error.retry, error.hint.as_deref()), (Retry::Safe, Some("first")));
        assert_eq!(Failure::sqlstate("42601").into_call_error(&rules).code, ErrorCode::QueryInvalid);
    }
}

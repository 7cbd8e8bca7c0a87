//! Which records are read: one text of SQL for both dialects.
//!
//! The text is put together from constants only; what a caller asks for is a
//! parameter. There are at most as many texts as combinations of a filter's
//! fields, so that prepared statements stay bounded.

use std::fmt::Write as _;

use super::{AuditFilter, MAX_PAGE, searchable};
use crate::number::signed;

/// A query for records: `seq`, `body` and `leaf`.
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) parameters: Vec<Parameter>,
}

/// A value of a parameter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Text(String),
    Number(i64),
}

impl Query {
    /// Records from `from_seq` on, in order.
    pub(super) fn read(from_seq: u64, limit: u32) -> Self {
        Self {
            sql: "SELECT seq, body, leaf FROM audit_records WHERE seq >= $1 ORDER BY seq LIMIT $2".into(),
            parameters: vec![Parameter::Number(signed(from_seq)), page(limit)],
        }
    }

    /// What stands beside the records from `from_seq` on, in order.
    pub(super) fn columns(from_seq: u64, limit: u32) -> Self {
        let sql = "SELECT seq, time_us, event, call_id, actor, workspace, tool, status, code, sealed
            FROM audit_records WHERE seq >= $1 ORDER BY seq LIMIT $2";
        Self { sql: sql.into(), parameters: vec![Parameter::Number(signed(from_seq)), page(limit)] }
    }

    /// Records that fit `filter`, newest first.
    pub(super) fn find(filter: &AuditFilter, limit: u32) -> Self {
        let texts = [
            ("call_id =", &filter.call_id),
            ("workspace =", &filter.workspace),
            ("tool =", &filter.tool),
            ("event =", &filter.event),
            ("status =", &filter.status),
            ("code =", &filter.code),
        ];
        let numbers =
            [("time_us >=", filter.since_us), ("time_us <", filter.until_us), ("seq <", filter.before_seq)];
        let mut query =
            Self { sql: "SELECT seq, body, leaf FROM audit_records".into(), parameters: Vec::new() };
        for (condition, text) in texts {
            if let Some(text) = text {
                query.require(condition, Parameter::Text(searchable(text)));
            }
        }
        if let Some(actor) = &filter.actor {
            query.require_actor(actor);
        }
        for (condition, number) in numbers {
            if let Some(number) = number {
                query.require(condition, Parameter::Number(signed(number)));
            }
        }
        query.parameters.push(page(limit));
        // Writing to a string does not fail.
        let _ = write!(query.sql, " ORDER BY seq DESC LIMIT ${}", query.parameters.len());
        query
    }

    /// The outcome of a call is found by the call, whose intent has the actor.
    fn require_actor(&mut self, actor: &str) {
        let joint = if self.parameters.is_empty() { "WHERE" } else { "AND" };
        self.parameters.push(Parameter::Text(searchable(actor)));
        let n = self.parameters.len();
        let _ = write!(
            self.sql,
            " {joint} (actor = ${n} OR call_id IN (SELECT call_id FROM audit_records WHERE actor = ${n}))"
        );
    }

    fn require(&mut self, condition: &'static str, parameter: Parameter) {
        let joint = if self.parameters.is_empty() { "WHERE" } else { "AND" };
        self.parameters.push(parameter);
        let _ = write!(self.sql, " {joint} {condition} ${}", self.parameters.len());
    }
}

fn page(limit: u32) -> Parameter {
    Parameter::Number(limit.min(MAX_PAGE).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_becomes_conditions_in_the_order_of_their_parameters() {
        let all = AuditFilter { before_seq: Some(9), ..AuditFilter::default() };
        let some = AuditFilter {
            call_id: Some("call_1".into()),
            tool: Some("' OR 1=1 --".into()),
            since_us: Some(7),
            until_us: Some(u64::MAX),
            ..AuditFilter::default()
        };
        let queries = [AuditFilter::default(), all, some].map(|filter| {
            let query = Query::find(&filter, u32::MAX);
            format!("{}\n  {:?}", query.sql, query.parameters)
        });
        insta::assert_snapshot!(queries.join("\n"), @r#"
        SELECT seq, body, leaf FROM audit_records ORDER BY seq DESC LIMIT $1
          [Number(5000)]
        SELECT seq, body, leaf FROM audit_records WHERE seq < $1 ORDER BY seq DESC LIMIT $2
          [Number(9), Number(5000)]
        SELECT seq, body, leaf FROM audit_records WHERE call_id = $1 AND tool = $2 AND time_us >= $3 AND time_us < $4 ORDER BY seq DESC LIMIT $5
          [Text("call_1"), Text("' OR 1=1 --"), Number(7), Number(9223372036854775807), Number(5000)]
        "#);
    }
}

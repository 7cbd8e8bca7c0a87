//! Rules of a connector file that speak of columns and errors, checked against the rest of it.
//!
//! A rule that can never hold is a problem: whoever wrote it believes that it does.

use quaymaster_core::ErrorCode;

use super::PlannedTool;
use crate::problem::Problems;
use crate::problem::SpecProblem;
use crate::sql::config::{Dialect, ErrorRuleConfig, SqlSpec};
use crate::sql::failure::{ErrorRule, Failure};

/// A column that the file speaks of.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(super) column: String,
    /// Where it speaks of it.
    pub(super) path: String,
    pub(super) any_case: bool,
}

impl Expected {
    /// Whether this is one of the columns of a result.
    pub(crate) fn is_in<'a>(&self, mut columns: impl Iterator<Item = &'a str>) -> bool {
        columns.any(
            |name| {
                if self.any_case { name.eq_ignore_ascii_case(&self.column) } else { name == self.column }
            },
        )
    }

    /// What the caller is told while the result does not have the column.
    pub(crate) fn misfit(&self) -> Failure {
        Failure::misfit(format!(
            "the query's result has no column `{}`, which `{}` speaks of, so it is not shown",
            self.column, self.path
        ))
    }

    /// What is wrong if the result of `tool` has these columns.
    pub(crate) fn missing_from(&self, tool: &str, columns: &[&str]) -> Option<SpecProblem> {
        if self.is_in(columns.iter().copied()) {
            return None;
        }
        let names: Vec<String> = columns.iter().map(|n| format!("`{n}`")).collect();
        Some(SpecProblem {
            path: self.path.clone(),
            message: format!("tool `{tool}`: the result has no column `{}`", self.column),
            help: Some(format!("its columns are {}", names.join(", "))),
        })
    }
}

/// A rule that is meant for a column and misses it would let that column out.
///
/// A rule for any tool may be a precaution; one that names a tool has to fit it.
pub(super) fn expect_classified(spec: &SqlSpec, tools: &mut [PlannedTool], problems: &mut Problems) {
    if !spec.classification.fields.is_empty() {
        problems.add_with_help(
            "spec.classification.fields",
            "rules for `fields` do not reach the columns of a table",
            "write them as `columns`, as in `{ match: \"*.email\", class: confidential, action: drop }`",
        );
    }
    for (at, rule) in spec.classification.columns.iter().enumerate() {
        let path = format!("spec.classification.columns[{at}].match");
        let (tool, column) = rule.matches.split_once('.').unwrap_or(("*", &rule.matches));
        if tool == "*" {
            continue;
        }
        if !spec.tools.iter().any(|t| t.name == tool) {
            problems.add(path, format!("there is no tool `{tool}`: the rule would never hold"));
        } else if let Some(tool) = tools.iter_mut().find(|t| t.config.name == tool)
            && column != "*"
        {
            tool.expected.push(Expected { column: column.to_owned(), path, any_case: true });
        }
    }
}

/// The rules for errors, which can only lead to codes that a database can be the reason of.
pub(super) fn rules(
    configs: &[ErrorRuleConfig],
    dialect: Dialect,
    problems: &mut Problems,
) -> Vec<ErrorRule> {
    if dialect == Dialect::Sqlite && !configs.is_empty() {
        problems.add("spec.errors", "rules for errors name SQLSTATE codes, which SQLite does not have");
    }
    let mut rules = Vec::with_capacity(configs.len());
    for (at, config) in configs.iter().enumerate() {
        let path = format!("spec.errors[{at}]");
        for (state_at, state) in config.matches.sqlstate.iter().enumerate() {
            let start = state.strip_suffix('*').unwrap_or(state);
            let whole = start.len() == state.len();
            let fits = if whole { start.len() == 5 } else { (2..5).contains(&start.len()) };
            if !fits || !start.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
                problems.add(
                    format!("{path}.match.sqlstate[{state_at}]"),
                    "an SQLSTATE has five of 0-9 and A-Z, as in `42601`; the start of some is written `08*`",
                );
            }
        }
        if config.matches.sqlstate.is_empty() {
            problems.add(format!("{path}.match.sqlstate"), "the rule names no SQLSTATE, so it never holds");
        }
        let code = config.code.as_str();
        if config.code != ErrorCode::InputInvalid
            && !code.starts_with("query.")
            && !code.starts_with("upstream.")
        {
            problems.add_with_help(
                format!("{path}.code"),
                format!("an error of the database cannot be `{code}`"),
                "use a code of `query.*` or `upstream.*`, or `input.invalid`",
            );
        }
        rules.push(ErrorRule {
            sqlstate: config.matches.sqlstate.clone(),
            code: config.code,
            retry: config.retry,
            hint: config.hint.clone(),
        });
    }
    rules
}

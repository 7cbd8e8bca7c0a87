//! Data classes and what is to happen to data of each.
//!
//! A connector declares a default class and rules for single fields; release
//! (`quaymaster-control`) applies them. A connector without a classification
//! does not load, and an undeclared field takes the connector's default.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How sensitive a piece of data is, from harmless to most sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataClass {
    /// May be known to anyone.
    Public,
    /// For people inside the company.
    Internal,
    /// For those who need it for their work.
    Confidential,
    /// For few, by name.
    Restricted,
}

impl DataClass {
    /// The class as it is written in configuration and audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for DataClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens to a field of a class when a result is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// Released to actors whose clearance reaches the class.
    Allow,
    /// Never released.
    Drop,
}

/// A rule for one field or column of a connector's results.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FieldRule {
    /// What the rule is for: a column as `<tool>.<column>`, where either side may
    /// be `*`, or an RFC 9535 JSONPath into the structured result, such as `$..email`.
    #[serde(rename = "match")]
    pub matches: String,
    /// The class of the data.
    pub class: DataClass,
    /// What happens to it.
    pub action: Handling,
}

/// The classification of everything that a connector returns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Classification {
    /// The class of whatever no rule names.
    pub default: DataClass,
    /// Rules for columns of tables.
    #[serde(default)]
    pub columns: Vec<FieldRule>,
    /// Rules for fields of structured results.
    #[serde(default)]
    pub fields: Vec<FieldRule>,
}

impl Classification {
    /// The highest class that a result can hold and that its rules do not drop.
    pub fn highest_released(&self) -> DataClass {
        let allowed = self.columns.iter().chain(&self.fields).filter(|r| r.action == Handling::Allow);
        allowed.map(|r| r.class).fold(self.default, DataClass::max)
    }

    /// What holds for `column` of `tool`: the strictest of the rules that match, else the default.
    pub fn column(&self, tool: &str, column: &str) -> (DataClass, Handling) {
        self.declared_column(tool, column).unwrap_or((self.default, Handling::Allow))
    }

    /// The strictest of the rules that match `column` of `tool`, if any does.
    pub fn declared_column(&self, tool: &str, column: &str) -> Option<(DataClass, Handling)> {
        strictest(self.columns.iter().filter(|r| column_matches(&r.matches, tool, column)))
    }
}

fn strictest<'a>(rules: impl Iterator<Item = &'a FieldRule>) -> Option<(DataClass, Handling)> {
    rules.map(|r| (r.class, r.action)).reduce(|(class, action), (other, its)| {
        let drop = action == Handling::Drop || its == Handling::Drop;
        (class.max(other), if drop { Handling::Drop } else { Handling::Allow })
    })
}

fn column_matches(pattern: &str, tool: &str, column: &str) -> bool {
    let (tool_part, column_part) = pattern.split_once('.').unwrap_or(("*", pattern));
    (tool_part == "*" || tool_part == tool)
        && (column_part == "*" || column_part.eq_ignore_ascii_case(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(matches: &str, class: DataClass, action: Handling) -> FieldRule {
        FieldRule { matches: matches.into(), class, action }
    }

    #[test]
    fn classes_are_ordered_by_sensitivity() {
        assert!(DataClass::Public < DataClass::Internal);
        assert!(DataClass::Confidential < DataClass::Restricted);
    }

    #[test]
    fn the_strictest_matching_rule_wins() {
        let rules = Classification {
            default: DataClass::Internal,
            columns: vec![
                rule("*.email", DataClass::Confidential, Handling::Allow),
                rule("accounts.EMAIL", DataClass::Internal, Handling::Drop),
            ],
            fields: vec![],
        };
        assert_eq!(rules.column("accounts", "email"), (DataClass::Confidential, Handling::Drop));
        assert_eq!(rules.column("tickets", "email"), (DataClass::Confidential, Handling::Allow));
        assert_eq!(rules.column("tickets", "subject"), (DataClass::Internal, Handling::Allow));
        assert_eq!(rules.highest_released(), DataClass::Confidential);
    }

    #[test]
    fn a_declared_column_may_be_less_sensitive_than_the_default() {
        let rules = Classification {
            default: DataClass::Confidential,
            columns: vec![rule("*.id", DataClass::Public, Handling::Allow)],
            fields: vec![],
        };
        assert_eq!(rules.column("t", "id").0, DataClass::Public);
        assert_eq!(rules.highest_released(), DataClass::Confidential);
    }
}

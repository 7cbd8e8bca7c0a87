//! What a classification says of the data of one tool.

use std::collections::BTreeSet;

use quaymaster_core::setting::Slug;
use quaymaster_redaction::{FieldWords, Kind, KindSet};
use serde_json_path::JsonPath;

use super::levels::{Level, Mark};
use super::{Purpose, RuleConfig};
use crate::output::Source;

/// What the classification says of the data of one tool.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolClasses {
    /// The level of whatever nothing else names, if the classification raises it.
    pub(crate) raised: Option<Level>,
    /// Where its data belongs, among the jurisdictions that the classification names.
    pub(crate) jurisdiction: Option<u16>,
    pub(crate) paths: Vec<(JsonPath, Mark)>,
    pub(crate) names: Vec<(FieldWords, Mark)>,
    pub(crate) columns: Vec<(ColumnPattern, Mark)>,
    pub(crate) kinds: Vec<(Kind, Mark)>,
    /// The levels that its data is declared to have: by its connector, and by rules that name the tool or its
    /// connector.
    pub(crate) declared: BTreeSet<Level>,
    pub(crate) jurisdictions: BTreeSet<u16>,
    pub(crate) purpose: Purpose,
    pub(crate) accepts: Option<Level>,
    /// The kinds whose placeholders are put back in its arguments.
    pub(crate) restores: KindSet,
}

impl ToolClasses {
    /// The highest level that its data is declared to have.
    pub(crate) fn highest(&self) -> Option<Level> {
        self.declared.last().copied()
    }

    /// Whether rules name data that can be found in arguments.
    pub(crate) fn names_data(&self) -> bool {
        !self.names.is_empty() || !self.kinds.is_empty()
    }

    /// Whether fields may have to be taken out of its results because of the classification.
    pub(crate) fn names_fields(&self) -> bool {
        !self.paths.is_empty() || !self.names.is_empty() || !self.kinds.is_empty()
    }
}

/// What a rule is about, within its connector and tool.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Whatever nothing else names.
    All,
    Path(JsonPath),
    Column(ColumnPattern),
    Field(FieldWords),
    Detector(Kind),
}

impl Target {
    /// What `rule` is about.
    ///
    /// # Errors
    ///
    /// The member that is wrong, and what is.
    pub(super) fn of(rule: &RuleConfig) -> Result<Self, (&'static str, String)> {
        let mut targets = Vec::new();
        if let Some(path) = &rule.path {
            let path = JsonPath::parse(path)
                .map_err(|e| ("path", format!("`{}` is not a path: {e}", path.escape_debug())))?;
            targets.push(Self::Path(path));
        }
        if let Some(column) = &rule.column {
            targets.push(Self::Column(ColumnPattern::parse(column).map_err(|message| ("column", message))?));
        }
        if let Some(field) = &rule.field {
            let words = FieldWords::parse(field);
            let words = words.ok_or_else(|| ("field", "the words of a name have letters".to_owned()))?;
            targets.push(Self::Field(words));
        }
        targets.extend(rule.detector.map(Self::Detector));
        match (targets.pop(), targets.is_empty()) {
            (_, false) => {
                let message = "a rule is about one of `path`, `column`, `field` and `detector`";
                Err(("", message.to_owned()))
            }
            (None, true) => Ok(Self::All),
            (Some(target), true) => Ok(target),
        }
    }
}

/// A column of a database: schema, table and name, each of which may be any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnPattern {
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
}

impl ColumnPattern {
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        let part = |part: &str| (part != "*").then(|| part.to_owned());
        if parts.iter().any(|part| part.is_empty()) {
            return Err("a column is `table.column` or `schema.table.column`".into());
        }
        match parts.as_slice() {
            [table, column] => Ok(Self { schema: None, table: part(table), column: part(column) }),
            [schema, table, column] => {
                Ok(Self { schema: part(schema), table: part(table), column: part(column) })
            }
            _ => Err("a column is `table.column` or `schema.table.column`, where each may be `*`".into()),
        }
    }

    /// Whether a value that comes from `source` may be of this column.
    pub(crate) fn fits(&self, source: &Source) -> bool {
        let is = |wanted: &Option<String>, name: Option<&str>| match (wanted, name) {
            (Some(wanted), Some(name)) => wanted.eq_ignore_ascii_case(name),
            // What is not known may be it.
            (None, _) | (_, None) => true,
        };
        is(&self.schema, source.schema.as_deref())
            && is(&self.table, Some(&source.table))
            && is(&self.column, source.column.as_deref())
    }
}

/// Whether a rule is about a tool of a connector.
pub(super) fn is_about(rule: &RuleConfig, connector: &Slug, tool: &str) -> bool {
    rule.connector.as_ref().is_none_or(|name| name == connector)
        && rule.tool.as_ref().is_none_or(|name| name == tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_meant_in_any_spelling_and_with_what_is_not_known_of_it() {
        let source = |schema: Option<&str>, table: &str, column: Option<&str>| Source {
            schema: schema.map(Into::into),
            table: table.into(),
            column: column.map(Into::into),
        };
        let pattern = ColumnPattern::parse("Customers.EMAIL").expect("a column");
        assert!(pattern.fits(&source(None, "customers", Some("email"))));
        assert!(pattern.fits(&source(Some("crm"), "customers", None)), "any column of the table");
        assert!(!pattern.fits(&source(None, "customers", Some("id"))));
        assert!(!pattern.fits(&source(None, "orders", Some("email"))));
        let anywhere = ColumnPattern::parse("*.email").expect("a column");
        assert!(anywhere.fits(&source(Some("crm"), "orders", Some("email"))));
        let of_schema = ColumnPattern::parse("crm.customers.email").expect("a column");
        assert!(of_schema.fits(&source(None, "customers", Some("email"))));
        assert!(!of_schema.fits(&source(Some("hr"), "customers", Some("email"))));
        for wrong in ["", "email", ".email", "a.b.c.d", "a."] {
            assert!(ColumnPattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}

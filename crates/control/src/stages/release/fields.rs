//! Rules for the data of one tool's results: those of its connector's file and of the classification, compiled at load.
//!
//! What several rules name is marked by the strictest of them; what none names is of the default level.

use std::sync::Arc;

use quaymaster_catalog::Tool;
use quaymaster_core::{Actor, Classification, DataClass, Handling};
use quaymaster_redaction::{Action, Kind};
use serde_json::{Map, Value, json};
use serde_json_path::JsonPath;

use super::Tally;
use super::names::{each_member, escaped};
use crate::classification::{Bounds, Classes, Cover, Level, Mark, ToolClasses, WriteHandling};
use crate::output::{Column, Source};
use crate::stages::facts::Classified;

/// The compiled rules of one tool.
#[derive(Debug)]
pub(in crate::stages) struct FieldRules {
    default: Mark,
    /// The declared paths, with whether data there is never released.
    paths: Vec<(JsonPath, Mark, bool)>,
    columns: Arc<Classification>,
    local_name: String,
    of_tool: ToolClasses,
    classes: Arc<Classes>,
    classified: Classified,
}

/// What becomes of something that is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is released.
    Kept(Level),
    /// It is covered.
    Covered(Level, Cover),
}

impl Fate {
    pub(super) fn level(self) -> Level {
        match self {
            Self::Kept(level) | Self::Covered(level, _) => level,
        }
    }

    /// The stricter of two, for what both are said of: covered before kept, dropped before covered otherwise,
    /// and of the higher level.
    pub(super) fn and(self, other: Self) -> Self {
        let level = self.level().max(other.level());
        match (self, other) {
            (Self::Kept(_), Self::Kept(_)) => Self::Kept(level),
            (Self::Covered(_, cover), Self::Kept(_)) | (Self::Kept(_), Self::Covered(_, cover)) => {
                Self::Covered(level, cover)
            }
            (Self::Covered(_, one), Self::Covered(_, other)) if one == other => Self::Covered(level, one),
            (Self::Covered(..), Self::Covered(..)) => Self::Covered(level, Cover::Drop),
        }
    }
}

impl FieldRules {
    /// Compiles what is said of the data of `tool`.
    ///
    /// # Errors
    ///
    /// Says which path is not one.
    pub(in crate::stages) fn compile(tool: &Tool, classes: &Arc<Classes>) -> Result<Self, String> {
        let declaration = tool.declaration();
        let named = (&declaration.classification, declaration.local_name.as_str());
        Self::of(named, classes.of_tool(tool), classes)
    }

    fn of(
        (declared, local_name): (&Arc<Classification>, &str),
        of_tool: ToolClasses,
        classes: &Arc<Classes>,
    ) -> Result<Self, String> {
        let mark = |class: DataClass| Mark {
            level: classes.levels.of_class(class),
            jurisdiction: of_tool.jurisdiction,
        };
        let default = mark(declared.default);
        let default =
            Mark { level: of_tool.raised.max(Some(default.level)).unwrap_or(default.level), ..default };
        let paths = declared.fields.iter().map(|rule| {
            let path = JsonPath::parse(&rule.matches)
                .map_err(|e| format!("`{}` is not a path: {e}", rule.matches))?;
            Ok((path, mark(rule.class), rule.action == Handling::Drop))
        });
        let mut paths = paths.collect::<Result<Vec<_>, String>>()?;
        paths.extend(of_tool.paths.iter().map(|(path, mark)| (path.clone(), *mark, false)));
        Ok(Self {
            default,
            paths,
            columns: Arc::clone(declared),
            local_name: local_name.to_owned(),
            classified: classified(&of_tool, default.level, classes),
            of_tool,
            classes: Arc::clone(classes),
        })
    }

    /// The level of whatever no rule names, and where it belongs.
    pub(in crate::stages) fn default_mark(&self) -> Mark {
        self.default
    }

    /// What `actor` may have. Where somebody has agreed, they were those whom the levels want that the tool is
    /// declared to release, and nobody else.
    pub(in crate::stages) fn bounds(&self, actor: &Actor, granted: bool) -> Bounds {
        let agreed = granted.then_some(&self.of_tool.declared);
        self.classes.bounds(actor, self.of_tool.purpose, agreed)
    }

    /// Whether `actor` may have what no rule names; `granted` says whether somebody has agreed.
    pub(in crate::stages) fn lets_default(&self, actor: &Actor, granted: bool) -> bool {
        self.bounds(actor, granted).lets(self.default)
    }

    /// What is said of the tool's data.
    pub(in crate::stages) fn of_tool(&self) -> &ToolClasses {
        &self.of_tool
    }

    /// The classification that these rules are of.
    pub(in crate::stages) fn classes(&self) -> &Arc<Classes> {
        &self.classes
    }

    /// What is said of a call before it runs.
    pub(in crate::stages) fn classified(&self) -> Classified {
        self.classified
    }

    /// Whether the classification may take fields out of results.
    pub(in crate::stages) fn may_take_out(&self) -> bool {
        self.of_tool.names_fields()
    }

    fn fate(&self, mark: Mark, is_dropped: bool, bounds: Bounds) -> Fate {
        if is_dropped {
            Fate::Covered(mark.level, Cover::Drop)
        } else if bounds.lets(mark) {
            Fate::Kept(mark.level)
        } else {
            Fate::Covered(mark.level, self.classes.levels.cover(mark.level))
        }
    }

    /// Whether something at a declared path has to be taken out within these bounds.
    pub(super) fn bind_paths(&self, bounds: Bounds) -> bool {
        self.paths.iter().any(|(_, mark, dropped)| *dropped || !bounds.lets(*mark))
    }

    /// Whether fields have to be taken out for their names.
    pub(super) fn bind_names(&self, bounds: Bounds) -> bool {
        self.of_tool.names.iter().any(|(_, mark)| !bounds.lets(*mark))
    }

    /// Whether the names of fields say of which level data is.
    pub(super) fn names_fields(&self) -> bool {
        !self.of_tool.names.is_empty()
    }

    /// Counts a member called `name` that is released.
    pub(super) fn note_name(&self, name: &str, bounds: Bounds, tally: &mut Tally) {
        let names =
            self.of_tool.names.iter().filter(|(words, mark)| bounds.lets(*mark) && words.are_in(name));
        tally.classes.extend(names.map(|(_, mark)| mark.level));
    }

    /// What of detected kinds may not be released, with what is done with it.
    pub(super) fn withheld_kinds(&self, bounds: Bounds) -> Vec<(Kind, Action)> {
        let action = |level| match self.classes.levels.cover(level) {
            Cover::Drop => Action::Drop,
            Cover::Mask => Action::Mask,
            Cover::Hash => Action::Hash,
            Cover::Generalise => Action::Generalise,
            Cover::Tokenise => Action::Tokenise,
        };
        let kinds = self.of_tool.kinds.iter().filter(|(_, mark)| !bounds.lets(*mark));
        kinds.map(|(kind, mark)| (*kind, action(mark.level))).collect()
    }

    /// What happens to data of `level` that an agent gives to the tool, if it writes.
    pub(in crate::stages) fn written(&self, level: Level) -> WriteHandling {
        let own = self.classes.levels.handling(level).map_or(WriteHandling::Refuse, |own| own.write);
        match self.of_tool.accepts {
            Some(accepted) if level <= accepted => WriteHandling::Allow,
            Some(_) if own == WriteHandling::Redact => own,
            Some(_) => WriteHandling::Refuse,
            None => own,
        }
    }

    /// Whether rules say of which level detected data is.
    pub(in crate::stages) fn levels_kinds(&self) -> bool {
        !self.of_tool.kinds.is_empty()
    }

    /// Shows every member of `value` whose name a rule names to `see`: the level, the name and its pointer.
    pub(in crate::stages) fn each_named(&self, value: &Value, see: &mut impl FnMut(Level, &str, &str)) {
        if self.of_tool.names.is_empty() {
            return;
        }
        each_member(value, &mut String::new(), &mut |name, pointer| {
            let marks = self.of_tool.names.iter().filter(|(words, _)| words.are_in(name));
            if let Some(level) = marks.map(|(_, mark)| mark.level).max() {
                see(level, name, pointer);
            }
        });
    }

    /// The level of detected data of `kind`, if a rule says one.
    pub(in crate::stages) fn level_of(&self, kind: Kind) -> Option<Level> {
        let marks = self.of_tool.kinds.iter().filter(|(other, _)| *other == kind);
        marks.map(|(_, mark)| mark.level).max()
    }

    /// The levels of what is released within these bounds, as far as rules declare it.
    pub(super) fn note_released(&self, bounds: Bounds, tally: &mut Tally) {
        tally.classes.insert(self.default.level);
        let released = self.paths.iter().filter(|(_, mark, dropped)| !dropped && bounds.lets(*mark));
        tally.classes.extend(released.map(|(_, mark, _)| mark.level));
    }

    /// Where what may not leave is in `value`, as JSON pointers, each with its level and what is done with it.
    pub(super) fn places(&self, value: &Value, bounds: Bounds) -> Vec<(String, (Level, Cover))> {
        let mut places = Vec::new();
        for (path, mark, dropped) in &self.paths {
            if let Fate::Covered(level, cover) = self.fate(*mark, *dropped, bounds) {
                let located = path.query_located(value);
                places.extend(located.locations().map(|place| (place.to_json_pointer(), (level, cover))));
            }
        }
        places.extend(self.named_places(value, bounds));
        places
    }

    /// The same for what may not leave because of the names of members alone.
    pub(super) fn named_places(&self, value: &Value, bounds: Bounds) -> Vec<(String, (Level, Cover))> {
        let mut places = Vec::new();
        let binding: Vec<_> = self.of_tool.names.iter().filter(|(_, mark)| !bounds.lets(*mark)).collect();
        if !binding.is_empty() {
            let mut at = String::new();
            each_member(value, &mut at, &mut |name, pointer| {
                for (words, mark) in &binding {
                    if words.are_in(name) {
                        let cover = self.classes.levels.cover(mark.level);
                        places.push((pointer.to_owned(), (mark.level, cover)));
                    }
                }
            });
        }
        places
    }

    /// The declared paths.
    pub(super) fn paths(&self) -> impl Iterator<Item = &JsonPath> {
        self.paths.iter().map(|(path, ..)| path)
    }

    /// What becomes of a column of a table.
    pub(super) fn column(&self, column: &Column, bounds: Bounds) -> Fate {
        let declared = self.columns.declared_column(&self.local_name, &column.name);
        let mark = |class| Mark { level: self.classes.levels.of_class(class), ..self.default };
        let declared =
            declared.map(|(class, handling)| self.fate(mark(class), handling == Handling::Drop, bounds));
        let names = self.of_tool.names.iter().filter(|(words, _)| words.are_in(&column.name));
        let paths = self.of_tool.paths.iter().filter(|(path, _)| reaches(path, &column.name));
        let lineage = self.of_tool.columns.iter().filter(|(pattern, _)| match &column.sources {
            Some(sources) => sources.iter().any(|source| pattern.fits(source)),
            // What it is made of cannot be told, so it may be any of them.
            None => true,
        });
        let marks = names.map(|(_, mark)| mark).chain(paths.map(|(_, mark)| mark));
        let own = declared.into_iter().chain(marks.map(|mark| self.fate(*mark, false, bounds)));
        let own = own.reduce(Fate::and);
        // What rules say of some of what it is made of says nothing of the rest.
        let rest = (own.is_none() && !self.is_ruled(column)).then(|| self.fate(self.default, false, bounds));
        let lineage = lineage.map(|(_, mark)| self.fate(*mark, false, bounds));
        let said = own.into_iter().chain(lineage).chain(rest).reduce(Fate::and);
        said.unwrap_or_else(|| self.fate(self.default, false, bounds))
    }

    /// Whether rules speak of all that a column is made of.
    fn is_ruled(&self, column: &Column) -> bool {
        let is_ruled = |source: &Source| {
            source.column.is_some() && self.of_tool.columns.iter().any(|(pattern, _)| pattern.fits(source))
        };
        column.sources.as_ref().is_some_and(|sources| !sources.is_empty() && sources.iter().all(is_ruled))
    }
}

fn classified(of_tool: &ToolClasses, default: Level, classes: &Classes) -> Classified {
    let logs = |level: &Level| classes.levels.handling(*level).is_none_or(|handling| handling.log);
    Classified {
        class: classes.levels.class(of_tool.highest().max(Some(default)).unwrap_or(default)),
        logs: of_tool.declared.iter().all(logs),
        lineage: !of_tool.columns.is_empty(),
        looks: (of_tool.accepts.is_some() || classes.levels.bind_arguments()) && of_tool.names_data(),
    }
}

/// Whether `path` means a column: it is asked of a row, of the rows, and of what holds them.
fn reaches(path: &JsonPath, column: &str) -> bool {
    let row: Map<String, Value> = [(column.to_owned(), Value::Null)].into_iter().collect();
    let row = Value::Object(row);
    let forms = [row.clone(), json!([row]), json!({"rows": [row]}), json!({"data": {"rows": [row]}})];
    let is_column =
        |place: &str| place.is_empty() || place.rsplit('/').next() == Some(escaped(column).as_str());
    forms
        .iter()
        .any(|form| path.query_located(form).locations().any(|place| is_column(&place.to_json_pointer())))
}

/// Compares pointers so that list indexes count as numbers.
pub(super) fn in_document_order(a: &str, b: &str) -> std::cmp::Ordering {
    let key = |p: &str| -> Vec<(usize, String)> {
        p.split('/').map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
    };
    key(a).cmp(&key(b))
}

/// Removes the value at `pointer`; the whole value becomes null.
pub(super) fn take_out(value: &mut Value, pointer: &str) -> bool {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        *value = Value::Null;
        return true;
    };
    let last = last.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(object)) => object.shift_remove(&last).is_some(),
        Some(Value::Array(items)) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests;

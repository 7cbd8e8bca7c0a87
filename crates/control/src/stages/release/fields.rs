//! Rules for fields of structured results: RFC 9535 JSONPath, compiled at load.

use quaymaster_core::{Classification, DataClass, Handling};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::Tally;

/// The compiled rules of one connector.
#[derive(Debug)]
pub(in crate::stages) struct FieldRules {
    default: DataClass,
    rules: Vec<(JsonPath, DataClass, Handling)>,
}

impl FieldRules {
    /// Compiles the paths of a classification.
    ///
    /// # Errors
    ///
    /// Says which path is not one.
    pub(in crate::stages) fn compile(classification: &Classification) -> Result<Self, String> {
        let rules = classification.fields.iter().map(|rule| {
            let path = JsonPath::parse(&rule.matches)
                .map_err(|e| format!("`{}` is not a path: {e}", rule.matches))?;
            Ok((path, rule.class, rule.action))
        });
        Ok(Self { default: classification.default, rules: rules.collect::<Result<_, String>>()? })
    }

    /// The class of whatever no rule names.
    pub(in crate::stages) fn default_class(&self) -> DataClass {
        self.default
    }

    /// Whether something has to be taken out for this clearance.
    pub(super) fn bind(&self, clearance: DataClass) -> bool {
        self.rules.iter().any(|(_, class, handling)| withheld(*class, *handling, clearance))
    }

    /// The highest class among what is released under this clearance.
    pub(super) fn note_released(&self, clearance: DataClass, tally: &mut Tally) {
        tally.classes.insert(self.default);
        let released =
            self.rules.iter().filter(|(_, class, handling)| !withheld(*class, *handling, clearance));
        tally.classes.extend(released.map(|(_, class, _)| *class));
    }

    /// Where what may not leave is in `value`, as JSON pointers, each with its class.
    pub(super) fn places(&self, value: &Value, clearance: DataClass) -> Vec<(String, DataClass)> {
        let binding = self.rules.iter().filter(|(_, class, handling)| withheld(*class, *handling, clearance));
        let places = binding.flat_map(|(path, class, _)| {
            let located = path.query_located(value);
            let places = located.locations().map(|place| (place.to_json_pointer(), *class));
            places.collect::<Vec<_>>()
        });
        places.collect()
    }

    /// The declared paths.
    pub(super) fn paths(&self) -> impl Iterator<Item = &JsonPath> {
        self.rules.iter().map(|(path, _, _)| path)
    }
}

fn withheld(class: DataClass, handling: Handling, clearance: DataClass) -> bool {
    handling == Handling::Drop || class > clearance
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
mod tests {
    use quaymaster_core::FieldRule;
    use serde_json::json;

    use super::*;

    impl FieldRules {
        fn apply(&self, value: &mut Value, clearance: DataClass, tally: &mut Tally) {
            let mut places = self.places(value, clearance);
            places.sort_by(|(a, c), (b, d)| in_document_order(b, a).then(d.cmp(c)));
            places.dedup_by(|(later, _), (earlier, _)| later == earlier);
            for (place, class) in places {
                if take_out(value, &place) {
                    tally.note_kept_back(Some(class));
                }
            }
        }
    }

    fn rules(rules: &[(&str, DataClass, Handling)]) -> FieldRules {
        let fields = rules
            .iter()
            .map(|(path, class, action)| FieldRule {
                matches: (*path).into(),
                class: *class,
                action: *action,
            })
            .collect();
        FieldRules::compile(&Classification { default: DataClass::Internal, columns: vec![], fields })
            .expect("paths that parse")
    }

    #[test]
    fn fields_are_taken_out_wherever_the_path_finds_them() {
        let rules = rules(&[
            ("$..email", DataClass::Confidential, Handling::Allow),
            ("$.list[?@.hidden == true]", DataClass::Restricted, Handling::Drop),
        ]);
        let mut value = json!({
            "email": "a@example.test",
            "list": [{"hidden": true}, {"email": "b", "id": 1}, {"hidden": true}, {"hidden": false}],
            "a/b": {"email": 1}
        });
        let mut tally = Tally::default();
        rules.apply(&mut value, DataClass::Internal, &mut tally);
        assert_eq!(value, json!({"list": [{"id": 1}, {"hidden": false}], "a/b": {}}));
        assert_eq!(tally.kept_back(), 5);
    }

    #[test]
    fn the_order_of_the_rules_does_not_matter() {
        let mut given = [
            ("$.list[?@.secret == true]", DataClass::Confidential, Handling::Drop),
            ("$..secret", DataClass::Restricted, Handling::Drop),
            ("$.list[0]", DataClass::Internal, Handling::Drop),
            ("$.list[2]", DataClass::Restricted, Handling::Drop),
        ];
        let after = |given: &[(&str, DataClass, Handling)]| {
            let mut value = json!({"list": [{"id": 0}, {"id": 1}, {"id": 2, "secret": true}, {"id": 3}]});
            let mut tally = Tally::default();
            rules(given).apply(&mut value, DataClass::Restricted, &mut tally);
            (value, tally.redactions)
        };
        let forwards = after(&given);
        given.reverse();
        assert_eq!(after(&given), forwards);
        assert_eq!(forwards.0, json!({"list": [{"id": 1}, {"id": 3}]}));
        assert_eq!(forwards.1, [(DataClass::Internal, 1), (DataClass::Restricted, 2)].into());
    }

    #[test]
    fn what_the_clearance_reaches_stays_unless_it_is_declared_drop() {
        let rules = rules(&[
            ("$.a", DataClass::Confidential, Handling::Allow),
            ("$.b", DataClass::Public, Handling::Drop),
        ]);
        let mut value = json!({"a": 1, "b": 2});
        rules.apply(&mut value, DataClass::Confidential, &mut Tally::default());
        assert_eq!(value, json!({"a": 1}));
    }
}

//! What rules take out of structured results.

use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, ActorId, Authentication, FieldRule};
use serde_json::json;

use super::*;
use crate::classification::Purpose;

impl FieldRules {
    fn apply(&self, value: &mut Value, clearance: DataClass, tally: &mut Tally) {
        let mut places: Vec<(String, Level)> = self
            .places(value, bounds(clearance))
            .into_iter()
            .map(|(place, (level, _))| (place, level))
            .collect();
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
        .map(|(path, class, action)| FieldRule { matches: (*path).into(), class: *class, action: *action })
        .collect();
    let declared = Arc::new(Classification { default: DataClass::Internal, columns: vec![], fields });
    FieldRules::of((&declared, "t"), ToolClasses::default(), &Arc::default()).expect("paths that parse")
}

fn level(class: DataClass) -> Level {
    Classes::default().levels.of_class(class)
}

/// What somebody with this clearance may have.
fn bounds(clearance: DataClass) -> Bounds {
    let actor = Actor {
        id: ActorId::parse("ada").expect("an id"),
        person: None,
        roles: [].into(),
        groups: [].into(),
        workspace: Slug::parse("sales").expect("a name"),
        clearance,
        authentication: Authentication::LocalUser,
    };
    Classes::default().bounds(&actor, Purpose::Retrieve, None)
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
    assert_eq!(tally.redactions.values().sum::<u64>(), 5);
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
    assert_eq!(forwards.1, [(level(DataClass::Internal), 1), (level(DataClass::Restricted), 2)].into());
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

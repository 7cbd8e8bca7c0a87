//! How much work a schema can make.
//!
//! A few kilobytes of references that refer to references twice over describe a
//! schema of more nodes than there is time to look at. An upstream's schema is a
//! stranger's text, so what it can cost is bounded before anything is validated
//! by it.

use std::collections::HashMap;

use serde_json::Value;

/// How many nodes a schema may have with all its references written out.
const MAX_NODES: u64 = 20_000;
/// How often a schema may refer back to itself.
const MAX_RECURSIONS: u64 = 4;
/// How deep a value may be nested that a schema which refers to itself is held against.
const MAX_RECURSIVE_DEPTH: usize = 10;

/// What is known of a schema's cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    recursive: bool,
}

impl Cost {
    /// Weighs `schema`.
    ///
    /// # Errors
    ///
    /// Says by how much it is too costly.
    pub(crate) fn of(schema: &Value) -> Result<Self, String> {
        let mut scale = Scale { root: schema, known: HashMap::new(), recursions: 0 };
        let nodes = scale.weigh(schema)?;
        if nodes > MAX_NODES {
            return Err(format!(
                "the schema has more than {MAX_NODES} nodes with its references written out"
            ));
        }
        if scale.recursions > MAX_RECURSIONS {
            return Err(format!("the schema refers back to itself more than {MAX_RECURSIONS} times"));
        }
        Ok(Self { recursive: scale.recursions > 0 })
    }

    /// Whether `value` can be held against the schema in reasonable time.
    pub(crate) fn admits(self, value: &Value) -> bool {
        !self.recursive || depth(value) <= MAX_RECURSIVE_DEPTH
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

struct Scale<'a> {
    root: &'a Value,
    /// What references weigh; `None` while one is being weighed.
    known: HashMap<&'a str, Option<u64>>,
    recursions: u64,
}

impl<'a> Scale<'a> {
    fn weigh(&mut self, node: &'a Value) -> Result<u64, String> {
        let mut nodes: u64 = 1;
        match node {
            Value::Array(items) => {
                for item in items {
                    nodes = nodes.saturating_add(self.weigh(item)?);
                }
            }
            Value::Object(object) => {
                for (name, value) in object {
                    let target = value.as_str().filter(|_| name == "$ref" || name == "$dynamicRef");
                    let weight = match target {
                        Some(target) => self.weigh_reference(target)?,
                        None => self.weigh(value)?,
                    };
                    nodes = nodes.saturating_add(weight);
                }
            }
            _ => {}
        }
        Ok(nodes)
    }

    fn weigh_reference(&mut self, target: &'a str) -> Result<u64, String> {
        match self.known.get(target) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => {
                self.recursions += 1;
                return Ok(1);
            }
            None => {}
        }
        // Anchors and other documents: the compiler of schemas knows the first and fetches no second.
        let pointer = target.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let Some(referred) = pointer.and_then(|pointer| self.root.pointer(pointer)) else { return Ok(1) };
        self.known.insert(target, None);
        let weight = self.weigh(referred)?;
        self.known.insert(target, Some(weight));
        Ok(weight)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn doubling(levels: usize) -> Value {
        let mut definitions = serde_json::Map::new();
        definitions.insert("a0".into(), json!({"type": "object"}));
        for level in 1..=levels {
            let below = format!("#/$defs/a{}", level - 1);
            definitions.insert(format!("a{level}"), json!({"allOf": [{"$ref": below}, {"$ref": below}]}));
        }
        json!({"$ref": format!("#/$defs/a{levels}"), "$defs": definitions})
    }

    #[test]
    fn a_schema_that_doubles_at_every_level_is_too_costly() {
        assert!(Cost::of(&doubling(8)).is_ok());
        assert!(Cost::of(&doubling(40)).is_err());
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_held_against_shallow_values_alone() {
        let tree = json!({"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}});
        let cost = Cost::of(&tree).expect("a tree");
        let nested = (0..20).fold(json!({}), |inner, _| json!({"left": inner}));
        assert!(cost.admits(&json!({"left": {"right": {}}})));
        assert!(!cost.admits(&nested));
        let greedy = json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]});
        assert!(Cost::of(&greedy).is_err());
    }
}

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
/// How deep a schema may be with all its references written out: whoever follows it takes a piece of
/// the stack for each level.
const MAX_DEPTH: usize = 128;
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
        let mut anchors = HashMap::new();
        note_anchors(schema, &mut anchors);
        let mut scale = Scale { root: schema, anchors, known: HashMap::new(), recursions: 0, depth: 0 };
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
    /// What is called so; where that is more than one thing, any of them may be meant.
    anchors: HashMap<&'a str, Vec<&'a Value>>,
    /// What references weigh; `None` while one is being weighed.
    known: HashMap<&'a str, Option<u64>>,
    recursions: u64,
    depth: usize,
}

impl<'a> Scale<'a> {
    fn weigh(&mut self, node: &'a Value) -> Result<u64, String> {
        if self.depth >= MAX_DEPTH {
            return Err(format!(
                "the schema is more than {MAX_DEPTH} levels deep with its references written out"
            ));
        }
        self.depth += 1;
        let nodes = self.weigh_parts(node);
        self.depth -= 1;
        nodes
    }

    fn weigh_parts(&mut self, node: &'a Value) -> Result<u64, String> {
        let mut nodes: u64 = 1;
        match node {
            Value::Array(items) => {
                for item in items {
                    nodes = nodes.saturating_add(self.weigh(item)?);
                }
            }
            Value::Object(object) => {
                let is_document = object.get("$id").is_some_and(Value::is_string);
                if is_document && !std::ptr::eq(node, self.root) {
                    return Err("the schema holds another one with an `$id` of its own".to_owned());
                }
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
        let referred = self.referred(target)?;
        self.known.insert(target, None);
        let mut weight: u64 = 0;
        for node in referred {
            weight = weight.saturating_add(self.weigh(node)?);
        }
        self.known.insert(target, Some(weight));
        Ok(weight)
    }

    /// What `target` can mean. A reference that leads elsewhere than a pointer or a name from here
    /// cannot be weighed, so a schema that has one is not used.
    fn referred(&self, target: &str) -> Result<Vec<&'a Value>, String> {
        let of_root = self.root.get("$id").and_then(Value::as_str);
        let here = of_root.and_then(|id| target.strip_prefix(id)).unwrap_or(target);
        let referred = match here.strip_prefix('#') {
            Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                self.root.pointer(&decoded(pointer)).into_iter().collect()
            }
            None if here.is_empty() => vec![self.root],
            Some(anchor) => self.anchors.get(anchor).cloned().unwrap_or_default(),
            None => Vec::new(),
        };
        if referred.is_empty() {
            return Err("the schema has a reference that leads out of it".to_owned());
        }
        Ok(referred)
    }
}

/// Notes everything in `node` that has a name, by its name.
fn note_anchors<'a>(node: &'a Value, anchors: &mut HashMap<&'a str, Vec<&'a Value>>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| note_anchors(item, anchors)),
        Value::Object(object) => {
            for name in ["$anchor", "$dynamicAnchor"] {
                if let Some(name) = object.get(name).and_then(Value::as_str) {
                    anchors.entry(name).or_default().push(node);
                }
            }
            object.values().for_each(|value| note_anchors(value, anchors));
        }
        _ => {}
    }
}

/// A fragment of an address without its `%XX` (RFC 6901, section 6).
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A schema that doubles at each of `levels`, where `named` says what a level is called and how
    /// it is referred to.
    fn doubling_by(levels: usize, named: impl Fn(usize) -> (Value, String)) -> Value {
        let mut definitions = serde_json::Map::new();
        for level in 0..=levels {
            let (mut schema, _) = named(level);
            if level > 0 {
                let below = named(level - 1).1;
                schema["allOf"] = json!([{"$ref": below}, {"$ref": below}]);
            }
            definitions.insert(format!("a/{level}"), schema);
        }
        json!({"type": "object", "$ref": named(levels).1, "$defs": definitions})
    }

    #[test]
    fn a_schema_doubles_however_its_parts_are_referred_to() {
        let anchor = |n| (json!({"$anchor": format!("a{n}")}), format!("#a{n}"));
        let dynamic = |n| (json!({"$dynamicAnchor": format!("a{n}")}), format!("#a{n}"));
        let escaped = |n| (json!({}), format!("#/%24defs/a~1{n}"));
        assert!(Cost::of(&doubling_by(8, anchor)).is_ok());
        assert!(Cost::of(&doubling_by(8, escaped)).is_ok());
        for schema in [doubling_by(40, anchor), doubling_by(40, dynamic), doubling_by(40, escaped)] {
            assert!(Cost::of(&schema).is_err(), "{schema}");
        }
        let document = |n| {
            let id = format!("https://example.test/a{n}");
            (json!({"$id": id}), id)
        };
        assert!(Cost::of(&doubling_by(8, document)).is_err(), "what cannot be weighed is not used");
        let own = json!({"$id": "https://example.test/a", "$ref": "https://example.test/a#/$defs/b", "$defs": {"b": {}}});
        assert!(Cost::of(&own).is_ok());
        assert!(Cost::of(&json!({"$ref": "#/$defs/nowhere"})).is_err());
    }

    #[test]
    fn a_chain_of_references_is_as_deep_as_it_is_long() {
        let chain = |length: usize| {
            let mut definitions = serde_json::Map::new();
            for n in 0..length {
                definitions.insert(n.to_string(), json!({"$ref": format!("#/$defs/{}", n + 1)}));
            }
            definitions.insert(length.to_string(), json!({"type": "object"}));
            json!({"type": "object", "$ref": "#/$defs/0", "$defs": definitions})
        };
        assert!(Cost::of(&chain(100)).is_ok());
        assert!(Cost::of(&chain(MAX_DEPTH)).is_err());
        assert!(Cost::of(&chain(20_000)).is_err());
        // What is let in can be followed on the stack of any thread of ours.
        jsonschema::draft202012::options().build(&chain(MAX_DEPTH - 4)).expect("a usable schema");
    }

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

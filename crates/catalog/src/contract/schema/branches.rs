//! Schemas that stand for others: references, and unions of which each part is a choice.

use serde_json::{Map, Value};

use super::{Change, Comparison, Side, is_aside};
use crate::contract::compare::{MAX_REASONS, pointer};
use crate::contract::reference::target;
use crate::contract::verdict::Verdict;

impl<'a> Comparison<'a> {
    /// Follows references; whether nothing is left to compare.
    pub(super) fn references(
        &mut self,
        (old, was): (&'a Value, &'a Map<String, Value>),
        (new, is): (&'a Value, &'a Map<String, Value>),
        at: &str,
        depth: usize,
    ) -> bool {
        let (from, to) = (was.get("$ref"), is.get("$ref"));
        if from.is_none() && to.is_none() {
            return false;
        }
        let is_alone = |object: &Map<String, Value>| {
            let beside = |name: &&String| *name != "$ref" && !is_aside(name);
            object.keys().filter(beside).count() == 0
        };
        let both = from.is_some() && to.is_some();
        let one_alone = (from.is_some() && is_alone(was)) || (to.is_some() && is_alone(is));
        if !both && !one_alone {
            self.note("reference.siblings", Change::Unclear, at.to_owned(), Some(old), Some(new));
            return true;
        }
        let before = from.map_or(Some(old), |from| target(self.old, from));
        let after = to.map_or(Some(new), |to| target(self.new, to));
        let (Some(before), Some(after)) = (before, after) else {
            self.note("reference.unclear", Change::Unclear, at.to_owned(), from, to);
            return true;
        };
        let place = |value: &Value| std::ptr::from_ref(value).addr();
        if self.seen.insert((place(before), place(after))) {
            self.pair(before, after, at, depth + 1);
        }
        // With one on each side, what stands beside them is compared like any other.
        if both && is_alone(was) && is_alone(is) {
            self.wording(was, is, at);
        }
        !both || (is_alone(was) && is_alone(is))
    }

    pub(super) fn union(
        &mut self,
        (old, was): (&'a Value, &'a Map<String, Value>),
        (new, is): (&'a Value, &'a Map<String, Value>),
        at: &str,
        depth: usize,
    ) {
        let branches = |whole: &'a Value, object: &'a Map<String, Value>| -> Vec<&'a Value> {
            match object.get("anyOf").and_then(Value::as_array) {
                Some(any) => any.iter().collect(),
                None => vec![whole],
            }
        };
        let (before, after) = (branches(old, was), branches(new, is));
        let place = |nth: usize| pointer(&pointer(at, "anyOf"), &nth.to_string());
        let mut kept = vec![false; before.len()];
        let mut known = vec![false; after.len()];
        for (nth, old) in before.iter().enumerate() {
            // One that stands where it stood is tried first.
            let order = std::iter::once(nth).chain((0..after.len()).filter(|other| *other != nth));
            for other in order {
                let Some(new) = after.get(other) else { continue };
                let is_free = self.side == Side::Input || known.get(other) == Some(&false);
                if is_free && self.fits(old, new, &place(other), depth) {
                    kept.iter_mut().skip(nth).take(1).for_each(|kept| *kept = true);
                    known.iter_mut().skip(other).take(1).for_each(|known| *known = true);
                    if self.side == Side::Input {
                        break;
                    }
                }
            }
        }
        for (nth, old) in before.iter().enumerate().filter(|(nth, _)| kept.get(*nth) == Some(&false)) {
            match after.get(nth).filter(|_| known.get(nth) == Some(&false)) {
                Some(new) if before.len() == after.len() => {
                    known.iter_mut().skip(nth).take(1).for_each(|known| *known = true);
                    self.pair(old, new, &place(nth), depth + 1);
                }
                _ => self.note("any_of.removed", Change::Tighter, place(nth), Some(old), None),
            }
        }
        for (nth, new) in after.iter().enumerate().filter(|(nth, _)| known.get(*nth) == Some(&false)) {
            self.note("any_of.added", Change::Looser, place(nth), None, Some(new));
        }
    }

    /// Whether the change from `old` to `new` is an addition at most; its reasons are kept if so.
    fn fits(&mut self, old: &'a Value, new: &'a Value, at: &str, depth: usize) -> bool {
        let (seen, reasons) = (self.seen.clone(), self.reasons.len());
        self.left = self.left.saturating_sub(seen.len() / 16);
        self.pair(old, new, at, depth + 1);
        let found = self.reasons.get(reasons..).unwrap_or_default();
        let fits = found.iter().all(|reason| reason.verdict <= Verdict::Additive)
            && reasons < MAX_REASONS
            && self.reasons.len() < MAX_REASONS;
        if !fits {
            self.reasons.truncate(reasons);
            self.seen = seen;
        }
        fits
    }
}

/// Whether both are unions of schemas, one of which may be a schema by itself.
pub(super) fn is_union(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let plain = |object: &Map<String, Value>| !object.contains_key("anyOf");
    let union = |object: &Map<String, Value>| {
        let alone = object.keys().all(|name| name == "anyOf" || is_aside(name) || name == "default");
        alone && object.get("anyOf").is_some_and(|any| any.as_array().is_some_and(|any| !any.is_empty()))
    };
    (union(old) && (union(new) || plain(new))) || (plain(old) && union(new))
}

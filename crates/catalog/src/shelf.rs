//! The lists that MCP has, and pages of them.
//!
//! A list is one text, made once for all who see the same, with the places where
//! its objects end. A page is a part of that text between two of these places:
//! nothing is parsed, copied or written again for it.
//!
//! Invariant: the objects stand in the order of their keys, and each key is there
//! once. A page says behind which key the next one begins, not at which place, so
//! what comes or goes between two pages makes nothing else come twice or never.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The lists that MCP has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shelf {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    ResourceTemplates,
}

impl Shelf {
    /// The member of a result that holds the list.
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }
}

/// A list as somebody sees it.
#[derive(Clone, Debug)]
pub struct Listing {
    text: Arc<str>,
    items: Vec<Item>,
}

/// Where the object with this key ends.
#[derive(Clone, Debug)]
struct Item {
    key: Box<str>,
    end: usize,
}

impl Default for Listing {
    fn default() -> Self {
        Self::new([])
    }
}

impl Listing {
    /// The list of these objects, each with its key; of two with one key, the first.
    pub fn new<'a>(objects: impl IntoIterator<Item = (String, Cow<'a, str>)>) -> Self {
        let mut by_key = BTreeMap::new();
        for (key, object) in objects {
            by_key.entry(key).or_insert(object);
        }
        let mut text = String::from("[");
        let mut items = Vec::with_capacity(by_key.len());
        for (key, object) in by_key {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&object);
            items.push(Item { key: key.into(), end: text.len() });
        }
        text.push(']');
        Self { text: text.into(), items }
    }

    /// The whole list: a JSON array.
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Whether there is an object with this key.
    pub fn has(&self, key: &str) -> bool {
        self.items.binary_search_by(|item| (*item.key).cmp(key)).is_ok()
    }

    /// At most `size` objects: the first, or those behind the key `after`, which need
    /// not be there any more.
    pub fn page(&self, after: Option<&str>, size: usize) -> Page {
        let from = after.map_or(0, |after| self.items.partition_point(|item| &*item.key <= after));
        let to = self.items.len().min(from.saturating_add(size.max(1)));
        let before = from.checked_sub(1).and_then(|at| self.items.get(at));
        let last = to.checked_sub(1).and_then(|at| self.items.get(at)).filter(|_| from < to);
        // The first object stands behind the bracket, any other behind the comma of the one before.
        let begin = before.map_or(1, |item| item.end + 1);
        let end = last.map_or(begin, |item| item.end);
        let next = last.filter(|_| to < self.items.len()).map(|item| item.key.clone());
        Page { text: self.text(), objects: begin..end, next }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The text of the whole list.
    pub text: Arc<str>,
    /// The bytes of it that are the page's objects with the commas between them.
    pub objects: Range<usize>,
    /// The key of the last object, if others follow.
    pub next: Option<Box<str>>,
}

impl Page {
    /// All of a list whose text is `text`, a JSON array without white space around it.
    pub fn whole(text: Arc<str>) -> Self {
        let objects = 1..text.len().saturating_sub(1).max(1);
        Self { text, objects, next: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listing(keys: &[&str]) -> Listing {
        Listing::new(keys.iter().map(|key| ((*key).to_owned(), format!("{{\"{key}\":1}}").into())))
    }

    fn shown(page: &Page) -> &str {
        page.text.get(page.objects.clone()).expect("whole objects")
    }

    #[test]
    fn a_page_is_a_part_of_the_text_between_whole_objects() {
        let list = listing(&["c", "a", "b", "a"]);
        assert_eq!(&*list.text(), r#"[{"a":1},{"b":1},{"c":1}]"#);
        let first = list.page(None, 2);
        assert_eq!((shown(&first), first.next.as_deref()), (r#"{"a":1},{"b":1}"#, Some("b")));
        assert!(Arc::ptr_eq(&first.text, &list.text()), "nothing is copied");
        let second = list.page(Some("b"), 2);
        assert_eq!((shown(&second), second.next.clone()), (r#"{"c":1}"#, None));
        assert_eq!(list.page(None, 3), Page::whole(list.text()));
        assert_eq!(shown(&list.page(Some("c"), 2)), "");
        assert_eq!(Listing::default().page(None, 2), Page::whole("[]".into()));
    }

    #[test]
    fn a_page_begins_behind_a_key_that_has_gone() {
        let page = listing(&["a", "c"]).page(Some("b"), 1);
        assert_eq!((shown(&page), page.next.clone()), (r#"{"c":1}"#, None));
    }

    proptest! {
        #[test]
        fn what_is_there_all_the_time_is_told_once_whatever_comes_and_goes(
            kept in prop::collection::btree_set("[a-f]{1,2}", 0..12),
            others in prop::collection::vec(prop::collection::btree_set("[a-f]{1,2}", 0..6), 1..5),
            size in 1_usize..5,
        ) {
            let (mut after, mut told): (Option<Box<str>>, Vec<String>) = (None, Vec::new());
            for now in others.iter().cycle() {
                let keys: Vec<&str> = kept.union(now).map(String::as_str).collect();
                let page = listing(&keys).page(after.as_deref(), size);
                let objects: Vec<serde_json::Value> =
                    serde_json::from_str(&format!("[{}]", shown(&page))).expect("JSON");
                prop_assert!(objects.len() <= size);
                told.extend(objects.iter().filter_map(|o| o.as_object()?.keys().next().cloned()));
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            let of_kept: Vec<&String> = told.iter().filter(|key| kept.contains(*key)).collect();
            prop_assert_eq!(of_kept, kept.iter().collect::<Vec<_>>());
            prop_assert!(told.is_sorted_by(|one, two| one < two), "nothing comes twice");
        }
    }
}

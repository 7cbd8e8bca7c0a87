//! The lists that a server gives page by page (MCP 2026-07-28, server/utilities/pagination).
//!
//! Invariant: whatever a server says of its pages, a list ends and fits into bounds.

use quaymaster_core::RawBuf;
use quaymaster_core::rpc::code;
use serde_json::Value;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::link::{Link, Query, Until};

const MAX_PAGES: usize = 100;
const MAX_ITEMS: usize = 5_000;
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;
const MAX_TOTAL_BYTES: usize = 32 * 1024 * 1024;
const MAX_CURSOR_BYTES: usize = 4 * 1024;

/// A list of MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    /// The method that asks for it.
    pub(super) method: &'static str,
    /// The member of a page that holds its items.
    member: &'static str,
}

/// `tools/list`.
pub(super) const TOOLS: List = List { method: "tools/list", member: "tools" };
/// `prompts/list`.
pub(super) const PROMPTS: List = List { method: "prompts/list", member: "prompts" };
/// `resources/list`.
pub(super) const RESOURCES: List = List { method: "resources/list", member: "resources" };
/// `resources/templates/list`.
pub(super) const TEMPLATES: List = List { method: "resources/templates/list", member: "resourceTemplates" };

/// The items of all pages of `list` for which `wanted` holds, as they came. A server that does not know
/// the method has none, whatever its capabilities say.
pub(super) async fn read(
    link: &Link,
    list: List,
    until: Until<'_>,
    wanted: impl Fn(&RawValue) -> bool,
) -> Result<Vec<Box<RawValue>>, Failure> {
    let mut reading = Reading { list, items: Vec::new(), count: 0, bytes: 0 };
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let member = cursor.as_ref().map(|cursor| format!(r#""cursor":{}"#, Value::from(cursor.as_str())));
        let members: Vec<&str> = member.iter().map(String::as_str).collect();
        let plain = Query::plain(list.method, &members, until);
        let query = Query { limit_bytes: MAX_PAGE_BYTES, ..plain };
        let page = match link.ask(&query).await {
            Ok(answer) => answer.result.into_whole(),
            Err(Failure::Rpc { code: code::METHOD_NOT_FOUND, .. }) if cursor.is_none() => {
                return Ok(Vec::new());
            }
            Err(failure) => return Err(failure),
        };
        match reading.add(&page, &wanted)? {
            None => return Ok(reading.items),
            next if next == cursor => return Err(reading.malformed("gives the same cursor again")),
            next => cursor = next,
        }
    }
    Err(reading.malformed(&format!("has more than {MAX_PAGES} pages")))
}

struct Reading {
    list: List,
    items: Vec<Box<RawValue>>,
    count: usize,
    bytes: usize,
}

impl Reading {
    /// Takes a page; gives the cursor of the next one.
    fn add(&mut self, page: &RawBuf, wanted: impl Fn(&RawValue) -> bool) -> Result<Option<String>, Failure> {
        self.bytes = self.bytes.saturating_add(page.get().len());
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(Failure::TooLarge { limit_bytes: MAX_TOTAL_BYTES });
        }
        let none = || self.malformed(&format!("gives no list of {}", self.list.member));
        let mut cursor = None;
        let mut items: Option<Vec<&RawValue>> = None;
        for member in page.as_raw().members().ok_or_else(none)? {
            let (name, value) = member.map_err(|_| none())?;
            if name == self.list.member {
                items = Some(serde_json::from_str(value.get()).map_err(|_| none())?);
            } else if name == "nextCursor" && value.get() != "null" {
                let text = value.text().ok_or_else(|| self.malformed("gives a cursor that is no text"))?;
                cursor = Some(text.into_owned());
            }
        }
        let items = items.ok_or_else(none)?;
        self.count = self.count.saturating_add(items.len());
        if self.count > MAX_ITEMS {
            return Err(self.malformed(&format!("gives more than {MAX_ITEMS} {}", self.list.member)));
        }
        self.items.extend(items.into_iter().filter(|item| wanted(item)).map(ToOwned::to_owned));
        if cursor.as_ref().is_some_and(|cursor| cursor.len() > MAX_CURSOR_BYTES) {
            return Err(self.malformed("gives a cursor that is too long"));
        }
        Ok(cursor)
    }

    fn malformed(&self, what: &str) -> Failure {
        Failure::Malformed(format!("`{}` {what}", self.list.method))
    }
}

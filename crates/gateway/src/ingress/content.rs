//! Content that an earlier revision does not have, as text, which every revision has.
//!
//! Clients tell kinds of content apart by name and may fail over a whole result for
//! one that they do not know. Links to resources came with 2025-06-18, audio with
//! 2025-03-26. Nothing else of a result is read or written anew.

use quaymaster_core::raw::Raw;
use quaymaster_core::{Kind, RawBuf};
use serde_json::json;

use super::revision::Revision;

/// `result` of a request of `kind`, with nothing in it that `revision` does not have.
pub(super) fn within(revision: Revision, kind: Kind, result: String) -> String {
    let is_new = |name: &str| since(name).is_some_and(|since| since > revision) && result.contains(name);
    if !["resource_link", "audio"].into_iter().any(is_new) {
        return result;
    }
    let Ok(raw) = RawBuf::read(&result) else { return result };
    let block = |raw: Raw<'_>| block(revision, raw);
    let written = match kind {
        Kind::Tool => member(raw.as_raw(), "content", |list| items(list, block)),
        Kind::Prompt => {
            member(raw.as_raw(), "messages", |list| items(list, |message| member(message, "content", block)))
        }
        Kind::Resource | Kind::Completion => None,
    };
    written.unwrap_or(result)
}

/// The first revision with content called `name`, where that is not the oldest.
fn since(name: &str) -> Option<Revision> {
    match name {
        "resource_link" => Some(Revision::June2025),
        "audio" => Some(Revision::March2025),
        _ => None,
    }
}

/// A block of content, written otherwise if `revision` does not have it.
fn block(revision: Revision, raw: Raw<'_>) -> Option<String> {
    let text = |name| raw.member(name).ok().flatten().and_then(Raw::text);
    let kind = text("type")?;
    since(&kind).filter(|since| *since > revision)?;
    let said = match &*kind {
        "resource_link" => {
            let name = text("title").or_else(|| text("name")).unwrap_or_default();
            format!("{name}: {}", text("uri").unwrap_or_default())
        }
        _ => format!("(audio, {})", text("mimeType").unwrap_or_default()),
    };
    Some(json!({"type": "text", "text": said}).to_string())
}

/// An object with what `change` makes of its member `name`; none if that changes nothing.
fn member(object: Raw<'_>, name: &str, change: impl Fn(Raw<'_>) -> Option<String>) -> Option<String> {
    let mut is_changed = false;
    let mut members = Vec::new();
    for member in object.members()? {
        let (other, value) = member.ok()?;
        let changed = Some(value).filter(|_| other == name).and_then(&change);
        is_changed |= changed.is_some();
        let value = changed.unwrap_or_else(|| value.get().to_owned());
        members.push(format!("{}:{value}", json!(other)));
    }
    is_changed.then(|| format!("{{{}}}", members.join(",")))
}

/// A list with what `change` makes of each item; none if that changes nothing.
fn items(list: Raw<'_>, change: impl Fn(Raw<'_>) -> Option<String>) -> Option<String> {
    let mut is_changed = false;
    let mut items = Vec::new();
    for item in list.items()? {
        let item = item.ok()?;
        let changed = change(item);
        is_changed |= changed.is_some();
        items.push(changed.unwrap_or_else(|| item.get().to_owned()));
    }
    is_changed.then(|| format!("[{}]", items.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = r#"{"x":1.50,"content":[{"type":"text","text":"audio, resource_link"},
        {"type":"resource_link","uri":"a://1","name":"one","title":"One"},
        {"type":"audio","data":"AAAA","mimeType":"audio/wav"}],"structuredContent":{"type":"audio"}}"#;

    #[test]
    fn a_revision_gets_as_text_what_it_does_not_have() {
        let told = |revision: Revision| within(revision, Kind::Tool, RESULT.to_owned());
        insta::assert_snapshot!(Revision::ALL.map(told).join("\n\n"));
    }

    #[test]
    fn a_prompt_has_one_block_in_each_message() {
        let prompt =
            r#"{"messages":[{"role":"user","content":{"type":"resource_link","uri":"a://1","name":"n"}}]}"#;
        assert_eq!(
            within(Revision::March2025, Kind::Prompt, prompt.to_owned()),
            r#"{"messages":[{"role":"user","content":{"type":"text","text":"n: a://1"}}]}"#
        );
    }

    #[test]
    fn what_cannot_be_read_or_needs_no_change_stays_as_it_is() {
        for same in [r#"{"content":"resource_link"}"#, "resource_link", r#"{"resource_link":1}"#] {
            assert_eq!(within(Revision::November2024, Kind::Tool, same.to_owned()), same);
        }
    }
}

//! Characters that are not drawn, or that make a text read otherwise than it looks.

use super::{Finding, Severity};

/// What is found, one of each kind.
pub(super) fn find(text: &str) -> Vec<Finding> {
    if text.is_ascii() && !text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Vec::new();
    }
    let characters: Vec<char> = text.chars().collect();
    let mut found: Vec<Finding> = Vec::new();
    let mut selectors = 0_usize;
    for (at, c) in characters.iter().enumerate() {
        let beside = |offset: isize| {
            at.checked_add_signed(offset).and_then(|at| characters.get(at)).copied().unwrap_or(' ')
        };
        selectors = if is_selector(*c) { selectors + 1 } else { 0 };
        let Some((rule, severity)) = kind(*c, beside(-1), beside(1), selectors) else { continue };
        if found.iter().all(|known| known.rule != rule) {
            let excerpt: String = characters.iter().skip(at.saturating_sub(12)).take(32).collect();
            found.push(Finding::new(rule, severity, &excerpt));
        }
    }
    found
}

fn kind(c: char, before: char, after: char, selectors: usize) -> Option<(&'static str, Severity)> {
    Some(match c {
        '\u{e0000}'..='\u{e007f}' => ("hidden.tags", Severity::High),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ("hidden.bidirectional", Severity::High),
        '\u{61c}' | '\u{200e}' | '\u{200f}' => ("hidden.direction_mark", Severity::Low),
        // Joins emoji, and letters of scripts that need it.
        '\u{200c}' | '\u{200d}' if !before.is_ascii() && !after.is_ascii() => return None,
        '\u{feff}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2064}'
        | '\u{180e}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{34f}'
        | '\u{206a}'..='\u{206f}'
        | '\u{fff9}'..='\u{fffb}' => ("hidden.invisible", Severity::High),
        '\u{ad}' => ("hidden.soft_hyphen", Severity::Medium),
        c if is_selector(c) && (selectors > 1 || matches!(c, '\u{e0100}'..='\u{e01ef}')) => {
            ("hidden.selectors", Severity::High)
        }
        '\n' | '\t' | '\r' => return None,
        c if c.is_control() => ("hidden.control", Severity::High),
        '\u{2028}' | '\u{2029}' => ("hidden.line_separator", Severity::Medium),
        _ => return None,
    })
}

/// Variation selectors; a row of them can carry bytes.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

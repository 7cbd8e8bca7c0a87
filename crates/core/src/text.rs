//! Texts of strangers, as people may see them.

/// Whether a character steers a terminal, or makes a text read otherwise than it looks: control
/// characters, line separators, and marks of direction, joiners and tags (Unicode general category Cf).
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with every character that misleads written out, as in `\u{202e}`: who decides on a text
/// has to see that it is there.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if misleads(c) { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    plain
}

/// `text` with a capital letter at its beginning and a full stop at its end.
pub fn as_sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().collect::<String>());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misleads_is_written_out() {
        let text = "a\nb\u{202e}c\u{200b}d\u{e0041}é 漢";
        assert_eq!(plain(text), "a\\nb\\u{202e}c\\u{200b}d\\u{e0041}é 漢");
    }

    #[test]
    fn a_sentence_begins_with_a_capital_letter_and_ends() {
        assert_eq!(as_sentence("écrire is off"), "Écrire is off.");
        assert_eq!(as_sentence(""), ".");
    }
}

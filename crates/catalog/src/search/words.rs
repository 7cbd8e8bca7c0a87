//! Words of a text, in the form in which they are compared.
//!
//! Names are taken apart at `_`, `-`, `.` and at changes of case, and an English
//! plural is the same word as its singular. This is no linguistics: what matters
//! is that a tool's text and a query are taken apart in the same way.

use std::collections::BTreeSet;

/// Longest word, in characters; the rest of a longer one is left out.
const MAX_WORD_CHARS: usize = 40;

/// Words that say nothing of what a tool does.
const EMPTY: [&str; 64] = [
    "a", "about", "all", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can",
    "did", "do", "does", "for", "from", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its",
    "me", "my", "need", "no", "of", "on", "or", "our", "please", "should", "so", "some", "that", "the",
    "their", "them", "there", "these", "this", "to", "up", "us", "use", "was", "we", "what", "when", "where",
    "which", "who", "will", "with", "you", "your",
];

/// The words of `text` in their order. A word that is taken apart, as `GitHub`
/// is, is there as a whole as well.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()).flat_map(|run| {
        let parts = parts(run);
        let whole = (parts.len() > 1).then(|| run.to_owned());
        whole.into_iter().chain(parts).filter_map(|word| compared(&word))
    })
}

/// The words of a query: each once, in a fixed order.
pub(super) fn distinct(text: &str) -> BTreeSet<String> {
    words(text).collect()
}

/// A run of letters and digits, taken apart where the case changes: `getHTTPServer`
/// is three words, `APIs` is one.
fn parts(run: &str) -> Vec<String> {
    let letters: Vec<char> = run.chars().collect();
    let at = |index: usize| letters.get(index).copied().unwrap_or(' ');
    let mut parts = vec![String::new()];
    for (index, letter) in letters.iter().enumerate() {
        let before = if index == 0 { ' ' } else { at(index - 1) };
        let (next, after) = (at(index + 1), at(index + 2));
        let plural = next == 's' && !after.is_lowercase();
        let begins = letter.is_uppercase()
            && (before.is_lowercase() || (before.is_uppercase() && next.is_lowercase() && !plural));
        if begins {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(*letter);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The form in which a word is compared; none if it says nothing.
fn compared(word: &str) -> Option<String> {
    let word: String = word.chars().take(MAX_WORD_CHARS).flat_map(char::to_lowercase).collect();
    let says_nothing = EMPTY.binary_search(&word.as_str()).is_ok();
    let is_letter = word.len() == 1 && word.bytes().all(|b| b.is_ascii_alphabetic());
    (!says_nothing && !is_letter).then(|| stem(&word).to_owned()).map(with_y)
}

/// `queries` is `query`: the one ending that is not just shorter.
fn with_y(word: String) -> String {
    match word.strip_suffix("ie") {
        Some(rest) if rest.len() >= 3 => format!("{rest}y"),
        _ => word,
    }
}

/// An English word without its plural and without an `e` at its end.
fn stem(word: &str) -> &str {
    if word.len() <= 3 || !word.is_ascii() {
        return word;
    }
    let singular = match word.strip_suffix('s') {
        Some(rest) if rest.ends_with("sse") || rest.ends_with("xe") => rest.strip_suffix('e').unwrap_or(rest),
        // `status` and `analysis` are no plurals, `apis` is one.
        Some(rest) if !rest.ends_with(['s', 'u']) && (word.len() == 4 || !rest.ends_with('i')) => rest,
        _ => word,
    };
    // `searches` and `search`, `releases` and `release` come together so. Short
    // words would come together with others.
    match singular.strip_suffix('e') {
        Some(rest) if rest.len() >= 5 && !rest.ends_with('i') => rest,
        _ => singular,
    }
}

/// How tools say what they do, and how people say it.
const DEEDS: [(&[&str], &[&str]); 5] = [
    (&["list", "search", "find"], &["find", "list", "look", "search", "show"]),
    (
        &["get", "read", "fetch"],
        &["detail", "download", "fetch", "get", "inspect", "look", "read", "see", "show", "view"],
    ),
    (
        &["creat", "add"],
        &[
            "add", "ask", "book", "creat", "insert", "invit", "make", "new", "open", "post", "raise",
            "register", "report", "request", "reserv", "send", "submit", "write",
        ],
    ),
    (
        &["updat", "edit", "set"],
        &["adjust", "chang", "correct", "edit", "modify", "renam", "renew", "set", "updat"],
    ),
    (&["delet", "remov"], &["cancel", "delet", "disabl", "discard", "drop", "erase", "remov", "revok"]),
];

/// How tools may say what `word` of a query asks them to do.
pub(super) fn deeds(word: &str) -> impl Iterator<Item = &'static str> {
    let meant = DEEDS.iter().filter(move |(_, said)| said.contains(&word));
    meant.flat_map(|(deeds, _)| deeds.iter().copied()).filter(move |deed| *deed != word)
}

/// Whether two compared words are likely forms of one: `escalation` and `escalate`.
pub(super) fn alike(one: &str, other: &str) -> bool {
    let shared = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    shared >= MIN_SHARED && one.len().max(other.len()) <= shared + MAX_ENDING
}

/// How much of their beginning two forms of one word share at least.
pub(super) const MIN_SHARED: usize = 5;

/// How long an ending may be, in bytes.
const MAX_ENDING: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn the_list_of_empty_words_is_in_order() {
        assert!(EMPTY.is_sorted());
    }

    #[test]
    fn deeds_are_in_the_form_in_which_words_are_compared() {
        for word in DEEDS.iter().flat_map(|(deeds, said)| deeds.iter().chain(*said)) {
            assert_eq!(of(word), [*word]);
        }
    }

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(of("desk_get_ticket"), ["desk", "get", "ticket"]);
        assert_eq!(of("crm.create-note"), ["crm", "creat", "note"]);
        assert_eq!(of("getHTTPServer"), ["gethttpserver", "get", "http", "server"]);
        assert_eq!(of("GitHub APIs"), ["github", "git", "hub", "api"]);
        assert_eq!(of("ec2 v2"), ["ec2", "v2"]);
    }

    #[test]
    fn a_plural_is_its_singular() {
        for (plural, singular) in [
            ("tickets", "ticket"),
            ("queries", "query"),
            ("searches", "search"),
            ("branches", "branch"),
            ("boxes", "box"),
            ("addresses", "address"),
            ("releases", "release"),
            ("caches", "cache"),
            ("invoices", "invoice"),
            ("cookies", "cookie"),
        ] {
            assert_eq!(of(plural), of(singular), "{plural}");
        }
        for word in ["status", "analysis", "access", "bus", "gas"] {
            assert_eq!(of(word), [word]);
        }
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        assert_eq!(of("How do I use the tool, please?"), ["tool"]);
        assert_eq!(of("... _ -"), [""; 0]);
    }

    #[test]
    fn other_scripts_are_words_too() {
        assert_eq!(of("Überweisung 送金"), ["überweisung", "送金"]);
    }

    #[test]
    fn forms_of_one_word_are_alike() {
        let alike = |one: &str, other: &str| {
            let (one, other) = (of(one).concat(), of(other).concat());
            super::alike(&one, &other)
        };
        for (one, other) in [
            ("escalation", "escalate"),
            ("deletion", "delete"),
            ("deployment", "deploy"),
            ("invoicing", "invoice"),
        ] {
            assert!(alike(one, other), "{one} {other}");
        }
        for (one, other) in [("account", "accept"), ("cat", "category"), ("inter", "internationalise")] {
            assert!(!alike(one, other), "{one} {other}");
        }
    }
}

//! What a misspelt name was probably meant to be.

/// Longest name that is compared, in characters. Longer ones get no suggestion.
const MAX_CHARS: usize = 64;

/// The known name that is nearest to `name`, if one is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    let close = known.into_iter().map(|candidate| (distance(name, candidate), candidate));
    close.filter(|(far, _)| *far <= limit).min_by_key(|(far, _)| *far).map(|(_, candidate)| candidate)
}

/// A help text: the nearest name, if one is near enough to be meant.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

/// A help text: the nearest name if there is one, else all that there are.
pub fn did_you_mean<'a>(name: &str, what: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(help) = near(name, known.iter().copied()) {
        return Some(help);
    }
    if known.is_empty() {
        return None;
    }
    let shown: Vec<String> = known.iter().take(20).map(|k| format!("`{k}`")).collect();
    let more = if known.len() > shown.len() { ", …" } else { "" };
    Some(format!("{what}: {}{more}", shown.join(", ")))
}

/// The number of characters to insert, remove, replace or swap with a neighbour
/// (optimal string alignment), case and the difference of `-` and `_` aside.
fn distance(one: &str, other: &str) -> usize {
    let plain = |text: &str| -> Vec<char> {
        let same = |c: char| if c == '_' { '-' } else { c.to_ascii_lowercase() };
        text.chars().take(MAX_CHARS + 1).map(same).collect()
    };
    let (one, other) = (plain(one), plain(other));
    if one.len() > MAX_CHARS || other.len() > MAX_CHARS {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    let mut last: Option<char> = None;
    for (i, &a) in one.iter().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        let mut left = i + 1;
        for (j, &b) in other.iter().enumerate() {
            let at = |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&row, j) + usize::from(a != b);
            let mut cheapest = replaced.min(at(&row, j + 1) + 1).min(left + 1);
            let swapped = j > 0 && last == Some(b) && other.get(j - 1) == Some(&a);
            if swapped {
                cheapest = cheapest.min(at(&before, j - 1) + 1);
            }
            next.push(cheapest);
            left = cheapest;
        }
        before = std::mem::replace(&mut row, next);
        last = Some(a);
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_the_edits() {
        for (one, other, edits) in [
            ("", "", 0),
            ("", "ab", 2),
            ("analyst", "anaylst", 1),
            ("kitten", "sitting", 3),
            ("a_b", "A-B", 0),
        ] {
            assert_eq!(distance(one, other), edits, "{one} {other}");
            assert_eq!(distance(other, one), edits, "{other} {one}");
        }
    }

    #[test]
    fn a_near_name_is_suggested_and_else_all_are_listed() {
        let known = ["analyst", "support-agent"];
        assert_eq!(did_you_mean("analist", "roles", known), Some("did you mean `analyst`?".into()));
        assert_eq!(
            did_you_mean("SupportAgent", "roles", known),
            Some("did you mean `support-agent`?".into())
        );
        assert_eq!(did_you_mean("boss", "roles", known), Some("roles: `analyst`, `support-agent`".into()));
        assert_eq!(did_you_mean("boss", "roles", []), None);
    }

    #[test]
    fn a_name_without_end_gets_no_suggestion() {
        let long = "a".repeat(1 << 20);
        assert_eq!(nearest(&long, ["a"]), None);
        assert_eq!(nearest("a", [long.as_str()]), None);
    }
}

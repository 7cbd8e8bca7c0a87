//! Rules are added to a file as lines, so that everything else in it stays as it is.

/// `text` with more rules: at the end of its `rules`, or at the end of the file if it has none.
///
/// # Errors
///
/// Where that cannot be done, what would have to be written otherwise.
pub(super) fn with_rules(text: &str, rules: &[String]) -> Result<String, String> {
    let added = rules.join("\n");
    let lines: Vec<&str> = text.lines().collect();
    let is_rules = |line: &&str| line.starts_with("rules:");
    let Some(at) = lines.iter().position(is_rules) else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Ok(format!("{text}{gap}rules:\n{added}\n"));
    };
    let rest = lines.get(at).and_then(|line| line.strip_prefix("rules:")).unwrap_or_default();
    if !rest.trim_start().is_empty() && !rest.trim_start().starts_with('#') {
        return Err("write `rules:` with one rule a line below it, so that others can be added".into());
    }
    let is_inside = |line: &&&str| line.is_empty() || line.starts_with([' ', '-', '#']);
    let length = lines.iter().skip(at + 1).take_while(is_inside).count();
    // Blank lines and comments at the end belong to what follows.
    let block: Vec<&&str> = lines.iter().skip(at + 1).take(length).collect();
    let trailing = block.iter().rev().take_while(|line| line.is_empty() || line.starts_with('#')).count();
    let end = at + 1 + length - trailing;
    let indent = block.iter().find_map(|line| line.find("- ")).unwrap_or(2);
    let added = if indent == 2 { added } else { indented(&added, indent) };
    let (head, tail) = lines.split_at(end);
    let mut all: Vec<&str> = head.to_vec();
    all.push(&added);
    all.extend(tail);
    Ok(all.join("\n") + "\n")
}

fn indented(text: &str, by: usize) -> String {
    let lines = text.lines().map(|line| format!("{}{}", " ".repeat(by), line.trim_start()));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Vec<String> {
        vec!["  # email in 2 of 2 value(s)\n  - { level: confidential, tool: t, path: \"$.a\" }".to_owned()]
    }

    #[test]
    fn rules_come_to_those_that_are_there_and_nothing_else_moves() {
        let before = "# ours\nrules:\n  # the first\n  - { level: restricted, field: salary }   # why\n\n# below\nredaction: {}\n";
        let after = with_rules(before, &rule()).expect("a file");
        let lines: Vec<&str> = after.lines().collect();
        assert_eq!(lines.len(), before.lines().count() + 2);
        assert_eq!(lines[3], "  - { level: restricted, field: salary }   # why");
        assert_eq!(lines[5], "  - { level: confidential, tool: t, path: \"$.a\" }");
        assert!(after.ends_with("\n\n# below\nredaction: {}\n"), "{after}");
        let flush = with_rules("rules:\n- { level: restricted, field: salary }\n", &rule()).expect("a file");
        assert!(flush.contains("\n- { level: confidential"), "{flush}");
    }

    #[test]
    fn a_file_without_rules_gets_some_and_rules_on_one_line_are_left() {
        assert!(with_rules("", &rule()).is_ok_and(|text| text.starts_with("rules:\n  # email")));
        assert!(with_rules("redaction: {}", &rule()).is_ok_and(|text| text.contains("{}\nrules:\n")));
        assert!(with_rules("rules: []\n", &rule()).is_err());
    }
}

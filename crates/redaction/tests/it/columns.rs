//! Columns: of lists of objects, of lists of lists, and of tables in a text.

use crate::{classes, engine, redact};

#[test]
fn a_column_that_mostly_holds_something_holds_it_in_every_row() {
    let rows: Vec<String> = (0..10)
        .map(|row| {
            let reach =
                if row == 7 { "ada at example dot com".to_owned() } else { format!("user{row}@example.com") };
            format!(r#"{{"reach":"{reach}","state":"open"}}"#)
        })
        .collect();
    let text = format!("[{}]", rows.join(","));
    let redacted = redact(&engine(), &text).expect("released");
    assert!(!redacted.text.contains("example") && redacted.text.matches("open").count() == 10);
    assert_eq!(redacted.findings.len(), 10);
}

#[test]
fn numbers_with_check_digits_are_known_by_their_column_alone() {
    // Each is a BSN by its check digit, which one number in eleven is.
    let valid: Vec<String> =
        (1..200).map(|n| (100_000_000 + n * 4_567_891).to_string()).filter(|n| is_bsn(n)).collect();
    assert!(valid.len() >= 8, "{}", valid.len());
    let rows: Vec<String> = valid.iter().map(|n| format!(r#"{{"k":"{n}"}}"#)).collect();
    let found = classes(&engine(), &format!("[{}]", rows.join(",")));
    assert_eq!(found.len(), valid.len());
    let few = classes(&engine(), &format!("[{}]", rows[..4].join(",")));
    assert!(few.is_empty(), "{few:?}");
}

fn is_bsn(number: &str) -> bool {
    let sum: u32 = number.bytes().zip((2..=9).rev()).map(|(b, w)| u32::from(b - b'0') * w).sum();
    sum % 11 == u32::from(number.as_bytes()[8] - b'0')
}

#[test]
fn tables_of_lists_take_their_names_from_beside_the_rows() {
    let text = r#"{"columns":[{"name":"id"},{"name":"full_name"},{"name":"city"}],
        "rows":[[1,"Ada Lovelace","London"],[2,"Grace Hopper","Arlington"]]}"#;
    let found = classes(&engine(), text);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["/rows/0/1", "/rows/1/1"]);
    let plain = r#"{"headers":["mail","total"],"rows":[["ada (at) example.com",17]]}"#;
    assert_eq!(classes(&engine(), plain).keys().collect::<Vec<_>>(), ["/rows/0/0"]);
}

#[test]
fn csv_and_markdown_in_a_string_are_read_by_their_columns() {
    let csv = r#"{"file":"order;nachname;ort\n4711;Lovelace;London\n4712;Hopper;Arlington\n"}"#;
    let redacted = redact(&engine(), csv).expect("released");
    assert!(
        !redacted.text.contains("Lovelace")
            && redacted.text.contains("4711;")
            && redacted.text.contains(";London")
    );
    let markdown = r#"{"md":"People:\n\n| Name | E-mail |\n|---|---|\n| Ada | ada@example.com |\n\nMail root@example.com"}"#;
    let redacted = redact(&engine(), markdown).expect("released");
    assert!(!redacted.text.contains("Ada") && !redacted.text.contains("@example"), "{}", redacted.text);
    assert!(redacted.text.contains("| Name | E-mail |"));
}

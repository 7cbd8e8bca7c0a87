//! The subset of YAML that is read, and what is said of the rest.

use super::*;

fn text_at(text: &str, span: Span) -> &str {
    &text[span.offset..span.end()]
}

fn located<'a>(text: &'a str, path: &str) -> &'a str {
    text_at(text, locate(text, path).expect("YAML"))
}

#[test]
fn a_path_leads_to_the_value_or_to_the_key_of_something_longer() {
    let text = "\u{feff}spec:\r\n  tools:\r\n    - name: öne\r\n      access: { roles: [a, \"b c\"] }\r\n    - {}\r\n";
    assert_eq!(located(text, "spec.tools[0].name"), "öne");
    assert_eq!(located(text, "spec.tools[0].access.roles[1]"), "\"b c\"");
    assert_eq!(located(text, "spec.tools[0].access.roles"), "roles");
    assert_eq!(located(text, "spec.tools[0]"), "name");
    assert_eq!(located(text, "spec"), "spec");
}

#[test]
fn a_path_that_leads_nowhere_leads_to_the_nearest_place() {
    let text = "spec:\n  settings: { app.actor: x, app: { other: y } }\n  empty:\n";
    assert_eq!(located(text, "spec.settings.app.actor"), "x");
    assert_eq!(located(text, "spec.settings.app.other"), "y");
    assert_eq!(located(text, "spec.settings.nothing[3].here"), "settings");
    assert_eq!(located(text, "spec.empty.below"), "empty");
    assert_eq!(located(text, "nothing"), "spec");
    for odd in ["", ".", "[", "[0]", "spec[", "spec.[0]", "spec..settings"] {
        assert!(locate(text, odd).is_some(), "{odd}");
    }
}

#[test]
fn only_what_yaml_1_2_calls_a_number_or_truth_is_one() {
    let root = parse("[yes, no, on, True, 1_000, 0b1, 0x1F, 0o17, -3, 1.5, ~, '1', 10s]").expect("YAML");
    let Value::List(items) = root.value else { panic!("a list") };
    let values: Vec<Value> = items.into_iter().map(|item| item.value).collect();
    let text = |t: &str| Value::Text(t.into());
    assert_eq!(
        values,
        [
            text("yes"),
            text("no"),
            text("on"),
            Value::Bool(true),
            text("1_000"),
            text("0b1"),
            Value::Unsigned(31),
            Value::Unsigned(15),
            Value::Signed(-3),
            Value::Float(1.5),
            Value::Null,
            text("1"),
            text("10s"),
        ]
    );
}

#[test]
fn what_is_not_read_is_refused_with_place_and_reason() {
    let deep = "[".repeat(60) + &"]".repeat(60);
    let deep_block: String = (0..60).map(|depth| " ".repeat(depth) + "a:\n").collect();
    let wide = format!("[{}]", "1,".repeat(MAX_NODES + 1));
    let texts = [
        "a: 1\n\tb: 2\n",
        "a:\n\t- b\n",
        "a: &x 1\nb: *x\n",
        "a: *x\n",
        "a: &a [*a]\n",
        "<<: {a: 1}\n",
        "a: 1\nb: 2\na: 3\n",
        "a: 1\na: |\n \tx\n",
        "a: !mine 1\n",
        "a: 1\n---\nb: 2\n",
        "a: [1, 2\nb: 3\n",
        "a: \"open\n",
        "a: b: c\n",
        "a: .inf\n",
        "? [a]\n: b\n",
        "~: b\n",
        "a: @b\n",
        "a: \u{1}\n",
        &deep,
        &deep_block,
        &wide,
    ];
    let found: Vec<String> = texts
        .iter()
        .map(|text| {
            let shown: String = text.chars().take(24).collect();
            let problem = parse(text).expect_err(text);
            let span = problem.span.unwrap_or_default();
            let help = problem.help.unwrap_or_default();
            format!(
                "{shown:?}\n  {}+{} {}: {} ({help})",
                span.offset, span.length, problem.code, problem.message
            )
        })
        .collect();
    insta::assert_snapshot!(found.join("\n"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-c:\\-\\[\\]{},&*!|>'\"#%@`\n\t ~0-9.\\\\é\u{feff}]{0,80}", path in "[a-c.\\[\\]0-2]{0,12}") {
        if let Ok(root) = parse(&text) {
            let span = root.locate(&path);
            assert!(text.get(span.offset..span.end()).is_some());
        }
    }
}

//! JSON that is read no further than it has to be.

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn members(text: &str) -> Result<Vec<(String, String)>, String> {
    let members = Members::read(text).map_err(|e| e.to_string())?;
    members
        .map(|member| member.map(|(name, value)| (name.into_owned(), value.get().to_owned())))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())
}

#[test]
fn members_are_given_in_their_order_with_names_decoded_and_values_raw() {
    let text = " {\"a\" : [1, {\"b\":\"]}\\\"\"}] ,\n\"\\u0061b\":-1.5e+3,\"\":{},\"a\":null}\t";
    let expected = [("a", "[1, {\"b\":\"]}\\\"\"}]"), ("ab", "-1.5e+3"), ("", "{}"), ("a", "null")];
    assert_eq!(members(text), Ok(expected.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec()));
    assert_eq!(members("{}"), Ok(vec![]));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        "",
        "[1]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":tru}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u00g0\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":[1,]}",
        "{\"a\":[1}}",
        "{\"a\":{\"b\"}}",
        "{\"a\":1} 2",
        "{\n\"a\":\n nul}",
        "{\"\\ud800\":1}",
    ];
    let report: Vec<String> =
        cases.iter().map(|case| format!("{case:?}: {}", members(case).expect_err(case))).collect();
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn a_long_string_is_read_like_a_short_one_wherever_something_special_stands() {
    for at in [0, 1, 15, 16, 127, 128, 129, 8_191, 8_319, 8_320, 8_321, 16_511, 16_512, 16_513, 19_998] {
        let with =
            |special: &str| format!("[\"{}{special}{}\",7]", "x".repeat(at), "é".repeat(10_000 - at / 2));
        for plain in ["\\\"", "\\\\", "\u{7f}", "]", ""] {
            let text = with(plain);
            assert_eq!(Raw::read(&text).map(Raw::get), Ok(&*text), "{plain:?} at {at}");
        }
        for (fault, column) in [("\n", at + 3), ("\u{1f}", at + 3), ("\"", at + 4), ("\\x", at + 4)] {
            let place = Raw::read(&with(fault)).expect_err("a fault").to_string();
            assert!(place.ends_with(&format!("column {column}")), "{fault:?} at {at}: {place}");
        }
    }
}

#[test]
fn a_part_of_a_text_is_kept_without_a_copy_and_one_of_another_text_is_copied() {
    let whole = ByteString::from(r#"{"a":[1]}"#);
    let raw = |text| Raw::read(text).expect("JSON").member("a").expect("JSON").expect("a member");
    let own = RawBuf::part_of(&whole, raw(&whole));
    assert!(own.get() == "[1]" && std::ptr::eq(own.get(), raw(&whole).get()));
    let other = r#"{"a":[1]}"#.to_owned();
    let copy = RawBuf::part_of(&whole, raw(&other));
    assert!(copy == own && !std::ptr::eq(copy.get(), raw(&other).get()));
}

#[test]
fn items_are_given_in_their_order_and_a_fault_ends_them() {
    let items = |text: &str| -> Result<Vec<String>, String> {
        let items = Items::read(text).map_err(|e| e.to_string())?;
        items.map(|item| item.map(|item| item.get().to_owned()).map_err(|e| e.to_string())).collect()
    };
    let read = items(" [1 , {\"a\":[\"]\"]},\n[]\t] ");
    assert_eq!(read, Ok(["1", "{\"a\":[\"]\"]}", "[]"].map(str::to_owned).to_vec()));
    assert_eq!(items("[]"), Ok(vec![]));
    for bad in ["", "{}", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "[1]]", "[1]x", "[nul]"] {
        assert!(items(bad).is_err(), "{bad}");
    }
    assert_eq!(Raw::read("{}").ok().and_then(Raw::items).map(Iterator::count), None);
}

#[test]
fn any_depth_is_gone_through_without_a_stack() {
    for depth in [1, 127, 128, 129, 256, 257, 1_000_000] {
        let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Raw::read(&lists).is_ok());
        let objects = format!("{}1{}", "{\"a\":[".repeat(depth), "]}".repeat(depth));
        assert!(Raw::read(&objects).is_ok());
        let crossed = format!("{}1{}", "{\"a\":[".repeat(depth), "}]".repeat(depth));
        assert!(Raw::read(&crossed).is_err());
        assert!(Raw::read(&objects[..objects.len() - 1]).is_err());
    }
}

#[test]
fn a_text_is_decoded_where_it_is_one() {
    let text = |json: &str| Raw::read(json).ok().and_then(Raw::text).map(Cow::into_owned);
    assert_eq!(text("\"a\\u00e9\\n\"").as_deref(), Some("aé\n"));
    assert_eq!(text(" \"plain\" ").as_deref(), Some("plain"));
    for other in ["1", "null", "{}", "\"\\ud800\""] {
        assert_eq!(text(other), None, "{other}");
    }
}

/// JSON with mistakes in it: near enough to the real thing to get far into the scanner.
fn almost_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\\"",
        "\"",
        "1",
        "-0",
        "0.5",
        "1e9",
        "01",
        "-",
        "true",
        "false",
        "null",
        "nul",
        " ",
        "\n",
        "é",
        "\u{1}",
        "\"0123456789abcdef0123456789\"",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn a_text_is_well_formed_for_us_exactly_where_it_is_for_serde_json(text in almost_json()) {
        let theirs = serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get);
        prop_assert_eq!(Raw::read(&text).ok().map(Raw::get), theirs);
    }

    #[test]
    fn no_text_makes_the_scanner_panic(text in ".{0,64}") {
        let _ = members(&text);
    }
}

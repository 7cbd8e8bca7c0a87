//! Arguments that are one thing to whoever decides and another to whoever runs.
//!
//! Invariant: what is decided on, what is recorded and what is sent on are the same text.

use proptest::prelude::*;
use quaymaster_control::{Ended, Refused};
use quaymaster_core::{Arguments, CallRequest, DataClass, ErrorCode, Raw};
use serde_json::{Value, json};

use crate::world::World;

/// A refund with these arguments, as they came in.
fn refund(text: &str) -> Result<CallRequest, ErrorCode> {
    let raw = Raw::read(text).map_err(|_| ErrorCode::InputInvalid)?;
    let arguments = Arguments::parse(Some(raw)).map_err(|error| error.code)?;
    let request = World::request("support", DataClass::Internal, "crm_refund", &json!({}));
    Ok(CallRequest { arguments, ..request })
}

/// What comes of a refund: the arguments that it runs with, or the code of its refusal.
async fn outcome(world: &World, text: &str) -> Result<String, ErrorCode> {
    match world.path(refund(text)?, None).await {
        Ok(permit) => Ok(permit.redeem().0.expect("a job").arguments.as_json().to_owned()),
        Err(Ended::Refused(refused)) => Err(refused.error().code),
        Err(_) => Err(ErrorCode::ApprovalRequired),
    }
}

fn code(refused: &Refused) -> ErrorCode {
    refused.error().code
}

#[tokio::test]
async fn a_name_that_is_given_twice_is_refused_however_it_is_spelled() {
    let world = World::new().await;
    for text in [
        r#"{"id": "a", "amount": 5, "amount": 5000}"#,
        r#"{"id": "a", "amount": 5000, "amount": 5}"#,
        r#"{"id": "a", "amount": 5, "\u0061mount": 5000}"#,
        r#"{"id": "a", "amount": 5, "amount": 5}"#,
    ] {
        assert_eq!(outcome(&world, text).await, Err(ErrorCode::InputInvalid), "{text}");
    }
}

#[tokio::test]
async fn one_number_is_decided_and_run_alike_however_it_is_spelled() {
    let world = World::new().await;
    let spelled = async |id: &str, amount: &str| {
        let text = format!(r#"{{"id": "{id}", "amount": {amount}}}"#);
        outcome(&world, &text).await
    };
    for (at, amount) in ["100", "100.0", "1e2", "1.0E+2", "10000e-2"].iter().enumerate() {
        let ran = spelled(&format!("small-{at}"), amount).await.expect("a small refund");
        assert!(ran.contains(r#""amount":100,"#), "{amount}: {ran}");
    }
    for (at, amount) in ["101", "101.0", "1.01e2", "10100e-2", "9007199254740991"].iter().enumerate() {
        let code = spelled(&format!("large-{at}"), amount).await;
        assert_eq!(code, Err(ErrorCode::ApprovalRequired), "{amount}");
    }
    for amount in ["-0.0", "0", "-1e0"] {
        assert_eq!(spelled("none", amount).await, Err(ErrorCode::PolicyDenied), "{amount}");
    }
    // Neither a whole number nor one that has a value here.
    for amount in ["100.00000001", "1e400", "\"5\"", "5.", "0x5", "+5", "05", "NaN", "true", "[5]"] {
        assert_eq!(spelled("wrong", amount).await, Err(ErrorCode::InputInvalid), "{amount}");
    }
    // Too large for a policy to compare, which denies.
    assert_eq!(spelled("huge", "18446744073709551615").await, Err(ErrorCode::PolicyDenied));
}

#[tokio::test]
async fn null_is_no_way_to_leave_something_out() {
    let world = World::new().await;
    for text in
        [r#"{"id": "a"}"#, r#"{"id": "a", "amount": null}"#, r#"{"id": null, "amount": 5}"#, "null", "[]"]
    {
        assert_eq!(outcome(&world, text).await, Err(ErrorCode::InputInvalid), "{text}");
    }
    // An argument that may be left out may not be null either, so `has` in a policy means what it says.
    let request = World::request("analyst", DataClass::Restricted, "crm_status", &json!({"id": Value::Null}));
    assert_eq!(world.permit(request).await.as_ref().map_err(code).err(), Some(ErrorCode::InputInvalid));
}

#[tokio::test]
async fn what_only_looks_alike_is_something_else() {
    let mut world = World::new().await;
    world.add_policy(
        r#"@id("not-for-acme") forbid (principal, action, resource == Tool::"crm_refund")
           when { context.arguments.id like "acme*" };"#,
    );
    let with_id = async |id: &str| outcome(&world, &json!({"id": id, "amount": 5}).to_string()).await;
    assert_eq!(with_id("acme-1").await, Err(ErrorCode::PolicyDenied));
    assert_eq!(
        outcome(&world, r#"{"id": "\u0061cm\u0065-1", "amount": 5}"#).await,
        Err(ErrorCode::PolicyDenied),
        "escapes are undone before anything is decided"
    );
    // Letters of other scripts and other compositions are other texts to the policy, and the system behind
    // the tool gets these very texts: nothing between the two makes one out of the other.
    for id in ["\u{430}cme-1", "\u{ff41}cme-1", "ac\u{200b}me-1", "\u{feff}acme-1"] {
        let ran = with_id(id).await.expect("another id");
        assert!(ran.contains(id), "{ran}");
    }
    for (composed, apart) in [("caf\u{e9}", "cafe\u{301}")] {
        let (one, other) = (with_id(composed).await.expect("ran"), with_id(apart).await.expect("ran"));
        assert_ne!(one, other);
    }
    // A name that looks like one of the tool's is none of it.
    for name in ["\u{430}mount", "Amount", "amount ", "amount\\u0000", "\u{ff41}mount"] {
        let text = format!(r#"{{"id": "a", "amount": 5, "{name}": 5000}}"#);
        assert_eq!(outcome(&world, &text).await, Err(ErrorCode::InputInvalid), "{name}");
    }
    for tool in
        ["crm_refund ", "CRM_REFUND", "crm_\u{433}efund", "crm__refund", "crm_refund\u{0}", "../crm_refund"]
    {
        let request = World::request("support", DataClass::Internal, tool, &json!({"id": "a", "amount": 5}));
        assert_eq!(world.permit(request).await.as_ref().map_err(code).err(), Some(ErrorCode::ToolNotFound));
    }
}

/// Texts with whatever may be confused with something else.
fn any_text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            prop::char::range('a', 'z'),
            prop::sample::select(vec![
                '"',
                '\\',
                '/',
                '\u{0}',
                '\u{430}',
                '\u{2028}',
                '\u{feff}',
                '\u{1f600}'
            ]),
        ],
        0..8,
    )
    .prop_map(|characters| characters.into_iter().collect())
}

/// `value` as JSON in one of its spellings.
fn spelled(text: &str, escape: bool) -> String {
    if !escape {
        return json!(text).to_string();
    }
    let escaped: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    format!("\"{}\"", escaped.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn decision_record_and_run_have_the_same_bytes(
        id in any_text(),
        amount in 1_u64..=100,
        escape in any::<bool>(),
        turned in any::<bool>(),
        exponent in any::<bool>(),
    ) {
        let amount = if exponent { format!("{amount}0e-1") } else { amount.to_string() };
        let id_spelled = spelled(&id, escape);
        let text = if turned {
            format!(r#"{{ "amount" : {amount} , "id":{id_spelled}}}"#)
        } else {
            format!(r#"{{"id":{id_spelled},"amount":{amount}}}"#)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (sent, sealed) = runtime.block_on(async {
            let world = World::new().await;
            let request = refund(&text).expect("arguments");
            let (actor, call) = (request.actor.id.clone(), request.id.to_string());
            let permit = world.permit(request).await.expect("a permit");
            let sent = permit.redeem().0.expect("a job").arguments;
            let stored = world.store.audit_read(0, 100).await.expect("records");
            let intent = stored.last().expect("the intent").seq;
            let sealed = world.store.audit_sealed(intent).await.expect("readable").expect("sealed");
            let subject = world.evidence.subjects.find(&actor).await.expect("readable").expect("a key");
            let opened = subject.open(&call, &sealed).expect("opened");
            (sent, String::from_utf8(opened.to_vec()).expect("text"))
        });
        // The key of the write is made by Quaymaster after the decision and is the one thing that is added.
        let without_key = |mut arguments: Value| {
            arguments.as_object_mut().expect("an object").remove("key");
            quaymaster_core::json::canonical(&arguments)
        };
        let input: Value = serde_json::from_str(&sealed).expect("JSON");
        let ran: Value = serde_json::from_str(sent.as_json()).expect("JSON");
        prop_assert_eq!(ran["id"].as_str(), Some(id.as_str()));
        prop_assert_eq!(without_key(ran), without_key(input["arguments"].clone()));
        prop_assert!(sealed.contains(&format!("\"arguments\":{}", sent.as_json())) , "{sealed}");
    }
}

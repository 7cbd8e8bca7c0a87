//! What one client was given is of no use to another, and nobody's calls cross.

use serde_json::{Value, json};

use super::behaviour::{Behaviour, Era, Over};
use super::caller::{Caller, code};
use super::installation::{Gateway, Upstream};
use super::servers::settled;
use super::session::Session;

const PROGRESS: [Upstream; 2] = [
    Upstream { behaviour: Behaviour::TellsProgress, era: Era::Legacy, over: Over::Stdio },
    Upstream { behaviour: Behaviour::TellsProgress, era: Era::Modern, over: Over::Http },
];
const NEVER: Upstream = Upstream { behaviour: Behaviour::NeverAnswers, era: Era::Legacy, over: Over::Stdio };
const ASKS: Upstream = Upstream { behaviour: Behaviour::AsksWithoutEnd, era: Era::Modern, over: Over::Http };

/// `text` with another letter at its end, and other things like it.
fn forged(text: &str) -> Vec<String> {
    let last = if text.ends_with('A') { "B" } else { "A" };
    vec![
        format!("{}{last}", &text[..text.len() - 1]),
        text[..text.len() / 2].to_owned(),
        format!("{text}{text}"),
        text.to_ascii_uppercase(),
        "x".repeat(8 * 1024),
    ]
}

/// The numbers that the events of a call tell of, and its answer.
fn told(caller: &Caller, tool: &str, number: u64) -> (Vec<u64>, Value) {
    let params = json!({"name": tool, "arguments": {"n": number}, "_meta": {"progressToken": "the same for everybody"}});
    let answer = caller.ask("tools/call", params).expect("an answer");
    let events =
        answer.text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
    let events: Vec<Value> = events.collect();
    let told = events.iter().filter_map(|event| event.pointer("/params/progress")?.as_u64()).collect();
    (told, events.last().cloned().unwrap_or_else(|| answer.message()))
}

fn progress_stays_with_its_call(callers: &[Caller]) {
    std::thread::scope(|scope| {
        for (number, caller) in (1..).zip(callers.iter().cycle().take(8)) {
            scope.spawn(move || {
                for tool in PROGRESS.map(Upstream::tool).iter().cycle().take(6) {
                    let (told, answer) = told(caller, tool, number);
                    let own = told.iter().all(|progress| progress / 100 == number);
                    assert!(own && !told.is_empty(), "{tool} {number}: {told:?} {answer}");
                    let text = answer["result"]["content"][0]["text"].as_str();
                    assert_eq!(text, Some(format!("done {number}").as_str()), "{answer}");
                }
            });
        }
    });
}

fn a_session_is_its_owners([ana, bo]: &[Caller; 2]) {
    let session = Session::open(ana);
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
    assert_eq!(session.send("POST", &list).expect("an answer").status, 200);
    let stolen = session.stolen_by(bo).send("POST", &list).expect("an answer");
    let unknown = Session { caller: bo.clone(), id: "ses_00000000000000000000000000".to_owned() };
    let unknown = unknown.send("POST", &list).expect("an answer");
    assert_eq!((stolen.status, &stolen.text), (404, &unknown.text), "it is told like one that never was");
    assert_eq!(session.stolen_by(bo).end(), 404);
    for id in forged(&session.id) {
        let forged = Session { caller: ana.clone(), id };
        let status = forged.send("POST", &list).expect("an answer").status;
        assert!((400..=404).contains(&status), "{}: {status}", forged.id);
    }
    assert_eq!(session.send("POST", &list).expect("an answer").status, 200, "it is still there");
    assert_eq!(session.end(), 204);
    assert_eq!(
        session.send("POST", &list).expect("an answer").status,
        404,
        "an ended one does not come back"
    );
}

/// What a modern client that can be asked gets for a call of the server that asks without end.
fn asked(caller: &Caller, number: u64, state: Option<&str>) -> Value {
    let mut params = json!({
        "name": ASKS.tool(), "arguments": {"n": number},
        "_meta": {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}},
    });
    if let Some(state) = state {
        params["requestState"] = json!(state);
        params["inputResponses"] = json!({"q": {"action": "decline"}});
    }
    caller.ask("tools/call", params).expect("an answer").message()
}

fn a_state_is_its_callers([ana, bo]: &[Caller; 2]) {
    let state_of = |answer: &Value| {
        answer["result"]["requestState"].as_str().unwrap_or_else(|| panic!("no state: {answer}")).to_owned()
    };
    let refused = |answer: Value| assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let mut state = state_of(&asked(ana, 1, None));
    refused(asked(bo, 1, Some(&state)));
    refused(asked(ana, 2, Some(&state)));
    for forged in forged(&state) {
        refused(asked(ana, 1, Some(&forged)));
    }
    // As often as a call may ask; then it is over, and nothing waits.
    for _round in 1..16 {
        let next = asked(ana, 1, Some(&state));
        refused(asked(ana, 1, Some(&state)));
        state = state_of(&next);
    }
    assert_eq!(code(&asked(ana, 1, Some(&state))), "upstream.error");
}

fn a_cursor_is_ours([ana, bo]: &[Caller; 2]) {
    for (caller, cursor) in [(ana, json!("AAAA")), (bo, json!("x".repeat(64 * 1024))), (ana, json!(7))] {
        let answer = caller.ask("tools/list", json!({"cursor": cursor})).expect("an answer").message();
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

fn who_cancels_everything_cancels_nothing_of_others([ana, bo]: &[Caller; 2]) {
    let (own, other) = (Session::open(ana), Session::open(bo));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let answer = ana.send(&own.call(5, &NEVER.tool(), &json!({}))).expect("an answer");
            code(&answer.message())
        });
        let second = own.begin(6, &NEVER.tool());
        for id in (0..50).map(Value::from).chain([json!("5"), json!(null), json!({"a": 1}), json!(5.5)]) {
            let params = json!({"requestId": id, "reason": "because"});
            let body = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
            let answer = other.send("POST", &body).expect("an answer");
            assert!([202, 400].contains(&answer.status), "{answer:?}");
        }
        assert_eq!(other.end(), 204);
        assert_eq!(call.join().expect("no panic"), "upstream.timeout");
        drop(second);
    });
    assert_eq!(own.end(), 204);
}

fn an_id_that_is_under_way_is_not_used_twice([ana, _]: &[Caller; 2]) {
    let session = Session::open(ana);
    let first = session.begin(7, &NEVER.tool());
    // Whichever of them comes first, the other is refused.
    let second = ana.send(&session.call(7, &NEVER.tool(), &json!({}))).expect("an answer");
    drop(first);
    let code = code(&second.message());
    assert!(code == "input.invalid" || code == "upstream.timeout", "{second:?}");
    assert_eq!(session.end(), 204);
}

#[test]
fn what_a_client_was_given_is_of_no_use_to_another_and_no_calls_cross() {
    let gateway = Gateway::start();
    let callers = [gateway.caller("ana"), gateway.caller("bo")];
    let upstreams = [PROGRESS[0], PROGRESS[1], NEVER, ASKS];
    gateway.connect(&upstreams, "3s");
    assert_eq!(settled(&callers[0], &upstreams), [""; 0]);
    progress_stays_with_its_call(&callers);
    std::thread::scope(|scope| {
        for part in [
            a_session_is_its_owners,
            a_state_is_its_callers,
            a_cursor_is_ours,
            who_cancels_everything_cancels_nothing_of_others,
            an_id_that_is_under_way_is_not_used_twice,
        ] {
            let callers = &callers;
            scope.spawn(move || part(callers));
        }
    });
}

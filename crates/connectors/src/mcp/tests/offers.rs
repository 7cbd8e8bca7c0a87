//! Prompts, resources and what a server asks or logs while a call runs, in both eras,
//! against `tests/upstream/everything.mjs`.

use std::pin::Pin;

use quaymaster_core::{InputAbilities, LogLevel, NoInput};

use super::children::child;
use super::everything::connected_to;
use super::*;

/// A client that gives the same answer to every question, and keeps the questions.
#[derive(Debug)]
pub(super) struct Person {
    abilities: InputAbilities,
    answer: Value,
    asked: Mutex<Vec<String>>,
}

impl Person {
    pub(super) fn who_says(answer: Value) -> Arc<Self> {
        let abilities = InputAbilities {
            form: true,
            url: true,
            sampling: true,
            sampling_tools: true,
            roots: true,
            tasks: false,
            apps: false,
        };
        Arc::new(Self { abilities, answer, asked: Mutex::default() })
    }

    pub(super) fn asked(&self) -> String {
        self.asked.lock().expect("no panic").join("\n")
    }
}

impl InputPort for Person {
    fn abilities(&self) -> InputAbilities {
        self.abilities
    }

    fn ask<'a>(
        &'a self,
        requests: RawBuf,
    ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
        let names: Vec<String> =
            object(serde_json::from_str(requests.get()).expect("JSON")).keys().cloned().collect();
        self.asked.lock().expect("no panic").push(requests.get().to_owned());
        let answers: Map<String, Value> = names.into_iter().map(|name| (name, self.answer.clone())).collect();
        Box::pin(async move { Ok(RawBuf::read(&Value::Object(answers).to_string()).expect("JSON")) })
    }
}

#[derive(Debug)]
pub(super) struct Reader {
    level: LogLevel,
    read: Mutex<Vec<String>>,
}

impl Reader {
    pub(super) fn from(level: LogLevel) -> Arc<Self> {
        Arc::new(Self { level, read: Mutex::default() })
    }

    pub(super) fn read(&self) -> Vec<String> {
        self.read.lock().expect("no panic").clone()
    }
}

impl LogSink for Reader {
    fn level(&self) -> LogLevel {
        self.level
    }

    fn log(&self, params: RawBuf) {
        self.read.lock().expect("no panic").push(params.get().to_owned());
    }
}

fn offering(url: &str) -> Value {
    let access = json!({"roles": ["analyst"]});
    let mut spec = spec(
        json!({"transport": "http", "url": url}),
        &[
            "test_elicitation",
            "test_sampling",
            "test_tool_with_logging",
            "test_input_required_result_multi_round",
        ],
    );
    spec["prompts"] = json!([
        {"name": "test_prompt_with_arguments", "access": access},
        {"name": "test_simple_prompt", "rename": "greeting", "access": access},
        {"name": "never_there", "access": access},
    ]);
    spec["resources"] = json!([
        {"name": "texts", "uri": "test://static-*", "access": access},
        {"name": "data", "uri": "test://template/{id}/data", "access": access},
    ]);
    spec
}

fn call(kind: Kind, name: &str, arguments: Value) -> Call {
    Call { kind, ..read(name).with(arguments) }
}

#[tokio::test]
async fn prompts_and_resources_that_are_configured_are_declared_and_no_others() {
    for era in ["legacy", "modern"] {
        let (_server, connector) = connected_to(era, offering).await;
        let declared: Vec<String> = connector
            .tools()
            .borrow()
            .iter()
            .map(|offer| format!("{} {} {:?}", offer.offer.kind().as_str(), offer.name, offer.offer))
            .collect();
        insta::allow_duplicates! {
            insta::assert_snapshot!(declared.iter().filter(|line| !line.starts_with("tool ")).cloned().collect::<Vec<_>>().join("\n"));
        }
        assert!(connector.state().reason.contains("does not offer the prompt `never_there`"));
    }
}

#[tokio::test]
async fn a_prompt_a_resource_and_a_completion_are_asked_for_in_the_servers_own_names() {
    for era in ["legacy", "modern"] {
        let (_server, connector) = connected_to(era, offering).await;
        let arguments = json!({"arg1": "a", "arg2": "b"});
        let prompt = call(Kind::Prompt, "test_prompt_with_arguments", arguments).on(&connector).await;
        let text = prompt.expect("a prompt")["messages"][0]["content"]["text"].clone();
        assert_eq!(text, "Prompt with arguments: arg1='a', arg2='b'");
        let uri = |uri: &str| json!({"uri": uri});
        let resource = call(Kind::Resource, "data", uri("test://template/7/data")).on(&connector).await;
        assert_eq!(resource.expect("a resource")["contents"][0]["uri"], "test://template/7/data");
        let other = call(Kind::Resource, "texts", uri("test://watched-resource")).code(&connector).await;
        assert_eq!(other, "gateway.internal", "an address of another group is not asked for");
        let argument = json!({"argument": {"name": "arg1", "value": "x"}});
        let values =
            call(Kind::Completion, "prompt:up_test_prompt_with_arguments", argument).on(&connector).await;
        assert_eq!(values.expect("values")["completion"]["values"], json!([]));
    }
}

#[tokio::test]
async fn a_question_of_a_session_goes_to_the_client_of_its_call() {
    let (_server, connector) = connected_to("legacy", offering).await;
    let person = Person::who_says(json!({"action": "accept", "content": {"response": "Ada"}}));
    let mut asking = read("test_elicitation").with(json!({"message": "who?"}));
    asking.input = Some(Arc::clone(&person) as Arc<dyn InputPort>);
    let said = asking.text(&connector).await;
    assert_eq!(said, r#"User response: action=accept, content={"response":"Ada"}"#);
    insta::assert_snapshot!(person.asked());
}

#[tokio::test]
async fn a_modern_server_is_called_again_with_what_it_asked_for_until_it_is_content() {
    let (_server, connector) = connected_to("modern", offering).await;
    let person = Person::who_says(json!({"action": "accept", "content": {"name": "Ada", "color": "blue"}}));
    let mut asking = read("test_input_required_result_multi_round");
    asking.input = Some(Arc::clone(&person) as Arc<dyn InputPort>);
    let said = asking.text(&connector).await;
    assert!(said.contains("Ada") && said.contains("blue"), "{said}");
    assert_eq!(person.asked().lines().count(), 2);
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_answered_for() {
    let unable = Arc::new(Person {
        abilities: InputAbilities::default(),
        answer: Value::Null,
        asked: Mutex::default(),
    });
    let (_server, connector) = connected_to("legacy", offering).await;
    let mut asking = read("test_sampling").with(json!({"prompt": "?"}));
    asking.input = Some(Arc::clone(&unable) as Arc<dyn InputPort>);
    let said = asking.text(&connector).await;
    assert_eq!(said, "Client request failed: the client of this call does not support that");
    assert_eq!(unable.asked(), "");
}

#[tokio::test]
async fn log_messages_reach_who_reads_them_from_their_level_on() {
    for era in ["legacy", "modern"] {
        let (_server, connector) = connected_to(era, offering).await;
        for (level, expected) in [(LogLevel::Info, 3), (LogLevel::Warning, 0)] {
            let reader = Reader::from(level);
            let mut logging = read("test_tool_with_logging");
            logging.log = Some(Arc::clone(&reader) as Arc<dyn LogSink>);
            logging.on(&connector).await.expect("a result");
            let read = reader.read();
            assert_eq!(read.len(), expected, "{era} {level:?}: {read:?}");
        }
    }
}

#[tokio::test]
async fn over_standard_streams_a_question_goes_to_nobody_once_two_have_called() {
    let connector = child("legacy").await;
    let person = Person::who_says(json!({"role": "assistant"}));
    let mut asking = read("ask");
    asking.input = Some(Arc::clone(&person) as Arc<dyn InputPort>);
    let said = asking.text(&connector).await;
    assert!(said.contains(r#"{"role":"assistant"}"#), "{said}");
    // Whoever calls in between may have left something behind that the server still works on.
    let mut other = Call { actor: actor("bob"), ..read("echo") };
    other.on(&connector).await.expect("a result");
    let said = asking.text(&connector).await;
    assert!(said.contains("-32601"), "{said}");
    assert_eq!(person.asked().lines().count(), 1);
}

#[tokio::test]
async fn a_server_of_either_era_is_told_what_is_watched_and_tells_who_watches() {
    for mode in ["legacy", "modern"] {
        let connector = child(mode).await;
        let told = async |expected: &str| {
            eventually(expected, async || read("watched").text(&connector).await == expected).await;
        };
        let mut watch = connector.watch(&actor("ada"), "docs://1").expect("room");
        let other = connector.watch(&actor("ada"), "docs://2").expect("room");
        told(r#"["docs://1","docs://2"]"#).await;
        read("touch").with(json!({"uri": "docs://1"})).on(&connector).await.expect("a result");
        assert!(tokio::time::timeout(PATIENCE, watch.changed()).await.expect("in time"), "{mode}");
        assert_eq!((watch.version(), other.version()), (1, 0));
        drop(other);
        told(r#"["docs://1"]"#).await;
    }
}

#[tokio::test]
async fn what_is_watched_is_told_again_to_a_server_that_was_started_again() {
    let connector = child("legacy").await;
    let mut watch = connector.watch(&actor("ada"), "docs://1").expect("room");
    read("crash").on(&connector).await.expect_err("it dies");
    eventually("told again", async || {
        read("watched").on(&connector).await.is_ok_and(|watched| watched.to_string().contains("docs://1"))
    })
    .await;
    read("touch").with(json!({"uri": "docs://1"})).on(&connector).await.expect("a result");
    assert!(tokio::time::timeout(PATIENCE, watch.changed()).await.expect("in time"));
}

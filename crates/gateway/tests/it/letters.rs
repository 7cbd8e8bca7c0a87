//! Signed messages to programs: what arrives, when, and once more if it has to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::harbour_office::{Harbour, PATIENCE};

/// What the receiver and the gateway share.
const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

/// A message as it arrived.
#[derive(Clone, Debug)]
struct Message {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Message {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", self.headers))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Whether it was signed with the key, as Standard Webhooks have it; `body` in place of its own.
    fn is_signed(&self, body: &str) -> bool {
        let signed = format!("{}.{}.{body}", self.header("webhook-id"), self.header("webhook-timestamp"));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, KEY);
        let tag = self.header("webhook-signature").strip_prefix("v1,").expect("the first version");
        let tag = STANDARD.decode(tag).expect("base64");
        aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
    }
}

/// A receiver on loopback that answers with each of `statuses` in turn and with 204 after these.
async fn receiver(statuses: Vec<&'static str>) -> (String, mpsc::UnboundedReceiver<Message>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook?tenant=a", listener.local_addr().expect("bound"));
    let (told, messages) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut statuses = statuses.into_iter();
        while let Ok((stream, _)) = listener.accept().await {
            let Some(message) = receive(stream, statuses.next().unwrap_or("204 No Content")).await else {
                continue;
            };
            if told.send(message).is_err() {
                return;
            }
        }
    });
    (url, messages)
}

async fn receive(mut stream: TcpStream, status: &str) -> Option<Message> {
    let mut bytes = Vec::new();
    let (head, length, at) = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some(at) = text.find("\r\n\r\n") else { continue };
        let head = text[..at].to_owned();
        assert!(head.starts_with("POST /hook?tenant=a HTTP/1.1\r\n"), "{head}");
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers: BTreeMap<String, String> =
            lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let length: usize = headers.get("content-length").and_then(|n| n.parse().ok()).expect("a length");
        break (headers, length, at + 4);
    };
    while bytes.len() < at + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let answer = format!("HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.ok()?;
    let body = String::from_utf8(bytes.get(at..).expect("a body").to_vec()).expect("UTF-8");
    Some(Message { headers: head, body })
}

fn webhook(url: &str, more: &str) -> String {
    format!(
        "secrets: {{ files: ./secrets }}\napprovals:\n  webhooks:\n    - name: desk\n      url: '{url}'\n      \
         workspaces: [sales]\n{more}"
    )
}

async fn harbour(settings: &str) -> Harbour {
    Harbour::start_with_secret(settings, "HOOK", &format!("whsec_{}", STANDARD.encode(KEY))).await
}

async fn next(messages: &mut mpsc::UnboundedReceiver<Message>) -> Message {
    timeout(PATIENCE, messages.recv()).await.expect("in time").expect("a message")
}

#[tokio::test]
async fn a_program_is_told_of_a_request_its_decision_and_its_end_and_each_message_is_signed() {
    let (url, mut messages) = receiver(vec![]).await;
    let harbour = harbour(&webhook(&url, "      secret: ${secret:HOOK}\n")).await;
    let robot = harbour.somebody("robot").await;
    let id = harbour.asked(&robot, "the quay").await;
    let asked = next(&mut messages).await;
    assert!(asked.is_signed(&asked.body));
    assert!(!asked.is_signed(&asked.body.replace("quay", "sea")), "another text is not signed");
    let payload = asked.json();
    assert_eq!(
        (&payload["type"], &payload["data"]["id"]),
        (&"approval.requested".into(), &id.as_str().into())
    );
    assert_eq!(payload["data"]["document"]["action"], "Greet the quay");
    let link = payload["data"]["links"]["approve"].as_str().expect("a link");
    let page = format!("http://{}/approvals/{id}", harbour.address);
    assert!(link.starts_with(&format!("{page}?intent=approve&sig=")), "{link}");
    assert_eq!(payload["data"]["links"]["show"], page);

    let mut browser = harbour.signed_in().await;
    assert_eq!(browser.answer(&id, "approve", "fine").await.status, 200);
    let (decided, ended) = (next(&mut messages).await, next(&mut messages).await);
    let types: Vec<Value> = [&decided, &ended].map(|message| message.json()["type"].clone()).to_vec();
    assert_eq!(types, ["approval.decided", "approval.ended"]);
    assert_eq!(ended.json()["data"]["state"], "done");
    assert_eq!(decided.json()["data"]["said"][0]["comment"], "fine");
    assert!(decided.json()["data"]["links"].get("approve").is_none(), "there is nothing left to answer");
    let ids = [&asked, &decided, &ended].map(|message| message.header("webhook-id").to_owned());
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    harbour.end().await;
}

#[tokio::test]
async fn a_message_is_sent_again_under_its_id_until_it_arrives_and_no_redirect_is_followed() {
    let (url, mut messages) = receiver(vec!["503 Service Unavailable", "307 Temporary Redirect"]).await;
    let harbour = harbour(&webhook(&url, "      secret: ${secret:HOOK}\n      events: [requested]\n")).await;
    let robot = harbour.somebody("robot").await;
    harbour.asked(&robot, "the quay").await;
    let tries = [next(&mut messages).await, next(&mut messages).await, next(&mut messages).await];
    for message in &tries {
        assert!(message.is_signed(&message.body));
        assert_eq!(message.header("webhook-id"), tries[0].header("webhook-id"));
    }
    let seconds: Vec<u64> =
        tries.iter().map(|message| message.header("webhook-timestamp").parse().expect("a time")).collect();
    assert!(seconds.is_sorted() && seconds.first() < seconds.last(), "each try has its time: {seconds:?}");
    // Another request is told once, and the first is not told again.
    let other = harbour.asked(&robot, "the sea").await;
    assert_eq!(next(&mut messages).await.json()["data"]["id"], other.as_str());
    harbour.end().await;
    assert!(messages.try_recv().is_err());
}

#[tokio::test]
async fn a_message_that_was_not_delivered_when_the_gateway_stopped_is_delivered_by_the_next() {
    let (url, mut messages) = receiver(vec!["500 Internal Server Error"]).await;
    let harbour = harbour(&webhook(&url, "      secret: ${secret:HOOK}\n      events: [requested]\n")).await;
    let robot = harbour.somebody("robot").await;
    let id = harbour.asked(&robot, "the quay").await;
    let first = next(&mut messages).await;
    let harbour = harbour.again().await;
    let again = next(&mut messages).await;
    assert_eq!(again.header("webhook-id"), first.header("webhook-id"));
    assert_eq!(again.json()["data"]["id"], id.as_str());
    harbour.end().await;
}

#[tokio::test]
async fn slack_gets_a_message_in_which_nothing_is_markup() {
    let (url, mut messages) = receiver(vec![]).await;
    let harbour = harbour(&webhook(&url, "      format: slack\n      events: [requested]\n")).await;
    let robot = harbour.somebody("robot").await;
    let id = harbour.asked(&robot, "<!channel> *all* <https://evil.example.test|here>").await;
    let message = next(&mut messages).await;
    assert!(!message.headers.contains_key("webhook-signature"), "it has no secret");
    let payload = message.json();
    assert!(!payload["text"].as_str().expect("a text").contains('<'), "{payload}");
    let blocks = payload["blocks"].as_array().expect("blocks");
    let texts = serde_json::to_string(&blocks[..3]).expect("JSON");
    assert!(!texts.contains("mrkdwn") && texts.contains("plain_text"), "{texts}");
    let buttons = blocks[3]["elements"].as_array().expect("buttons");
    let urls: Vec<&str> = buttons.iter().filter_map(|button| button["url"].as_str()).collect();
    assert_eq!(urls.len(), 3);
    assert!(urls.iter().all(|url| url.contains(&id)), "{urls:?}");
    harbour.end().await;
}

#[tokio::test]
async fn nobody_is_asked_to_decide_on_what_was_decided() {
    let (url, mut messages) = receiver(vec!["503 Service Unavailable"; 2]).await;
    let harbour = harbour(&webhook(&url, "      secret: ${secret:HOOK}\n      events: [requested]\n")).await;
    let robot = harbour.somebody("robot").await;
    let first = harbour.asked(&robot, "the quay").await;
    assert_eq!(next(&mut messages).await.json()["data"]["id"], first.as_str());
    let mut browser = harbour.signed_in().await;
    assert_eq!(browser.answer(&first, "reject", "").await.status, 200);
    // When this one is told again, the first would have been told again before.
    let second = harbour.asked(&robot, "the sea").await;
    for _ in 0..2 {
        assert_eq!(next(&mut messages).await.json()["data"]["id"], second.as_str());
    }
    harbour.end().await;
    assert!(messages.try_recv().is_err(), "the first is not told again");
}

#[tokio::test]
async fn a_receiver_that_hangs_keeps_no_other_message_back() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (url, mut messages) = receiver(vec![]).await;
    let more = format!(
        "      secret: ${{secret:HOOK}}\n      events: [requested]\n    - name: hangs\n      url: \
         'http://{}/'\n      workspaces: [sales]\n      secret: ${{secret:HOOK}}\n",
        hanging.local_addr().expect("bound")
    );
    let harbour = Arc::new(harbour(&webhook(&url, &more)).await);
    let robot = harbour.somebody("robot").await;
    for who in ["the quay", "the sea"] {
        let id = harbour.asked(&robot, who).await;
        assert_eq!(next(&mut messages).await.json()["data"]["id"], id.as_str());
    }
    Arc::into_inner(harbour).expect("nobody else's").end().await;
}

#[tokio::test]
async fn a_program_is_told_when_others_may_decide_because_nobody_has() {
    let (url, mut messages) = receiver(vec![]).await;
    let more = "      secret: ${secret:HOOK}\n      events: [escalated]\n";
    let harbour = harbour(&webhook(&url, more)).await;
    let policy = r#"@id("hurry") @approval("manager; escalate analyst after 1s")
        forbid (principal, action, resource == Tool::"greetings_greet") unless { context.approved };"#;
    std::fs::write(harbour.folder.path().join("policies/none.cedar"), policy).expect("a policy");
    let harbour = harbour.again().await;
    let robot = harbour.somebody("robot").await;
    let id = harbour.asked(&robot, "the quay").await;
    let told = next(&mut messages).await;
    assert!(told.is_signed(&told.body));
    let payload = told.json();
    assert_eq!(
        (&payload["type"], &payload["data"]["id"]),
        (&"approval.escalated".into(), &id.as_str().into())
    );
    assert!(payload["data"]["links"].get("approve").is_some(), "{payload}");
    harbour.end().await;
    assert!(messages.try_recv().is_err(), "once");
}

//! A small ticketing system that speaks MCP over stdio.
//!
//! It stands in for a real help desk, so it behaves like a good one: it checks
//! what it is sent, keeps its state in a file, and creates each escalation once
//! for each idempotency key, whoever asks again and after whatever crash. This
//! file owns the transport (one JSON-RPC message a line); the messages are in
//! `protocol`, the tools in `tools`, the state in `desk`. It governs nothing:
//! who may call it is for Quaymaster to say.
//!
//! Invariants:
//! - No input ends the server, other than the end of the input.
//! - An answer is sent after its effect is on disk, never before.

mod desk;
mod parameter;
mod protocol;
mod tools;

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::path::Path;

use anyhow::Context;
use quaymaster_core::rpc;

use desk::Desk;
use protocol::Server;

/// Longest message that is read; a longer one is skipped and refused.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// Answers the messages of `input` on `output` until the input ends.
///
/// The state is kept in `ticketing.db` in `folder`, which is created if need be.
///
/// # Errors
///
/// If the state cannot be opened, or the input or output fails. An output that
/// the client has closed is an end, not an error.
pub(crate) fn serve(folder: &Path, mut input: impl BufRead, mut output: impl Write) -> anyhow::Result<()> {
    let mut server = Server::new(Desk::open(folder)?);
    let mut line = Vec::new();
    loop {
        let answers = match read_line(&mut input, &mut line).context("cannot read the next message")? {
            Line::Whole if line.iter().all(u8::is_ascii_whitespace) => continue,
            Line::Whole => server.answer(&line),
            Line::TooLong => vec![too_long()],
            Line::End => return Ok(()),
        };
        match send(&mut output, &answers) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            other => other.context("cannot send an answer")?,
        }
    }
}

/// How many escalations were really created in `folder`, over all runs of the server.
///
/// A folder without state gets one, as when the server starts.
///
/// # Errors
///
/// If the state cannot be opened.
pub(crate) fn effects(folder: &Path) -> anyhow::Result<u64> {
    Desk::open(folder)?.effects().context("cannot count the effects")
}

/// The tools' definitions, as `tools/list` gives them.
#[cfg(test)]
pub(super) fn definitions() -> Vec<serde_json::Value> {
    tools::definitions().as_array().cloned().unwrap_or_default()
}

enum Line {
    Whole,
    TooLong,
    End,
}

/// Reads up to the next line feed into `line`; what is beyond the limit is skipped, not stored.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let limit = u64::try_from(MAX_MESSAGE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    if input.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(Line::End);
    }
    if line.last() == Some(&b'\n') || line.len() <= MAX_MESSAGE_BYTES {
        return Ok(Line::Whole);
    }
    input.skip_until(b'\n')?;
    Ok(Line::TooLong)
}

fn too_long() -> String {
    let message = format!("the message is longer than {MAX_MESSAGE_BYTES} bytes");
    rpc::error_response(None, rpc::code::INVALID_REQUEST, &message, None)
}

fn send(output: &mut impl Write, messages: &[String]) -> io::Result<()> {
    for message in messages {
        output.write_all(message.as_bytes())?;
        output.write_all(b"\n")?;
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::demo::seeded::Seeded;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    /// One run of the server: what it says to `lines`.
    fn run(folder: &Path, lines: &[u8]) -> Vec<Value> {
        let mut output = Vec::new();
        serve(folder, lines, &mut output).expect("a server that ends with its input");
        let text = String::from_utf8(output).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn request(id: u32, method: &str, mut params: Value) -> String {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string() + "\n"
    }

    fn escalate(id: u32, account: &str, summary: &str, key: &str) -> String {
        let arguments = json!({
            "account_id": account, "severity": "high", "summary": summary, "idempotency_key": key
        });
        request(id, "tools/call", json!({"name": "create_support_escalation", "arguments": arguments}))
    }

    #[test]
    fn an_escalation_is_created_once_for_each_key_across_restarts() {
        let folder = folder();
        let first = run(folder.path(), escalate(1, "ACC-0001", "Orders are refused", "k1").as_bytes());
        let again = run(folder.path(), escalate(2, "ACC-0001", "Orders are refused", "k1").as_bytes());
        let content = |answers: &[Value]| answers[0]["result"]["structuredContent"].clone();
        assert_eq!(content(&first)["repeated"], false);
        assert_eq!(content(&again)["repeated"], true);
        assert_eq!(content(&first)["escalation_id"], content(&again)["escalation_id"]);
        assert_eq!(effects(folder.path()).expect("a count"), 1);
    }

    #[test]
    fn a_key_that_was_used_for_other_content_is_refused() {
        let folder = folder();
        let lines = escalate(1, "ACC-0001", "Orders are refused", "k1")
            + &escalate(2, "ACC-0001", "Invoices are refused", "k1")
            + &escalate(3, "ACC-0002", "Orders are refused", "k1");
        let answers = run(folder.path(), lines.as_bytes());
        assert_eq!(answers[0]["result"]["isError"], false);
        for answer in &answers[1..] {
            assert_eq!(answer["result"]["isError"], true);
            let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
            assert!(text.contains("use a new key for other content"), "{text}");
        }
        assert_eq!(effects(folder.path()).expect("a count"), 1);
    }

    /// Whatever is repeated in whatever order and with restarts in between, the
    /// effects are as many as the keys.
    #[test]
    fn effects_are_as_many_as_keys_for_any_order_of_repeats_and_restarts() {
        for seed in 0..12 {
            let folder = folder();
            let mut seeded = Seeded::new(seed);
            let keys = seeded.between(1, 8);
            let mut used = std::collections::BTreeSet::new();
            for _restart in 0..3 {
                let picked: Vec<u32> = (0..seeded.between(1, 12)).map(|_| seeded.below(keys)).collect();
                used.extend(picked.iter().copied());
                let lines: String = picked
                    .iter()
                    .map(|key| {
                        escalate(
                            1,
                            "ACC-0003",
                            &format!("Orders are refused, case {key}"),
                            &format!("k{key}"),
                        )
                    })
                    .collect();
                let answers = run(folder.path(), lines.as_bytes());
                assert!(answers.iter().all(|a| a["result"]["isError"] == false), "seed {seed}: {answers:?}");
                let count = effects(folder.path()).expect("a count");
                assert_eq!(count, u64::try_from(used.len()).expect("a small number"), "seed {seed}");
            }
        }
    }

    #[test]
    fn two_servers_over_one_folder_create_one_escalation() {
        let folder = folder();
        run(folder.path(), b"");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let line = escalate(1, "ACC-0001", "Orders are refused", "k1");
                    let answers = run(folder.path(), line.as_bytes());
                    assert_eq!(answers[0]["result"]["structuredContent"]["escalation_id"], "ESC-0001");
                });
            }
        });
        assert_eq!(effects(folder.path()).expect("a count"), 1);
    }

    #[test]
    fn no_malformed_line_ends_the_server() {
        let folder = folder();
        let ping = request(99, "server/discover", json!({}));
        let long = "x".repeat(MAX_MESSAGE_BYTES + 7);
        let mut lines = Vec::new();
        let bad: [&[u8]; 7] = [
            b"{",
            b"\xff\xfe",
            b"[]",
            b"null",
            br#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#,
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}"#,
            long.as_bytes(),
        ];
        for line in bad {
            lines.extend_from_slice(line);
            lines.push(b'\n');
        }
        lines.extend_from_slice(b"\n  \r\n");
        lines.extend_from_slice(ping.as_bytes());
        let answers = run(folder.path(), &lines);
        assert_eq!(answers.len(), bad.len() + 1);
        assert!(answers[..bad.len()].iter().all(|a| a["error"]["code"].is_i64()), "{answers:?}");
        assert_eq!(answers[bad.len()]["id"], 99);
        assert!(answers[bad.len()]["result"].is_object());
    }

    #[test]
    fn random_bytes_between_messages_lose_no_message() {
        let folder = folder();
        for seed in 0..20 {
            let mut seeded = Seeded::new(seed);
            let mut lines = Vec::new();
            for id in 0..5 {
                let noise = seeded.between(1, 40);
                // Any byte other than the line feed, after a letter that makes it no message.
                lines.push(b'x');
                lines.extend((0..noise).map(|_| u8::try_from(seeded.between(11, 255)).unwrap_or(b'x')));
                lines.push(b'\n');
                lines.extend_from_slice(request(id, "tools/list", json!({})).as_bytes());
            }
            let answered: Vec<Value> =
                run(folder.path(), &lines).into_iter().filter(|a| a["result"].is_object()).collect();
            assert_eq!(answered.len(), 5, "seed {seed}");
        }
    }

    #[test]
    fn a_message_of_exactly_the_longest_length_is_read() {
        let folder = folder();
        let mut line = request(1, "server/discover", json!({"padding": ""}));
        let padding = "p".repeat(MAX_MESSAGE_BYTES + 1 - line.len());
        line = request(1, "server/discover", json!({"padding": padding}));
        assert_eq!(line.len(), MAX_MESSAGE_BYTES + 1, "the line feed does not count");
        assert!(run(folder.path(), line.as_bytes())[0]["result"].is_object());
    }

    #[test]
    fn a_last_message_without_a_line_feed_is_answered() {
        let folder = folder();
        let line = request(5, "server/discover", json!({}));
        assert_eq!(run(folder.path(), line.trim_end().as_bytes())[0]["id"], 5);
    }

    #[test]
    fn a_client_that_closes_its_end_is_not_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let line = request(1, "server/discover", json!({}));
        assert!(serve(folder().path(), line.as_bytes(), Closed).is_ok());
    }

    #[test]
    fn notifications_and_cancellations_are_taken_without_an_answer() {
        let folder = folder();
        let lines = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,"reason":"late"}}
{"jsonrpc":"2.0","method":"notifications/unheard_of"}
{"jsonrpc":"2.0","method":"tools/call","params":{"name":"create_support_escalation"}}
{"jsonrpc":"2.0","id":3,"result":{}}
"#;
        assert!(run(folder.path(), lines.as_bytes()).is_empty());
        assert_eq!(effects(folder.path()).expect("a count"), 0);
    }
}

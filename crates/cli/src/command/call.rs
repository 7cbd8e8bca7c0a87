//! `quaymaster call`: one call, on the same path as any client's.

use clap::Args;
use quaymaster_core::json::parse_strict;
use quaymaster_core::{Arguments, Raw, Status};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::place::Place;
use super::signals::Signals;
use crate::failure::Failure;
use crate::out;

/// Calls a tool as the local user, on the same path as any client.
#[derive(Debug, Args)]
pub(crate) struct Call {
    #[command(flatten)]
    place: Place,
    /// The tool's name, as `tools list` shows it.
    tool: String,
    /// An argument as `name=value`; the value is JSON, or a text if it is no JSON.
    #[arg(value_name = "NAME=VALUE", value_parser = argument)]
    arguments: Vec<(String, Value)>,
    /// All arguments as one JSON object, instead of `name=value`.
    #[arg(long, value_name = "OBJECT", conflicts_with = "arguments")]
    arguments_json: Option<String>,
    /// Print the whole result as JSON.
    #[arg(long)]
    json: bool,
}

fn argument(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected `name=value`")?;
    if name.is_empty() {
        return Err("expected `name=value`".into());
    }
    // What is JSON, or begins as only JSON does, is read as strictly as a client's
    // message: a number that would change or a key that is there twice is no text.
    let json =
        serde_json::from_str::<IgnoredAny>(value).is_ok() || value.trim_start().starts_with(['{', '[', '"']);
    let value = if json { parse_strict(value).map_err(|e| e.to_string())? } else { Value::from(value) };
    Ok((name.to_owned(), value))
}

impl Call {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let arguments = self.arguments()?;
        let mut signals = Signals::new()?;
        let gateway = self.place.gateway().await?;
        let cancel = CancellationToken::new();
        let calling = gateway.call_as_local_user(&self.tool, arguments, cancel.clone());
        tokio::pin!(calling);
        // A call that was begun is driven to its end, so that its evidence is whole.
        let called = tokio::select! {
            called = &mut calling => called,
            () = signals.end() => {
                cancel.cancel();
                calling.await
            }
        };
        gateway.shutdown().await;
        let reply = called.map_err(|e| Failure::Usage(e.to_string()))?;
        if self.json {
            out::line(&reply.result)?;
        } else {
            let result: Value = serde_json::from_str(&reply.result).map_err(Failure::outside)?;
            let blocks = result.get("content").and_then(Value::as_array).into_iter().flatten();
            for text in blocks.filter_map(|block| block.get("text").and_then(Value::as_str)) {
                out::line(text)?;
            }
            out::line(format!("audit id: {}", reply.audit_id))?;
        }
        if matches!(reply.status, Status::Success | Status::Partial) { Ok(()) } else { Err(Failure::Told) }
    }

    fn arguments(&self) -> Result<Arguments, Failure> {
        let Some(text) = &self.arguments_json else {
            let mut map = Map::new();
            for (name, value) in &self.arguments {
                if map.insert(name.clone(), value.clone()).is_some() {
                    return Err(Failure::Usage(format!("the argument `{name}` is given twice")));
                }
            }
            return Ok(Arguments::from_map(map));
        };
        let wrong = |e: &dyn std::fmt::Display| Failure::Usage(format!("--arguments-json: {e}"));
        let raw = Raw::read(text).map_err(|e| wrong(&e))?;
        Arguments::parse(Some(raw)).map_err(|e| wrong(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_or_a_text_and_nothing_between() {
        let read = |text: &str| argument(text).map(|(_, value)| value.to_string());
        let text = |text: &str| Ok(Value::from(text).to_string());
        for json in ["1", "-2.5", "true", "null", "\"a\"", "[1,2]", "{\"a\":1}"] {
            assert_eq!(read(&format!("x={json}")).as_deref(), Ok(json));
        }
        for words in ["2026-01-01", "EMEA", "truth", "nullify", "-", "10s", "", "a=b", "it's [so]"] {
            assert_eq!(read(&format!("x={words}")), text(words), "{words}");
        }
        for bad in ["{\"a\":1,\"a\":2}", "{", "[1,", "\"open", "12345678901234567890123", "1e400"] {
            assert!(read(&format!("x={bad}")).is_err(), "{bad}");
        }
        assert!(argument("x").is_err() && argument("=1").is_err());
    }
}

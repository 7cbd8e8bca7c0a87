//! `quaymaster call`: one call, on the same path as any client's.

use clap::Args;
use quaymaster_core::{Arguments, Status};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::place::Place;
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
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((name.to_owned(), value))
}

impl Call {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let arguments = self.arguments()?;
        let gateway = self.place.gateway().await?;
        let called = gateway.call_as_local_user(&self.tool, arguments).await;
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
            let map: Map<String, Value> = self.arguments.iter().cloned().collect();
            return Ok(Arguments::from_map(map));
        };
        let wrong = |e: &dyn std::fmt::Display| Failure::Usage(format!("--arguments-json: {e}"));
        let raw = RawValue::from_string(text.clone()).map_err(|e| wrong(&e))?;
        Arguments::parse(Some(&raw)).map_err(|e| wrong(&e))
    }
}

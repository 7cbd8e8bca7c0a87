//! The tour's MCP client: what an agent sends, by hand.
//!
//! Speaks the stateless revision (2026-07-28) over plain HTTP/1.1 to loopback,
//! one connection a call, so that the tour takes the same way in as any client.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use quaymaster_control::approval::{Decider, Spoken, Verdict};
use quaymaster_control::audit::verify;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::{ApprovalId, SystemClock};
use quaymaster_gateway::{Office, StartOptions};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::ticketing;
use super::tour::{Demo, Persona, Step};

const REVISION: &str = "2026-07-28";
/// Longest time that one call may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer that is read.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// The tokens of a demo.
pub(crate) struct Tokens {
    /// Of somebody with the role `analyst`.
    pub(crate) analyst: Zeroizing<String>,
    /// Of somebody with the role `support`.
    pub(crate) support: Zeroizing<String>,
    /// Of somebody with the role `support_manager`.
    pub(crate) manager: Zeroizing<String>,
}

/// Somebody who visits a demo that serves.
pub(crate) struct Visitor {
    runtime: tokio::runtime::Handle,
    folder: PathBuf,
    address: SocketAddr,
    analyst: Zeroizing<String>,
    support: Zeroizing<String>,
    manager: Zeroizing<String>,
}

impl Visitor {
    /// A visitor with the tokens of everybody.
    pub(crate) fn new(
        runtime: tokio::runtime::Handle,
        folder: PathBuf,
        address: SocketAddr,
        Tokens { analyst, support, manager }: Tokens,
    ) -> Self {
        Self { runtime, folder, address, analyst, support, manager }
    }

    fn options(&self) -> StartOptions {
        StartOptions {
            folder: self.folder.clone(),
            clock: Arc::new(SystemClock),
            randomness: Arc::new(SystemRandomness),
        }
    }

    fn exchange(&self, step: &Step) -> anyhow::Result<Value> {
        let token = match step.persona {
            Persona::Analyst => &self.analyst,
            Persona::Support => &self.support,
        };
        let body = json!({
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {
                "name": step.tool,
                "arguments": step.arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": REVISION,
                    "io.modelcontextprotocol/clientInfo": {"name": "quaymaster-tour", "version": env!("CARGO_PKG_VERSION")},
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            },
        })
        .to_string();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             MCP-Protocol-Version: {REVISION}\r\nMcp-Method: tools/call\r\nMcp-Name: {}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            token.as_str(),
            step.tool,
            body.len(),
        );
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(Zeroizing::new(head).as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = String::new();
        stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
        // Without progress the answer is one JSON object, whose length is given.
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            bail!("the answer is a stream, though none was asked for");
        }
        serde_json::from_str(body)
            .with_context(|| format!("the answer is not JSON: {}", head.lines().next().unwrap_or("")))
    }
}

impl Demo for Visitor {
    fn call(&mut self, step: &Step) -> anyhow::Result<Value> {
        let answer = self.exchange(step)?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(anyhow!("a protocol error: {}", answer.get("error").unwrap_or(&Value::Null))),
        }
    }

    fn agree(&mut self, id: &str) -> anyhow::Result<String> {
        let id: ApprovalId = id.parse()?;
        self.runtime.block_on(async {
            let office = Office::open(self.options()).await?;
            let manager = office.visitor(Some(self.manager.as_str())).await?;
            let request =
                office.approvals().show(&manager, &id).await?.context("there is no such request")?;
            let evidence = office.evidence().await?;
            let decider = Decider { actor: &manager, channel: "tour" };
            let yes = Spoken { verdict: Verdict::Approve, comment: Some("seen on the tour".into()) };
            let answered = office.approvals().decide(decider, &id, yes, &evidence).await;
            evidence.audit.close().await;
            office.close().await;
            answered?;
            Ok(request.document.action)
        })
    }

    fn effects(&mut self) -> anyhow::Result<u64> {
        ticketing::effects(&self.folder.join("ticketing"))
    }

    fn verify_audit(&mut self) -> anyhow::Result<String> {
        let options = self.options();
        let found = self.runtime.block_on(async {
            let office = Office::open(options).await?;
            let found = verify(office.store()).await;
            office.close().await;
            anyhow::Ok(found?)
        })?;
        if !found.intact {
            bail!("the audit log is damaged: {}", found.problems.join("; "));
        }
        Ok(format!("{} records, root {}", found.records, found.root))
    }
}

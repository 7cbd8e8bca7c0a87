//! The members of a JSON-RPC message, each there once, and nothing else of it.

use std::borrow::Cow;

use super::{RpcError, no_json};
use crate::raw::scan::{Fault, Scanner};
use crate::raw::{Members, Parted, Raw};

/// The members of a message that are known; others may be there.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) jsonrpc: Option<Raw<'a>>,
    pub(super) id: Option<Raw<'a>>,
    pub(super) method: Option<Raw<'a>>,
    pub(super) params: Option<Raw<'a>>,
    pub(super) result: Option<Parted<'a>>,
    pub(super) error: Option<Raw<'a>>,
}

/// A member of a message.
enum Member<'a> {
    Result(Parted<'a>),
    Other(Cow<'a, str>, Raw<'a>),
}

impl<'a> Member<'a> {
    fn read(name: Cow<'a, str>, scanner: &mut Scanner<'a>) -> Result<Self, Fault> {
        match &*name {
            "result" => Parted::scan(scanner).map(Self::Result),
            _ => scanner.raw().map(|value| Self::Other(name, value)),
        }
    }
}

impl<'a> Envelope<'a> {
    /// Reads the members of `text`.
    ///
    /// # Errors
    ///
    /// As [`super::parse`].
    pub(super) fn read(text: &'a str) -> Result<Self, RpcError> {
        let mut members = match Members::read(text) {
            Ok(members) => members,
            Err(error) => {
                Raw::read(text).map_err(|e| no_json(&e))?;
                return Err(RpcError::invalid_request(&format!("not a JSON-RPC message: {error}")));
            }
        };
        let mut envelope = Self::default();
        while let Some(member) = members.next_read(Member::read) {
            let repeated = match member.map_err(|e| no_json(&e))? {
                Member::Result(result) => envelope.result.replace(result).map(|_| "result".into()),
                Member::Other(name, value) => {
                    let place = match &*name {
                        "jsonrpc" => &mut envelope.jsonrpc,
                        "id" => &mut envelope.id,
                        "method" => &mut envelope.method,
                        "params" => &mut envelope.params,
                        "error" => &mut envelope.error,
                        _ => continue,
                    };
                    place.replace(value).map(|_| name)
                }
            };
            if let Some(name) = repeated {
                let message = format!("not a JSON-RPC message: the member `{name}` is repeated");
                return Err(RpcError::invalid_request(&message));
            }
        }
        Ok(envelope)
    }
}

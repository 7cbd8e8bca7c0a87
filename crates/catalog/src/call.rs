//! A request that names a tool which its actor may see.

use std::sync::Arc;

use quaymaster_core::{CallError, CallRequest};

use crate::Tool;

/// A call of a tool that exists for this actor: the first stage of the path.
///
/// Only [`crate::View::resolve`] makes one, so whoever holds a `Call` knows that
/// the actor may see the tool. Nothing is said yet about whether it may run.
#[derive(Debug)]
pub struct Call {
    pub(crate) request: CallRequest,
    pub(crate) tool: Arc<Tool>,
}

impl Call {
    /// What was asked for.
    pub fn request(&self) -> &CallRequest {
        &self.request
    }

    /// The tool, at the version in force when the call arrived.
    pub fn tool(&self) -> &Arc<Tool> {
        &self.tool
    }

    /// Takes the call apart for the next stage.
    pub fn into_parts(self) -> (CallRequest, Arc<Tool>) {
        (self.request, self.tool)
    }
}

/// A request that names no tool of this actor.
#[derive(Debug)]
pub struct Unresolved {
    /// What was asked for.
    pub request: Box<CallRequest>,
    /// `tool.not_found`: the same for what is hidden and what does not exist.
    pub error: Box<CallError>,
}

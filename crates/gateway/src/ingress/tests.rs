//! Ingress on real sockets and pipes, before a door that stands in memory.

mod bad_input;
mod client;
pub(crate) mod harbour;
mod legacy;
mod lifecycle;
mod modern;
mod pages;
mod pipes;
mod questions;
mod routes;

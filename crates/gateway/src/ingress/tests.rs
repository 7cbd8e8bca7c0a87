//! Ingress on real sockets and pipes, before a door that stands in memory.

mod bad_input;
mod batches;
mod client;
pub(crate) mod harbour;
mod legacy;
mod lifecycle;
mod modern;
mod pages;
mod pipe_batches;
mod pipe_questions;
mod pipes;
mod questions;
mod resting;
mod retries;
mod routes;
mod streams;
mod sweeps;
mod task_tidings;
mod task_waits;
mod tasks;
mod watches;

//! What `quaymaster demo` shows: a company that nobody owns, and how it is governed.
//!
//! This module owns the demo's contents: the company's database ([`company`]),
//! its ticketing system as an MCP server ([`ticketing`]), the configuration that
//! a reader learns from ([`files`]), and the tour ([`tour`]). It serves nothing
//! and makes no tokens; the command that does is beside the other commands.
//!
//! Invariants:
//! - Everything is made by a seeded generator: two demos hold the same rows.
//! - No address or account number can belong to anyone; names are put together by chance.

pub(crate) mod client;
pub(crate) mod company;
pub(crate) mod files;
mod seeded;
pub(crate) mod ticketing;
pub(crate) mod tour;
mod world;

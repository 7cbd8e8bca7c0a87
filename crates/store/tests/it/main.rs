//! The store's promises, kept over both dialects.
//!
//! Each test is a function of a [`database::Database`], run once with a file and
//! once with a schema of its own on a real server. Tests that are about one
//! dialect alone are in `sqlite` and `postgres`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail; Clippy does not see that its functions are tests before the macro has named them"
)]

mod append;
mod approval;
mod contract;
mod database;
mod find;
mod guards;
mod head;
mod label;
mod letter;
mod lifecycle;
mod postgres;
mod race;
mod record;
mod sqlite;
mod subject;
mod token;
mod vault;

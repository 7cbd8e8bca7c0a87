//! The tools that agents are told of.
//!
//! Connectors declare tools; the [`Catalogue`] turns the declarations into
//! [`Tool`]s with one name, one contract and a compiled schema each; a [`View`]
//! is the part of the catalogue that one actor may see, and the only place where
//! a request becomes a [`Call`]. Who may see what is decided in
//! `quaymaster-control`; how a tool is run is in `quaymaster-connectors`.

mod call;
mod catalogue;
pub mod codex;
pub mod contract;
mod cost;
mod hidden;
mod listing;
pub mod own;
pub mod poison;
mod reason;
mod schema;
pub mod search;
mod shelf;
mod tool;
mod view;

pub use call::{Call, Unresolved};
pub use catalogue::{Catalogue, CatalogueProblem};
pub use shelf::{Listing, Page, Shelf};
pub use tool::{CheckedArguments, Ruled, Tool};
pub use view::View;

//! What is personal or secret in a text, and what is put in its place.

mod checksum;
mod context;
mod field;
mod hit;
mod internet;
pub mod kind;
mod labels;
mod numeric;
mod scan;
mod secrets;
mod street;
mod words;

pub use kind::{Family, Kind, KindSet};

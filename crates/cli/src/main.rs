//! The binary `quaymaster`.
fn main() {}

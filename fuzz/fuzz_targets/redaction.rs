//! Throws bytes at `checks/redaction.rs`.
#![no_main]

#[path = "../checks/redaction.rs"]
mod redaction;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| redaction::check(bytes));

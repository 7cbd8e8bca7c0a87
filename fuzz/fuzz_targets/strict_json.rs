//! Throws bytes at `checks/strict_json.rs`.
#![no_main]

#[path = "../checks/strict_json.rs"]
mod strict_json;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| strict_json::check(bytes));

//! Throws bytes at `checks/era.rs`.
#![no_main]

#[path = "../checks/era.rs"]
mod era;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| era::check(bytes));

//! What must hold for any text that is taken as JSON with one meaning.
//!
//! Used by the fuzz target and, with the corpus, by the gateway's tests.

use quaymaster_core::json::{canonical, parse_strict};
use serde_json::Value;

/// Fails if the strict reader and the canonical writer do not agree on `bytes`.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse_strict(text) {
        Ok(value) => {
            let written = canonical(&value);
            let read = parse_strict(&written).map(|again| canonical(&again));
            assert_eq!(read, Ok(written), "the canonical form reads back as itself");
            let lenient: Option<Value> = serde_json::from_str(text).ok();
            assert_eq!(lenient.as_ref(), Some(&value), "strict reading changes nothing that it accepts");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "a refusal says why"),
    }
}

//! How a secret looks, and where none may be.

use std::fs;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::places::Places;

/// Looks through what came out for what may not be in it.
#[derive(Default)]
pub(super) struct Traces {
    needles: Vec<(String, Vec<u8>)>,
    /// Made when first something is looked through.
    search: Option<AhoCorasick>,
    found: Vec<String>,
    looked_through: usize,
}

impl Traces {
    pub(super) fn new(places: &Places) -> Self {
        let mut traces = Self::default();
        for (place, secret) in places.all() {
            traces.watch_for(place, secret.as_bytes());
        }
        traces
    }

    /// Looks for `secret` from now on, in every spelling.
    pub(super) fn watch_for(&mut self, place: &str, secret: &[u8]) {
        assert!(secret.len() >= 16, "{place}: too short to be told from other texts");
        let mut add = |how: &str, needle: Vec<u8>| self.needles.push((format!("{place}, {how}"), needle));
        add("in hexadecimal", hex(secret).into_bytes());
        add("in upper-case hexadecimal", hex(secret).to_uppercase().into_bytes());
        let encoded = |byte: &u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(*byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        };
        let encoded: String = secret.iter().map(encoded).collect();
        if encoded.as_bytes() != secret {
            add("URL-encoded", encoded.into_bytes());
        }
        for (before, first) in [("", 0), ("x", 2), ("xx", 3)] {
            let shifted = [before.as_bytes(), secret].concat();
            let whole = shifted.len() * 8 / 6;
            for (name, text) in
                [("base64", STANDARD.encode(&shifted)), ("base64url", URL_SAFE_NO_PAD.encode(&shifted))]
            {
                add(name, text.as_bytes()[first..whole].to_vec());
            }
        }
        add("as it is", secret.to_vec());
        self.search = None;
    }

    /// Looks through `bytes`, which are `what`.
    pub(super) fn add(&mut self, what: &str, bytes: &[u8]) {
        if self.search.is_none() {
            self.search = AhoCorasick::new(self.needles.iter().map(|(_, needle)| needle)).ok();
        }
        let search = self.search.as_ref().expect("a search");
        self.looked_through += bytes.len();
        for hit in search.find_overlapping_iter(bytes) {
            let (place, needle) = &self.needles[hit.pattern().as_usize()];
            let around = bytes[hit.start().saturating_sub(200)..bytes.len().min(hit.end() + 50)].to_vec();
            let around = String::from_utf8_lossy(&around).replace(&*String::from_utf8_lossy(needle), "§");
            self.found.push(format!("{what}: {place}: …{around}…"));
        }
    }

    /// Looks through all files below `folder` but those that are there to hold a secret.
    pub(super) fn add_files(&mut self, folder: &Path, own: &[PathBuf]) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if own.contains(&entry) {
                continue;
            }
            if entry.is_dir() {
                self.add_files(&entry, own);
            } else {
                self.add(&entry.display().to_string(), &fs::read(&entry).expect("a file"));
            }
        }
    }

    /// Fails if there was any.
    pub(super) fn conclude(mut self) {
        assert!(self.looked_through > 100_000, "{} bytes were looked through", self.looked_through);
        self.found.sort();
        self.found.dedup();
        assert!(
            self.found.is_empty(),
            "{} traces:\n{}",
            self.found.len(),
            self.found[..self.found.len().min(20)].join("\n")
        );
    }
}

/// In lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn a_trace_is_found_in_whatever_spelling_and_place() {
    let secret = "cnry.a/secret+of 24 byte";
    for spelled in [
        secret.to_owned(),
        STANDARD.encode(format!("Authorization: Bearer {secret} and more")),
        STANDARD.encode(format!("xy{secret}")),
        URL_SAFE_NO_PAD.encode(format!("x{secret}")),
        "cnry.a%2Fsecret%2Bof%2024%20byte".to_owned(),
        hex(secret.as_bytes()).to_uppercase(),
    ] {
        let mut traces = Traces::default();
        traces.watch_for("a place", secret.as_bytes());
        traces.add("nothing", b"cnry.a/secret+of 24 bits");
        assert!(traces.found.is_empty());
        traces.add("something", format!("before {spelled} behind").as_bytes());
        assert!(!traces.found.is_empty(), "{spelled}");
        assert!(traces.found.iter().all(|told| !told.contains(&spelled)), "it is not shown again");
    }
}

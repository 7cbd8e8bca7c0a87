//! Replays the fuzz corpora on the stable compiler.
//!
//! The checks are those of the fuzz targets, so an input that fuzzing finds becomes
//! a test by being moved into `fuzz/corpus`.

use std::fs;
use std::path::Path;

#[path = "../../../../fuzz/checks/envelope.rs"]
mod envelope;
#[path = "../../../../fuzz/checks/era.rs"]
mod era;
#[path = "../../../../fuzz/checks/strict_json.rs"]
mod strict_json;

fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(corpus);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        eprintln!("{}", path.display());
        check(&fs::read(&path).expect("a file"));
        count += 1;
    }
    assert!(count >= 40, "only {count} files in {}", folder.display());
}

#[test]
fn every_envelope_of_the_corpus_is_one_message_or_is_refused() {
    replay("envelope", envelope::check);
}

#[test]
fn every_request_of_the_corpus_is_of_the_era_that_it_names() {
    replay("era", era::check);
}

#[test]
fn every_text_of_the_corpus_has_one_canonical_form_or_is_refused() {
    replay("strict_json", strict_json::check);
}

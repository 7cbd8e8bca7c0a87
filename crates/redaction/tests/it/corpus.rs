//! Replays the fuzz corpus on the stable compiler, as the gateway's tests do with theirs.

use std::fs;
use std::path::Path;

#[path = "../../../../fuzz/checks/redaction.rs"]
mod redaction;

#[test]
fn every_text_of_the_corpus_is_redacted_whole_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/redaction");
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        eprintln!("{}", path.display());
        redaction::check(&fs::read(&path).expect("a file"));
        count += 1;
    }
    assert!(count >= 40, "only {count} files in {}", folder.display());
}

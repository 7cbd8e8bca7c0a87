//! The tour checks itself; here that it is run and that it says so.

use std::process::Command;

use crate::gateway::BINARY;

#[test]
fn the_tour_passes_twice_on_one_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let done = Command::new(BINARY)
            .args(["demo", "--tour", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("demo"))
            .output()
            .expect("the binary");
        let output = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "{output}{}", String::from_utf8_lossy(&done.stderr));
        assert!(output.contains("11 of 11 steps went as they should"), "{output}");
    }
}

//! What it costs to go through a message of 1 MiB once: the scan that a result needs.
//!
//! `cargo run --release -p quaymaster-core --example scan`
//!
//! Prints the CPU time of one pass over a tool's result, as the gateway makes it: that the bytes are
//! UTF-8, where the message's members are, where the result's are. The least of many passes counts,
//! because other work on the machine only ever adds to it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use quaymaster_core::Raw;

const PASSES: u32 = 2_000;

fn main() {
    let text = "All work and no play makes a dull text. ".repeat(1024 * 1024 / 40);
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{text}"}}],"isError":false}}}}"#
    );
    let mut least = Duration::MAX;
    for _ in 0..PASSES {
        let began = Instant::now();
        black_box(pass(black_box(message.as_bytes())));
        least = least.min(began.elapsed());
    }
    #[expect(clippy::print_stdout, reason = "this is what it is for")]
    {
        println!("{} bytes: one pass takes {} µs", message.len(), least.as_micros());
    }
}

/// Goes through a message once and through its result once more; how many members were found.
fn pass(message: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(message).ok()?;
    let mut found = 0;
    for member in Raw::read(text).ok()?.members()? {
        let (name, raw) = member.ok()?;
        found += 1;
        if name == "result" {
            found += raw.members()?.flatten().count();
        }
    }
    Some(found)
}

//! A raw output can be neither read, nor printed, nor serialized.
use quaymaster_control::output::RawOutput;

fn look(raw: RawOutput) {
    let _ = raw.content;
}

fn print(raw: &RawOutput) -> String {
    format!("{raw}")
}

fn serialize(raw: &RawOutput) -> Result<String, serde_json::Error> {
    serde_json::to_string(raw)
}

fn main() {}

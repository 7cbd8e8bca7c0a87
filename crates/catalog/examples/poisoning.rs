//! What is found in texts: for each line of standard input, which is a JSON string, one line of JSON with
//! the findings. For `bench/poisoning`.

use std::io::{BufRead as _, Write as _};

use quaymaster_catalog::poison::inspect_text;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let text: String = serde_json::from_str(&line?)?;
        writeln!(output, "{}", serde_json::to_string(&inspect_text(&text))?)?;
    }
    Ok(())
}

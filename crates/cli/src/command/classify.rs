//! `quaymaster classify`: rules proposed from real results, for a person to accept.
//!
//! Nothing is called: results come from standard input. What is printed is where data is and how often it was
//! found, never what it is.

mod propose;
mod write;

use std::path::{Path, PathBuf};

use clap::Args;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::Randomness as _;
use quaymaster_gateway::config::load_classification;
use quaymaster_redaction::{Engine, KEY_BYTES, Key, RedactionConfig, Scope};
use serde_json::Value;
use zeroize::Zeroizing;

use self::propose::Evidence;
use super::redact::lines;
use crate::failure::Failure;
use crate::out;

/// Proposes rules for `classification.yaml` from results of a tool, one JSON value a line, from standard input.
///
/// A line is what `quaymaster call --json` prints, or the structured content of a result. Prints the rules as YAML,
/// each with how often the data was found where it names.
#[derive(Debug, Args)]
pub(crate) struct Classify {
    /// Propose rules from a sample of results.
    #[arg(long, required = true)]
    sample: bool,
    /// The tool that the results are of, by its public name.
    #[arg(long)]
    tool: String,
    /// The classification: what is looked for, and which rules are there already.
    #[arg(long, value_name = "FILE")]
    classification: Option<PathBuf>,
    /// Accept the rules: write them into the file, which keeps its comments and its order.
    #[arg(long, requires = "classification")]
    write: bool,
}

impl Classify {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let file = self.classification.as_deref().filter(|file| !self.write || file.exists());
        let (engine, known) = match file {
            Some(file) => {
                let loaded =
                    load_classification(file).map_err(|found| Failure::Configuration(Box::new(found)))?;
                (loaded.engine, loaded.config.rules)
            }
            None => {
                let engine = Engine::new(&RedactionConfig::default());
                (engine.map_err(|_| Failure::outside("the engine could not be made"))?, Vec::new())
            }
        };
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        SystemRandomness.fill(bytes.as_mut_slice());
        let key = Key::new(*bytes);
        let scope = Scope {
            workspace: "",
            session: "classify",
            tenant_key: &key,
            session_key: &key,
            vault: None,
            withheld: &[],
        };
        let mut evidence = Evidence::default();
        for (at, line) in (1_u64..).zip(lines()) {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let refused = |why: &dyn std::fmt::Display| Failure::Refused(format!("line {at}: {why}"));
            let result: Value = serde_json::from_str(line.trim()).map_err(|_| refused(&"it is not JSON"))?;
            evidence.add(&engine, &scope, &result).map_err(|refusal| refused(&refusal))?;
        }
        let rules = evidence.rules(&self.tool, &known);
        if rules.is_empty() {
            out::line("# nothing was found that no rule names")?;
            return Ok(());
        }
        match (&self.classification, self.write) {
            (Some(file), true) => accept(file, &rules),
            _ => out::line(format!("rules:\n{}", rules.join("\n"))),
        }
    }
}

/// Writes the rules into `file`, if it is a classification afterwards.
fn accept(file: &Path, rules: &[String]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::outside(format!("{}: {error}", file.display()));
    let before = if file.exists() { std::fs::read_to_string(file).map_err(failed)? } else { String::new() };
    let after = write::with_rules(&before, rules).map_err(Failure::Refused)?;
    let beside = file.with_extension("yaml.new");
    std::fs::write(&beside, &after).map_err(failed)?;
    if let Err(found) = load_classification(&beside) {
        let _ = std::fs::remove_file(&beside);
        return Err(Failure::Configuration(Box::new(found)));
    }
    std::fs::rename(&beside, file).map_err(failed)?;
    out::line(format!("{} rule(s) were written to {}", rules.len(), file.display()))
}

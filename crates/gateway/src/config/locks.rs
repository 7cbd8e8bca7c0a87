//! The files that pin contracts: `contracts/<connector>.lock.json`.
//!
//! What a pin means is `quaymaster_catalog::contract`'s part, what follows from one `integrity`'s.
//!
//! Invariant: a file that cannot be read is an error, and never the same as no file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quaymaster_catalog::contract::{LOCK_SUFFIX, Lock};

use super::diagnostic::{Code, Diagnostic, Problem, Source};
use super::folder::CONTRACTS_FOLDER;

/// The contracts that are pinned, by connector.
pub type Locks = Arc<BTreeMap<String, Lock>>;

/// The locks that `files` hold; `connectors` are those that there are.
pub(super) fn read(files: Vec<Source>, connectors: &BTreeSet<&str>) -> (Locks, Vec<Diagnostic>) {
    let mut locks = BTreeMap::new();
    let mut found = Vec::new();
    for file in files {
        // A definition has no place for a secret.
        let file = Arc::new(file.hiding(Some(Vec::new())));
        let name = file.path().strip_prefix(CONTRACTS_FOLDER).unwrap_or_default().trim_start_matches('/');
        let Some(name) = name.strip_suffix(LOCK_SUFFIX) else {
            let message = format!("not read: only `*{LOCK_SUFFIX}` files are");
            found.push(Problem::warning(Code::IgnoredFile, None, message).at_path(file.path()));
            continue;
        };
        match Lock::parse(file.text()) {
            Ok(lock) if lock.connector != name => {
                let message = format!(
                    "the file is of connector `{}` and would have to be called so",
                    lock.connector.escape_debug()
                );
                found.push(Problem::error(Code::Contract, None, message).at_path(file.path()));
            }
            Ok(lock) => {
                if !connectors.contains(name) {
                    let message = format!("there is no connector `{}`", name.escape_debug());
                    found.push(Problem::warning(Code::Contract, None, message).at_path(file.path()));
                }
                locks.insert(name.to_owned(), lock);
            }
            Err(problem) => {
                let help = "restore it from version control; or remove it and have it written anew with `quaymaster tools pin`";
                let problem = Problem::error(Code::Contract, None, problem.to_string());
                found.push(problem.help(help.to_owned()).at_path(file.path()));
            }
        }
    }
    (Arc::new(locks), found)
}

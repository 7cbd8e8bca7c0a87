//! The solver: cvc5, a process of its own, asked one question after the other.
//!
//! Invariants:
//! - It gets nothing of this process's environment but the path, and ends with the prover.
//! - Every question has an end; a solver that did not keep it is asked nothing more.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use cedar_policy_symcc::err::Error;
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use tokio::process::Command;
use tokio::time::timeout;

use super::{ProofError, Undecided};

/// The first version that the translation is made for.
pub(super) const LEAST: &str = "1.3";
const LEAST_PARTS: (u64, u64) = (1, 3);
/// How long the solver thinks about one question, as it counts the time itself.
const THINKS_MS: u64 = 20_000;
/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A solver that can be asked.
#[derive(Debug)]
pub struct Prover {
    program: OsString,
    path: OsString,
    compiler: Option<CedarSymCompiler<LocalSolver>>,
}

impl Prover {
    /// The solver `program`, a path or a name to be looked for in the folders of `path`.
    ///
    /// # Errors
    ///
    /// [`ProofError::NoSolver`] if it cannot be run, [`ProofError::OtherSolver`] if it is not cvc5 of
    /// version 1.3 or later.
    pub async fn find(program: OsString, path: OsString) -> Result<Self, ProofError> {
        let name = program.to_string_lossy().into_owned();
        let none = || ProofError::NoSolver { program: name.clone() };
        let mut asked = command(&program, &path);
        asked.arg("--version").stdin(Stdio::null());
        let said = timeout(PATIENCE, asked.output()).await.map_err(|_| none())?.map_err(|_| none())?;
        let said = String::from_utf8_lossy(&said.stdout);
        let line: String = said.lines().next().unwrap_or_default().chars().take(120).collect();
        if version(&line).is_none_or(|version| version < LEAST_PARTS) {
            return Err(ProofError::OtherSolver { program: name, said: line.escape_debug().to_string() });
        }
        Ok(Self { program, path, compiler: None })
    }

    /// A call that `set` allows, if there is one.
    pub(super) async fn allows(&mut self, set: &CompiledPolicySet) -> Result<Option<Env>, Undecided> {
        let mut compiler = self.compiler()?;
        let found = timeout(PATIENCE, compiler.check_always_denies_with_counterexample_opt(set)).await;
        self.kept(compiler, found.ok())
    }

    /// A call that `ours` allows and `theirs` does not, if there is one.
    pub(super) async fn allows_beyond(
        &mut self,
        ours: &CompiledPolicySet,
        theirs: &CompiledPolicySet,
    ) -> Result<Option<Env>, Undecided> {
        let mut compiler = self.compiler()?;
        let found = timeout(PATIENCE, compiler.check_implies_with_counterexample_opt(ours, theirs)).await;
        self.kept(compiler, found.ok())
    }

    /// Whether both sets decide alike on every call.
    pub(super) async fn alike(
        &mut self,
        one: &CompiledPolicySet,
        other: &CompiledPolicySet,
    ) -> Result<bool, Undecided> {
        let mut compiler = self.compiler()?;
        let found = timeout(PATIENCE, compiler.check_equivalent_opt(one, other)).await;
        self.kept(compiler, found.ok())
    }

    /// Whether there is no call of which both hold.
    pub(super) async fn disjoint(
        &mut self,
        one: &CompiledPolicy,
        other: &CompiledPolicy,
    ) -> Result<bool, Undecided> {
        let mut compiler = self.compiler()?;
        let found = timeout(PATIENCE, compiler.check_matches_disjoint_opt(one, other)).await;
        self.kept(compiler, found.ok())
    }

    /// Whether `policy` can be evaluated for every call; false where that is not known.
    pub(super) async fn never_errs(&mut self, policy: &CompiledPolicy) -> Result<bool, ProofError> {
        let failed = |why| match why {
            Undecided::NoAnswer => Ok(false),
            Undecided::Failed(message) => Err(ProofError::Solver(message)),
        };
        let mut compiler = self.compiler().map_err(|why| match why {
            Undecided::Failed(message) => ProofError::Solver(message),
            Undecided::NoAnswer => ProofError::Solver(super::NO_ANSWER.into()),
        })?;
        let found = timeout(PATIENCE, compiler.check_never_errors_opt(policy)).await;
        self.kept(compiler, found.ok()).or_else(failed)
    }

    /// The process that was asked last, or a new one.
    fn compiler(&mut self) -> Result<CedarSymCompiler<LocalSolver>, Undecided> {
        if let Some(compiler) = self.compiler.take() {
            return Ok(compiler);
        }
        let mut started = command(&self.program, &self.path);
        started.args(["--lang", "smt", &format!("--tlimit-per={THINKS_MS}")]);
        let solver = LocalSolver::from_command(&mut started).map_err(|e| Undecided::Failed(e.to_string()))?;
        CedarSymCompiler::new(solver).map_err(|e| Undecided::Failed(e.to_string()))
    }

    /// Keeps a process for the next question that answered this one; any other ends here.
    fn kept<T>(
        &mut self,
        compiler: CedarSymCompiler<LocalSolver>,
        found: Option<Result<T, Error>>,
    ) -> Result<T, Undecided> {
        match found {
            Some(Ok(found)) => {
                self.compiler = Some(compiler);
                Ok(found)
            }
            Some(Err(Error::SolverUnknown)) | None => Err(Undecided::NoAnswer),
            Some(Err(error)) => Err(Undecided::Failed(error.to_string())),
        }
    }
}

fn command(program: &OsString, path: &OsString) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", path).kill_on_drop(true);
    command
}

/// The first two parts of the version in what cvc5 says of itself.
fn version(line: &str) -> Option<(u64, u64)> {
    let version = line.split_once("cvc5 version ")?.1.split_whitespace().next()?;
    let mut parts = version.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_as_cvc5_says_it() {
        assert_eq!(version("This is cvc5 version 1.4.2 [git tag 1.4.2 branch HEAD]"), Some((1, 4)));
        assert_eq!(version("This is cvc5 version 1.3.1-dev"), Some((1, 3)));
        assert_eq!(version("Z3 version 4.13.0"), None);
        assert_eq!(version(""), None);
    }

    #[tokio::test]
    async fn what_is_no_solver_is_said_with_a_stable_code() {
        let path = || OsString::from("/usr/bin:/bin");
        let none = Prover::find("no-such-solver".into(), path()).await.expect_err("none");
        assert_eq!(none.code(), "proof.no_solver");
        let other = Prover::find("true".into(), path()).await.expect_err("not a solver");
        assert_eq!(other.code(), "proof.other_solver");
    }
}

//! How a command ends when it does not end well: what is said, and the exit code.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use quaymaster_control::incident::IncidentError;
use quaymaster_core::CallError;
use quaymaster_gateway::config::{Diagnostics, Style};
use quaymaster_gateway::{OfficeError, StartError};

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for failed; it has been said already.
    Told,
    /// What was asked for is refused.
    Refused(String),
    /// The command line asks for something that cannot be.
    Usage(String),
    /// The configuration is not valid; it has been said already.
    Invalid,
    /// The configuration is not valid.
    Configuration(Box<Diagnostics>),
    /// Something outside failed.
    Outside(String),
}

impl Failure {
    /// Something outside failed: a file, a port, the store.
    pub(crate) fn outside(error: impl Display) -> Self {
        Self::Outside(error.to_string())
    }

    /// Says what happened on standard error and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (text, code) = match self {
            Self::Told => (String::new(), 1),
            Self::Invalid => (String::new(), 3),
            Self::Refused(message) => (format!("error: {message}\n"), 1),
            Self::Usage(message) => (format!("error: {message}\n"), 2),
            Self::Configuration(found) => (found.render(style(std::io::stderr().is_terminal())), 3),
            Self::Outside(message) => (format!("error: {message}\n"), 4),
        };
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
        ExitCode::from(code)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Configuration(found) => Self::Configuration(found),
            other => Self::outside(other),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        Self::Refused(format!("{error}{hint}"))
    }
}

impl From<OfficeError> for Failure {
    fn from(error: OfficeError) -> Self {
        match error {
            OfficeError::Start(error) => error.into(),
            OfficeError::Refused(message) | OfficeError::Incident(IncidentError::Refused(message)) => {
                Self::Usage(message)
            }
            OfficeError::Login(_) => Self::Refused(error.to_string()),
            OfficeError::Identity(error) => Self::from(error),
            OfficeError::Incident(error) => Self::outside(error),
            OfficeError::Ledger(error) => Self::outside(error),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Outside(format!("{error:#}"))
    }
}

/// How diagnostics are shown where people read them, and where programs do.
pub(crate) fn style(terminal: bool) -> Style {
    if terminal { Style::Coloured } else { Style::Plain }
}

//! `quaymaster schema`: the JSON Schema of a configuration file, for editors.

use clap::{Args, ValueEnum};
use quaymaster_gateway::config::schema;

use crate::failure::Failure;
use crate::out;

/// Prints the JSON Schema of a configuration file.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Which file.
    file: File,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum File {
    /// `quaymaster.yaml`
    Config,
    /// A file in `connectors/`
    Connector,
    /// `classification.yaml`
    Classification,
    /// A file `policies/*.test.yaml`
    PolicyTests,
}

impl Schema {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let schema = match self.file {
            File::Config => schema::config(),
            File::Connector => schema::connector(),
            File::Classification => schema::classification(),
            File::PolicyTests => schema::policy_tests(),
        };
        out::line(format!("{schema:#}"))
    }
}

//! A small installation to start gateways on: one database with two tools.

use std::path::Path;
use std::sync::Arc;

use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::SystemClock;
use quaymaster_gateway::{Gateway, StartError, StartOptions};

pub(crate) const SETTINGS: &str = "\
apiVersion: quaymaster/v1
workspaces: { sales: {}, lab: {} }
defaultWorkspace: sales
roles: { analyst: { clearance: internal } }
localUser: { roles: [analyst] }
";

/// `near` is kept to `sales`; `far` is wherever the connector is.
const NUMBERS: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: numbers
  version: 1.0.0
  owner: { team: data, contact: data@example.test }
  workspaces: [sales, lab]
spec:
  engine: sql
  connection: { dialect: sqlite, path: ./numbers.db, session: { statementTimeout: 5s } }
  limits: { timeout: 10s }
  classification: { default: internal }
  tools:
    - name: near
      effect: read
      description: A number that is kept to one workspace of the connector.
      access: { roles: [analyst], workspaces: [sales] }
      template: { version: 1, statement: SELECT 1 AS number }
    - name: far
      effect: read
      description: A number that is in every workspace of the connector.
      access: { roles: [analyst] }
      template: { version: 1, statement: SELECT 2 AS number }
";

/// A folder with a configuration that holds together.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [
        ("quaymaster.yaml", SETTINGS),
        ("connectors/numbers.yaml", NUMBERS),
        ("policies/none.cedar", ""),
        ("numbers.db", ""),
    ];
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

/// What starting in `folder` takes.
pub(crate) fn options(folder: &Path) -> StartOptions {
    StartOptions {
        folder: folder.to_owned(),
        clock: Arc::new(SystemClock),
        randomness: Arc::new(SystemRandomness),
    }
}

/// Starts a gateway on `folder`.
pub(crate) async fn start(folder: &Path) -> Result<Arc<Gateway>, StartError> {
    Gateway::start(options(folder)).await
}

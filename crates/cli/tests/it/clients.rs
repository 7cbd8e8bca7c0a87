//! A home folder with the files of other MCP clients, and the binary run in it.

mod connect;
mod import;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::gateway::{BINARY, Ran};

const SETTINGS: &str = "\
apiVersion: quaymaster/v1
listen: { address: 127.0.0.1:8080 }
workspaces: { sales: { title: Sales } }
defaultWorkspace: sales
roles: { analyst: { clearance: internal } }
localUser: { roles: [analyst] }
";

/// What every secret in the files beside this module has in it.
const SECRET: &str = "hunter2";

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// A home with a configuration in `harbour`, and programs `node` and `npx` that do nothing.
    fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder") };
        home.write("harbour/quaymaster.yaml", SETTINGS);
        home.write("harbour/connectors/.keep", "");
        home.write("harbour/policies/.keep", "");
        home.write("project/.keep", "");
        home.program("node", "exit 1");
        home.program("npx", "exit 1");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    /// Puts a script on the path.
    fn program(&self, name: &str, script: &str) {
        self.write(&format!("bin/{name}"), &format!("#!/bin/bash\n{script}\n"));
        fs::set_permissions(self.path(&format!("bin/{name}")), fs::Permissions::from_mode(0o755))
            .expect("executable");
    }

    /// Runs the binary with this home, in its project; `harbour` is the configuration.
    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        let done = Command::new(BINARY)
            .args(arguments)
            .arg("--config")
            .arg(self.path("harbour"))
            .current_dir(self.path("project"))
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .envs(environment.iter().copied())
            .output()
            .expect("the binary");
        Ran {
            code: done.status.code().unwrap_or(-1),
            output: self.shown(&String::from_utf8(done.stdout).expect("UTF-8")),
            complaint: self.shown(&String::from_utf8(done.stderr).expect("UTF-8")),
        }
    }

    /// `text` without what is different each time.
    fn shown(&self, text: &str) -> String {
        let text = text.replace(&self.folder.path().display().to_string(), "[HOME]");
        text.replace(&Path::new(BINARY).display().to_string(), "[QUAYMASTER]")
    }

    /// The names of all files below `folder`, sorted.
    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect(folder);
        let names = entries.map(|entry| entry.expect("an entry").file_name().display().to_string());
        let mut names: Vec<String> = names.filter(|name| name != ".keep").collect();
        names.sort();
        names
    }
}

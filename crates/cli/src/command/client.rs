//! The MCP clients that people have, and where each keeps its servers.
//!
//! What stands in those files is read by `import` and changed by `connect`. This
//! module knows the places and the two languages ([`jsonc`], [`toml`]).
//!
//! Invariant: every place is found from the variables of the process, read once
//! here, so a test gives another home and touches nobody's own.

pub(crate) mod jsonc;
pub(crate) mod toml;

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::Value;

use crate::failure::Failure;

/// Largest file of a client that is read, in bytes. Claude Code keeps much else in its own.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A client of which we know where it keeps its servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// `OpenAI` Codex: `~/.codex/config.toml`
    Codex,
    /// Claude Code: `~/.claude.json` and `.mcp.json`
    ClaudeCode,
    /// Cursor: `~/.cursor/mcp.json` and `.cursor/mcp.json`
    Cursor,
    /// VS Code: the user's `mcp.json` and `.vscode/mcp.json`
    Vscode,
}

impl Client {
    /// The name that people know it by.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Codex => "Codex",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::Vscode => "VS Code",
        }
    }

    /// The key under which its files hold the servers.
    pub(crate) fn servers_key(self) -> &'static str {
        match self {
            Self::Codex => "mcp_servers",
            Self::ClaudeCode | Self::Cursor => "mcpServers",
            Self::Vscode => "servers",
        }
    }

    /// Reads a text of one of its files.
    ///
    /// # Errors
    ///
    /// The line at which it cannot be read, and nothing of what stands there.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Codex => toml::parse(text).map_err(|e| e.to_string()),
            _ => jsonc::parse(text).map(|root| root.to_value()).map_err(|e| e.to_string()),
        }
    }
}

/// What of the process's environment decides where things are.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// The person's home folder.
    pub(crate) home: PathBuf,
    /// Where programs are looked for.
    path: OsString,
    /// The current folder.
    pub(crate) folder: PathBuf,
    codex: Option<PathBuf>,
    claude: Option<PathBuf>,
    settings: Option<PathBuf>,
}

impl Surroundings {
    /// The surroundings of this process.
    pub(crate) fn of_process() -> Result<Self, Failure> {
        let folder_in =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = folder_in("HOME").ok_or_else(|| Failure::outside("HOME is not set"))?;
        Ok(Self {
            home,
            path: std::env::var_os("PATH").unwrap_or_default(),
            folder: std::env::current_dir().map_err(Failure::outside)?,
            codex: folder_in("CODEX_HOME"),
            claude: folder_in("CLAUDE_CONFIG_DIR"),
            settings: folder_in("XDG_CONFIG_HOME"),
        })
    }

    /// The file in which `client` keeps the servers of this person, wherever they work.
    pub(crate) fn user_file(&self, client: Client) -> PathBuf {
        match client {
            Client::Codex => {
                self.codex.clone().unwrap_or_else(|| self.home.join(".codex")).join("config.toml")
            }
            Client::ClaudeCode => self.claude.as_ref().unwrap_or(&self.home).join(".claude.json"),
            Client::Cursor => self.home.join(".cursor/mcp.json"),
            Client::Vscode if cfg!(target_os = "macos") => {
                self.home.join("Library/Application Support/Code/User/mcp.json")
            }
            Client::Vscode => {
                let settings = self.settings.clone().unwrap_or_else(|| self.home.join(".config"));
                settings.join("Code/User/mcp.json")
            }
        }
    }

    /// All files in which `client` may keep servers: the person's, then those of the current folder.
    pub(crate) fn files(&self, client: Client) -> Vec<PathBuf> {
        let of_project = match client {
            Client::Codex => ".codex/config.toml",
            Client::ClaudeCode => ".mcp.json",
            Client::Cursor => ".cursor/mcp.json",
            Client::Vscode => ".vscode/mcp.json",
        };
        let mut files = vec![self.user_file(client), self.folder.join(of_project)];
        files.dedup();
        files
    }

    /// Where the program `name` is, if it is on the path.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        let folders = std::env::split_paths(&self.path).filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(name)).find(|file| is_program(file))
    }

    /// `path` as it is shown: from `~` on where it lies in the home folder.
    pub(crate) fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.home) {
            Ok(below) => format!("~/{}", below.display()),
            Err(_) => path.display().to_string(),
        }
    }
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// The text of `file`; `None` if there is no such file.
///
/// # Errors
///
/// Why it cannot be read, without its content.
pub(crate) fn read_text(file: &Path) -> Result<Option<String>, String> {
    match std::fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        // Looked at before opening, because opening a pipe would wait for its writer.
        Ok(found) if !found.is_file() => return Err("not a file".into()),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|e| e.to_string())?;
    opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("the file has more than {} MiB", MAX_FILE_BYTES / (1024 * 1024)));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| "not UTF-8 text".into())
}

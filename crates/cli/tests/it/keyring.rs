//! Secrets of the desktop's keyring: a real one (`gnome-keyring`) on a bus of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::gateway::{BINARY, Demo};
use crate::stand_in::{Request, serve_http};

const NAMED: &str = "
secrets:
  named:
    IN_RING: { keyring: { service: quaymaster, account: crm } }
";

const CONNECTOR: &str = "
apiVersion: connector/v1
kind: Connector
metadata: { name: ring, version: 1.0.0, owner: { team: a, contact: a@example.test }, workspaces: [sales] }
spec:
  engine: mcp
  prefix: ring
  server: { transport: http, url: http://@ADDRESS@/mcp, headers: { X-Key: \"${secret:IN_RING}\" } }
  limits: { timeout: 10s }
  classification: { default: internal }
  tools: [{ name: go, effect: read, access: { roles: [analyst] } }]
";

/// Runs a script on a session bus with an open keyring; what it prints.
fn with_keyring(folder: &Path, script: &str) -> String {
    let place = tempfile::tempdir().expect("a folder");
    let unlocked =
        format!("printf '\\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null\n{script}");
    let done = Command::new("dbus-run-session")
        .args(["--", "sh", "-c", &unlocked])
        .current_dir(folder)
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env("HOME", place.path())
        .env("XDG_RUNTIME_DIR", place.path())
        .env("QUAYMASTER", BINARY)
        .stdin(Stdio::null())
        .output()
        .expect("dbus-run-session: install dbus, gnome-keyring and libsecret-tools");
    String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
}

#[test]
fn a_secret_comes_from_the_keyring_and_it_is_told_apart_why_it_does_not() {
    let mut demo = Demo::start();
    demo.terminate();
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let address = serve_http(move |request: &Request| {
        seen.lock().expect("no panic").extend(request.headers.get("x-key").cloned());
        (404, "{}".into())
    });
    let settings = demo.folder.join("quaymaster.yaml");
    let text = fs::read_to_string(&settings).expect("the settings");
    fs::write(&settings, text + NAMED).expect("written");
    let connector = CONNECTOR.replace("@ADDRESS@", &address.to_string());
    fs::write(demo.folder.join("connectors/ring.yaml"), connector).expect("written");

    let empty = with_keyring(&demo.folder, "\"$QUAYMASTER\" check");
    assert!(empty.contains("secret.not_found: secret `IN_RING` is not set"), "{empty}");

    let script = "printf %s key-of-the-ring-1 | secret-tool store --label=crm service quaymaster account crm\n\
                  \"$QUAYMASTER\" check && \"$QUAYMASTER\" upstreams --json";
    let stored = with_keyring(&demo.folder, script);
    assert!(stored.contains("the configuration is valid"), "{stored}");
    assert!(!stored.contains("key-of-the-ring-1"), "{stored}");
    let keys = keys.lock().expect("no panic").clone();
    assert!(!keys.is_empty() && keys.iter().all(|key| key == "key-of-the-ring-1"), "{keys:?}");

    let without = Command::new(BINARY)
        .arg("check")
        .current_dir(&demo.folder)
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env_remove("DISPLAY")
        .env("XDG_RUNTIME_DIR", demo.folder.join("nowhere"))
        .output()
        .expect("the binary");
    let said = String::from_utf8_lossy(&without.stdout);
    assert!(
        said.contains("secret.unavailable: secret `IN_RING` cannot be had now: there is no keyring"),
        "{said}"
    );
}

//! Secrets of sources outside of the process: a server on loopback, and real programs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quaymaster_connectors::IssuerWeb;
use quaymaster_control::secrets::Secrets;
use quaymaster_control::secrets::config::SecretsConfig;
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{LiveSecret, SecretError, SecretRef, SecretSource as _, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::stand_in::{StandIn, State};

struct World {
    folder: tempfile::TempDir,
    clock: Arc<FixedClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_micros(1_000_000_000)));
        Self { folder: tempfile::tempdir().expect("a folder"), clock }
    }

    /// Secrets as `section` says; files are in the world's folder.
    fn secrets(&self, section: &Value) -> Secrets {
        let mut section = section.clone();
        section["files"] = json!(".");
        let config: SecretsConfig = serde_json::from_value(section).expect("a section of the right form");
        let settings = config.check(self.folder.path()).unwrap_or_else(|problems| panic!("{problems:#?}"));
        Secrets::new(settings, Arc::new(IssuerWeb::default()), Arc::clone(&self.clock) as _)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
        path
    }

    /// A program that notes that it ran.
    fn program(&self, script: &str) -> PathBuf {
        let noted = self.folder.path().join("ran");
        self.write("program", &format!("#!/bin/sh\necho >>{}\n{script}\n", noted.display()), 0o700)
    }

    fn ran(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("ran")).map_or(0, |text| text.lines().count())
    }

    fn command(&self, script: &str) -> Secrets {
        self.secrets(&json!({"named": {"KEY": {"command": {"argv": [self.program(script), "crm"]}}}}))
    }
}

fn reference(name: &str) -> SecretRef {
    SecretRef::parse(&format!("${{secret:{name}}}")).expect("a reference")
}

fn resolved(secrets: &Secrets, name: &str) -> Result<String, SecretError> {
    secrets.resolve(&reference(name)).map(|secret| secret.expose_secret().to_owned())
}

fn now(secret: &Arc<dyn LiveSecret>) -> Option<String> {
    secret.now().map(|value| value.text.expose_secret().to_owned())
}

/// Waits until `condition` holds; for what tells nobody when it happens.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::yield_now();
    }
}

fn server() -> StandIn {
    let mut state = State::default();
    state.tokens.insert("root-token-1".into(), None);
    let crm = vec![json!({"token": "crm-token-v1"}), json!({"token": "crm-token-v2", "number": 5})];
    state.entries.insert("secret/team/crm".into(), crm);
    state.entries.insert("secret/gone".into(), vec![json!({"token": "x"}), Value::Null]);
    state.ciphertexts.insert("vault:v1:abcdef".into(), "c2VhbGVkLXNlY3JldA==".into());
    StandIn::serve(state)
}

fn of_server(server: &StandIn) -> Value {
    let kv = |path: &str, field: &str| json!({"vault": {"server": "corp", "path": path, "field": field}});
    let mut first = kv("team/crm", "token");
    first["vault"]["version"] = 1.into();
    json!({
        "vaults": {"corp": {"url": server.url(), "token": "${secret:VAULT_TOKEN}"}},
        "named": {
            "NEWEST": kv("team/crm", "token"),
            "FIRST": first,
            "NUMBER": kv("team/crm", "number"),
            "NO_FIELD": kv("team/crm", "password"),
            "NO_ENTRY": kv("team/other", "token"),
            "GONE": kv("gone", "token"),
            "SEALED": {"transit": {"server": "corp", "key": "quaymaster", "ciphertext": "${secret:CIPHERTEXT}"}},
        }
    })
}

#[test]
fn a_server_gives_entries_by_version_and_opens_ciphertexts() {
    let (world, server) = (World::new(), server());
    world.write("VAULT_TOKEN", "root-token-1\n", 0o600);
    world.write("CIPHERTEXT", "vault:v1:abcdef\n", 0o600);
    let secrets = world.secrets(&of_server(&server));
    assert_eq!(resolved(&secrets, "NEWEST"), Ok("crm-token-v2".into()));
    assert_eq!(resolved(&secrets, "FIRST"), Ok("crm-token-v1".into()));
    assert_eq!(resolved(&secrets, "SEALED"), Ok("sealed-secret".into()));
    let told = ["NUMBER", "NO_FIELD", "NO_ENTRY", "GONE"].map(|name| {
        let error = resolved(&secrets, name).expect_err(name);
        format!("{}: {error}", error.code())
    });
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(server.count("GET /v1/secret/data/team/crm?version=1"), 1);
}

#[test]
fn a_server_is_asked_in_its_namespace_by_a_role_which_logs_in_again_when_its_token_ended() {
    let (world, server) = (World::new(), server());
    {
        let mut state = server.state();
        state.namespace = Some("team-a".into());
        state.role = Some(("role-1".into(), "secret-id-1".into(), Some(1)));
        state.lease_s = 600;
    }
    world.write("SECRET_ID", "secret-id-1", 0o600);
    let mut section = of_server(&server);
    section["vaults"]["corp"] = json!({
        "url": server.url(), "namespace": "team-a",
        "appRole": {"roleId": "role-1", "secretId": "${secret:SECRET_ID}"}
    });
    let secrets = world.secrets(&section);
    assert_eq!(resolved(&secrets, "NEWEST"), Ok("crm-token-v2".into()));
    assert_eq!(server.count("/login"), 1);
    // The token is good for one question: the next is refused, and another log-in answers it.
    assert_eq!(resolved(&secrets, "FIRST"), Ok("crm-token-v1".into()));
    assert_eq!(server.count("/login"), 2);
    world.write("SECRET_ID", "another", 0o600);
    world.clock.advance(Duration::from_hours(1));
    let error = resolved(&secrets, "NO_FIELD").expect_err("no log-in");
    assert_eq!(error.code(), "secret.denied");
    assert!(!error.to_string().contains("another"), "{error}");
}

#[test]
fn a_server_that_refuses_or_fails_is_told_apart_and_says_nothing() {
    let (world, server) = (World::new(), server());
    world.write("VAULT_TOKEN", "a-wrong-token", 0o600);
    let secrets = world.secrets(&of_server(&server));
    let error = resolved(&secrets, "NEWEST").expect_err("refused");
    insta::assert_snapshot!(
        format!("{}: {error}", error.code()),
        @"secret.denied: secret `NEWEST` is refused: the server `corp` does not permit it to this gateway"
    );
    assert_eq!(server.count("/data/"), 2, "the token is read once more, and not again and again");
    server.state().fault = Some(503);
    let error = resolved(&secrets, "FIRST").expect_err("a fault");
    assert_eq!(error.code(), "secret.unavailable");
    assert!(error.to_string().ends_with("HTTP status 503"), "{error}");
    let mut nowhere = of_server(&server);
    nowhere["vaults"]["corp"]["url"] = "http://127.0.0.1:1".into();
    let error = resolved(&world.secrets(&nowhere), "NEWEST").expect_err("nobody there");
    assert_eq!(error.code(), "secret.unavailable");
}

#[test]
fn what_a_server_gave_is_used_for_its_lease_and_a_while_longer_if_the_server_is_away() {
    let (world, server) = (World::new(), server());
    server.state().lease_s = 60;
    world.write("VAULT_TOKEN", "root-token-1", 0o600);
    let mut section = of_server(&server);
    section["stale"] = "5m".into();
    let secrets = world.secrets(&section);
    let secret = secrets.follow(&reference("NEWEST")).expect("a secret");
    for _ in 0..100 {
        assert_eq!(now(&secret).as_deref(), Some("crm-token-v2"));
    }
    assert_eq!(server.count("/data/"), 1, "nobody is asked while it is fresh");
    server.state().entries.insert("secret/team/crm".into(), vec![json!({"token": "crm-token-v3"})]);
    world.clock.advance(Duration::from_secs(46));
    assert!(now(&secret).is_some(), "who takes it does not wait");
    eventually("it is asked for aside", || now(&secret).as_deref() == Some("crm-token-v3"));
    server.state().fault = Some(500);
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(now(&secret).as_deref(), Some("crm-token-v3"), "the server is away");
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(now(&secret), None, "too old to be used");
    server.state().fault = None;
    eventually("it is back", || {
        // A source that failed is left alone for a moment.
        world.clock.advance(Duration::from_secs(5));
        resolved(&secrets, "NEWEST") == Ok("crm-token-v3".into())
    });
}

#[test]
fn what_is_gone_at_its_server_is_not_used_any_more() {
    let (world, server) = (World::new(), server());
    world.write("VAULT_TOKEN", "root-token-1", 0o600);
    let secrets = world.secrets(&of_server(&server));
    let secret = secrets.follow(&reference("NEWEST")).expect("a secret");
    server.state().entries.clear();
    world.clock.advance(Duration::from_mins(6));
    let _ = now(&secret);
    eventually("it is gone", || now(&secret).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_value_is_asked_for_once_by_all_who_are_refused_and_not_too_often() {
    let world = World::new();
    let count = world.folder.path().join("count");
    let secrets = world.command(&format!("echo x >>{0}; echo key-number-$(wc -l <{0})", count.display()));
    let secret = tokio::task::block_in_place(|| secrets.follow(&reference("KEY"))).expect("a secret");
    let first = secret.now().expect("a value");
    assert_eq!((first.generation, first.text.expose_secret()), (0, "key-number-1"));
    let all = (0..20).map(|_| {
        let secret = Arc::clone(&secret);
        tokio::spawn(async move { secret.renew(Some(0)).await.expect("a value").generation })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.expect("no panic"), 1);
    }
    assert_eq!(world.ran(), 2, "one question for all");
    assert_eq!(secret.renew(Some(1)).await.expect("a value").generation, 1, "not again so soon");
    assert_eq!(world.ran(), 2);
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(secret.renew(Some(1)).await.expect("a value").generation, 2);
}

#[test]
fn a_program_gets_no_environment_no_shell_and_no_more_time_than_it_has() {
    let world = World::new();
    let secrets = world.command("test -z \"$CARGO_PKG_NAME\" && echo \"$1-of-a-program\"");
    assert_eq!(resolved(&secrets, "KEY"), Ok("crm-of-a-program".into()));
    for (script, code, says) in [
        ("exit 3", "secret.unavailable", "exit code 3"),
        ("true", "secret.unusable", "empty"),
        ("head -c 70000 /dev/zero | tr '\\0' x; sleep 60", "secret.unusable", "larger than 64 KiB"),
        ("printf 'hunter2\\377'", "secret.unusable", "not UTF-8 text"),
        ("echo hunter2 >&2; kill -9 $$", "secret.unavailable", "killed"),
    ] {
        let error = resolved(&world.command(script), "KEY").expect_err(script);
        assert_eq!(error.code(), code, "{script}");
        assert!(error.to_string().contains(says) && !error.to_string().contains("hunter2"), "{error}");
    }
    let argv = [world.program("sleep 600 & echo $! >\"$0.child\"; wait")];
    let late = world.secrets(&json!({"named": {"KEY": {"command": {"argv": argv, "timeout": "1s"}}}}));
    let error = resolved(&late, "KEY").expect_err("too late");
    assert!(error.to_string().ends_with("no answer within 1 s"), "{error}");
    let child = std::fs::read_to_string(world.folder.path().join("program.child")).expect("a child");
    let child = PathBuf::from(format!("/proc/{}/cmdline", child.trim()));
    eventually("what it started is gone too", || {
        std::fs::read(&child).map_or(true, |command| command.is_empty())
    });
}

#[test]
fn a_secret_by_name_comes_from_its_source_alone() {
    let world = World::new();
    let file = world.write("crm.txt", "of-a-file", 0o600);
    let secrets = world.secrets(&json!({"named": {
        "CARGO_PKG_NAME": {"file": file},
        "OTHER": {"environment": "CARGO_PKG_NAME"},
        "NOTHING": {"file": "not-there"},
    }}));
    assert_eq!(resolved(&secrets, "CARGO_PKG_NAME"), Ok("of-a-file".into()));
    assert_eq!(resolved(&secrets, "OTHER"), Ok("quaymaster-connectors".into()));
    assert_eq!(
        resolved(&secrets, "CARGO_PKG_VERSION"),
        Ok(env!("CARGO_PKG_VERSION").into()),
        "no name of ours"
    );
    assert_eq!(resolved(&secrets, "NOTHING").expect_err("no such file").code(), "secret.not_found");
    world.write("crm.txt", "of-a-file", 0o644);
    assert_eq!(resolved(&secrets, "CARGO_PKG_NAME").expect_err("exposed").code(), "secret.permissions");
}

#[test]
fn each_mistake_is_told_at_its_place() {
    let section = json!({
        "refresh": "500ms", "stale": "48h", "keyringProgram": "secret-tool",
        "vaults": {
            "far": {"url": "http://vault.example.test", "token": "${secret:T}"},
            "none": {"url": "https://vault.example.test"},
            "both": {"url": "https://v.example.test", "token": "${secret:T}",
                "appRole": {"roleId": "r", "secretId": "${secret:FROM_SERVER}"}},
            "role": {"url": "https://v.example.test", "namespace": "../x",
                "appRole": {"roleId": "r", "secretId": "${secret:FROM_SERVER}"}}
        },
        "named": {
            "lower": {"environment": "X"},
            "NOTHING": {},
            "TWO": {"environment": "X", "file": "y"},
            "FROM_SERVER": {"vault": {"server": "rolle", "path": "/a//b", "field": "x"}},
            "SEALED": {"transit": {"server": "role", "key": "k", "ciphertext": "${secret:FROM_SERVER}"}},
            "RELATIVE": {"command": {"argv": ["print-secret"]}},
            "EXPANDED": {"command": {"argv": ["/bin/echo", "${secret:X}"], "timeout": "2m", "inheritEnv": ["AWS_KEY"]}},
            "RING": {"keyring": {}}
        }
    });
    let config: SecretsConfig = serde_json::from_value(section).expect("the right form");
    let problems = config.check(Path::new("/etc/quaymaster")).expect_err("mistakes");
    let lines = problems.iter().map(|problem| match &problem.help {
        Some(help) => format!("{}: {}\n  help: {help}", problem.path, problem.message),
        None => format!("{}: {}", problem.path, problem.message),
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

//! Literal secrets: where they are found, how they are told, and what is none.

use super::super::render::Style;
use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, content) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }
    folder
}

fn shown(files: &[(&str, &str)]) -> String {
    find(folder(files).path(), &[]).render(Style::Plain)
}

/// Put together here, so that nobody takes this file for one that holds a secret.
fn token() -> String {
    format!("ghp_{}", "q7Rt2LmZ9xWc4VbN1yKd8PfH3sJg6AuE5oTi")
}

#[test]
fn a_secret_is_found_in_any_file_with_its_place_and_is_not_shown() {
    let token = token();
    let files = [
        ("quaymaster.yaml", format!("# the old one was {token}\nstore: {{ password: hunter2 }}\n")),
        (
            "connectors/crm.yaml",
            "spec:\n  server:\n    headers: { X-Api-Key: abc }\n    apiKey: abc\n".into(),
        ),
        ("policies/p.cedar", format!("// {token}\npermit(principal, action, resource);\n")),
        ("policies/p.test.yaml", format!("- arguments: {{ clientSecret: {token} }}\n")),
        ("contracts/crm.lock.json", format!("{{\n  \"description\": \"use {token}\"\n}}\n")),
        ("prompts/de.md", "Passwort: Hunter2!x\n".into()),
        ("keys/k.txt", format!("-----BEGIN {PEM}\nMIIE\n")),
        ("url.json", r#"{"url": "postgres://ada:Hunter2x!@db.corp.test/crm"}"#.into()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let shown = shown(&files);
    for secret in [token.as_str(), "hunter2", "Hunter2", "abc }"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn what_only_speaks_of_secrets_is_left() {
    let shown = shown(&[
        (
            "quaymaster.yaml",
            "token: ${secret:CRM_TOKEN}\npassword: \"\"\ncallerToken: { header: X }\nkeyringProgram: /usr/bin/x\nmaxTokens: 5\nsecrets: { files: ./s }\ntoken_count: many\n",
        ),
        ("classification.yaml", "redaction: { kinds: { secret_password: mask, secret: drop } }\n"),
        (
            "policies/a.cedar",
            "// a token is asked for\npermit(principal, action, resource) when { context.token == \"x\" };\n",
        ),
        (
            "contracts/a.lock.json",
            "{\"tools\":[{\"inputSchema\":{\"properties\":{\"password\":{\"type\":\"string\"}}}}]}\n",
        ),
        ("prompts/a.md", "Set the token with `export TOKEN=<your token>`; the password is in the keyring.\n"),
        (
            "connectors/a.yaml",
            "tools: [{ name: test_input_required_result_sampling }]\nurl: http://127.0.0.1:@PORT@/mcp\n",
        ),
        ("data.bin", "\u{0}"),
    ]);
    assert_eq!(shown, "");
}

#[test]
fn the_examples_of_this_project_hold_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in
        ["src/config/example", "../cli/src/demo/files", "../../tests/clients/connectors", "../../docs/adr"]
    {
        let found = find(&root.join(folder), &[]);
        assert!(found.is_empty(), "{}", found.render(Style::Plain));
    }
}

#[test]
fn where_state_and_secrets_are_is_not_looked() {
    let token = token();
    let folder = folder(&[("data/x.json", &token), ("secrets/A.txt", &token), (".hidden.yaml", &token)]);
    let apart = [folder.path().join("data"), folder.path().join("secrets")];
    assert!(find(folder.path(), &apart).is_empty());
    assert_eq!(find(folder.path(), &[]).len(), 2);
}

#[test]
fn a_name_says_secret_in_any_spelling() {
    for name in ["password", "clientSecret", "client_secret", "API-KEY", "apiKey", "DB_PASSWORD", "authToken"]
    {
        assert!(is_of_secret(name), "{name}");
    }
    for name in ["tokenizer", "keyringProgram", "passwordField", "key", "primaryKey", "tokens", "keyring"] {
        assert!(!is_of_secret(name), "{name}");
    }
}

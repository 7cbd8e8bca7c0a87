//! What a connector file may and may not say.

use super::*;

fn problems(spec: Value) -> String {
    let checked = check::settings(file(spec), &TestSecrets, &PathBuf::from("/etc/quaymaster"));
    let Err(problems) = checked else { return "accepted".into() };
    let lines: Vec<String> = problems
        .iter()
        .map(|p| {
            let help = p.help.as_ref().map_or(String::new(), |help| format!("\n      help: {help}"));
            format!("    {}: {}{help}", p.path, p.message)
        })
        .collect();
    lines.join("\n")
}

/// A good file with `change` applied.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let server = json!({"transport": "stdio", "command": "/usr/local/bin/server"});
    let mut spec = spec(server, &["read_file", "write_file"]);
    let write = &mut spec["tools"][1];
    write["effect"] = json!("write");
    write["idempotency"] = json!({"from": ["path"], "argument": "key"});
    change(&mut spec);
    spec
}

#[test]
fn each_mistake_is_told_at_its_place_with_what_would_be_right() {
    let http = json!({"transport": "http", "url": "https://mcp.example.test/mcp"});
    let with_http = |member: &str, value: Value| {
        let mut server = http.clone();
        server[member] = value;
        changed(|spec| spec["server"] = server)
    };
    let with_server = |member: &str, value: Value| changed(|spec| spec["server"][member] = value);
    let with_tool = |member: &str, value: Value| changed(|spec| spec["tools"][1][member] = value);
    let with_prompts = |names: &[&str], tool: &str| {
        let prompts: Vec<Value> =
            names.iter().map(|name| json!({"name": name, "access": {"roles": ["analyst"]}})).collect();
        changed(|spec| {
            spec["prompts"] = json!(prompts);
            spec["tools"][1]["rename"] = json!(tool);
        })
    };
    let cases = [
        ("a good child", changed(|_| {})),
        ("a good address", changed(|spec| spec["server"] = http.clone())),
        ("a header from a secret", with_http("headers", json!({"Authorization": "${secret:API_KEY}"}))),
        ("no prefix", changed(|spec| spec["prefix"] = json!(""))),
        ("a name to look up", with_server("command", json!("mcp-server-filesystem"))),
        ("a launcher by name", with_server("command", json!("npx"))),
        ("a launcher by path", with_server("command", json!("/usr/bin/npx"))),
        ("a relative path", with_server("command", json!("./server"))),
        ("no command", with_server("command", Value::Null)),
        ("a child with an address", with_server("url", json!("https://mcp.example.test/mcp"))),
        ("a child with headers", with_server("headers", json!({"a": "${secret:API_KEY}"}))),
        ("an expansion in arguments", with_server("args", json!(["--key", "${secret:API_KEY}"]))),
        ("a secret in the environment", with_server("env", json!({"api_key": "hunter2"}))),
        ("a secret that is not set", with_server("env", json!({"KEY": "${secret:MISSING}"}))),
        ("a strange variable", with_server("env", json!({"A=B": "c"}))),
        ("too much of our environment", with_server("inheritEnv", json!(["PATH", "AWS_SECRET_ACCESS_KEY"]))),
        ("an address in the clear", with_http("url", json!("http://mcp.example.test/mcp"))),
        ("a password in an address", with_http("url", json!("https://ada:hunter2@mcp.example.test/"))),
        ("no address", with_http("url", Value::Null)),
        ("an address with a command", with_http("command", json!("/bin/server"))),
        ("a header of the protocol", with_http("headers", json!({"MCP-Session-Id": "${secret:API_KEY}"}))),
        ("a header that is none", with_http("headers", json!({"a b": "${secret:API_KEY}"}))),
        ("a header of two lines", with_http("headers", json!({"a": "${secret:TWO_LINES}"}))),
        ("a bad prefix", changed(|spec| spec["prefix"] = json!("Files-"))),
        ("a name for nobody", changed(|spec| spec["tools"][0]["name"] = json!("read-file"))),
        ("a bad new name", with_tool("rename", json!("write-file"))),
        ("one tool twice", with_tool("name", json!("read_file"))),
        ("one name twice", with_tool("rename", json!("read_file"))),
        ("a write like any other", with_tool("idempotency", Value::Null)),
        ("a destructive tool for all", with_tool("effect", json!("destructive"))),
        ("approved by nobody", with_tool("approval", json!({"by": {"roles": []}}))),
        ("approved by someone", with_tool("approval", json!({"by": {"roles": ["tech_lead"]}}))),
        (
            "rules for columns",
            changed(|spec| {
                let rule = json!({"match": "*.email", "class": "confidential", "action": "drop"});
                spec["classification"]["columns"] = json!([rule]);
            }),
        ),
        ("a key from nothing", with_tool("idempotency", json!({"from": [], "argument": "key"}))),
        ("a fixed key", with_tool("fixed", json!({"key": "same"}))),
        (
            "fixed and default",
            changed(|spec| {
                spec["tools"][0]["fixed"] = json!({"root": "/srv"});
                spec["tools"][0]["defaults"] = json!({"root": "/"});
            }),
        ),
        ("no tools", changed(|spec| spec["tools"] = json!([]))),
        ("a tool called like a prompt's values", with_prompts(&["write"], "write_completion")),
        ("a prompt called like another's values", with_prompts(&["write", "write_completion"], "write_file")),
        ("values for whose name there is no room", with_prompts(&["p".repeat(61).as_str()], "write_file")),
    ];
    let report: Vec<String> =
        cases.into_iter().map(|(what, spec)| format!("{what}\n{}", problems(spec))).collect();
    let report = report.join("\n");
    assert!(!report.contains("hunter2"), "{report}");
    insta::assert_snapshot!(report);
}

#[test]
fn an_unknown_key_and_a_missing_limit_do_not_parse() {
    let parses = |change: fn(&mut Value)| serde_json::from_value::<McpSpec>(changed(change)).is_ok();
    assert!(parses(|_| {}));
    assert!(!parses(|spec| spec["limits"] = Value::Null));
    assert!(!parses(|spec| spec["limits"] = json!({})));
    assert!(!parses(|spec| spec["prefix"] = Value::Null));
    assert!(!parses(|spec| spec["classification"] = Value::Null));
    assert!(!parses(|spec| spec["pin"] = json!(true)));
    assert!(!parses(|spec| spec["server"]["shell"] = json!(true)));
    assert!(!parses(|spec| spec["server"]["env"] = json!({"A": "$HOME"})));
    assert!(!parses(|spec| spec["server"]["headers"] = json!({"Authorization": "Bearer hunter2"})));
    assert!(!parses(|spec| spec["tools"][0]["effect"] = json!("harmless")));
}

#[test]
fn the_debug_form_of_a_connector_shows_no_secret() {
    let mut spec = changed(|_| {});
    spec["server"]["env"] = json!({"GREETING": "${secret:GREETING}"});
    assert_eq!(format!("{:?}", connector_with(spec, QUICK)), "McpConnector { name: Slug(\"upstream\"), .. }");
}

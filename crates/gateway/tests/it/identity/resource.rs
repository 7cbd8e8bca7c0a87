//! What a client is told over HTTP: where tokens come from, and which scopes are needed.

use serde_json::{Value, json};

use super::world::{World, call, send};

const SCOPED: &str = "mapping: { roles: claims.roles }\nscopes: { base: use, read: look, write: change }";

#[tokio::test]
async fn whoever_has_no_token_is_told_where_to_get_one() {
    let world = World::new(SCOPED).await;
    let address = world.serve().await;
    let metadata = "resource_metadata=\"https://gateway.example.test/.well-known/oauth-protected-resource";
    for method in ["GET", "POST", "DELETE"] {
        let answer = send(address, &format!("{method} /mcp"), "", "").await;
        assert_eq!(
            (answer.status, answer.challenge()),
            (401, &*format!("Bearer {metadata}/mcp\", scope=\"use\""))
        );
    }
    let answer = send(address, "POST /w/sales/mcp", "authorization: Bearer nonsense\r\n", "").await;
    let expected = format!("Bearer {metadata}/w/sales/mcp\", error=\"invalid_token\", scope=\"use\"");
    assert_eq!((answer.status, answer.challenge()), (401, &*expected));
}

#[tokio::test]
async fn the_documents_about_hidden_and_unknown_places_are_alike() {
    let world = World::new(SCOPED).await;
    let address = world.serve().await;
    let document = async |path: &str| {
        let answer = send(address, &format!("GET /.well-known/oauth-protected-resource{path}"), "", "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str::<Value>(&answer.body).expect("JSON")
    };
    let own = document("/mcp").await;
    assert_eq!(own["resource"], "https://gateway.example.test/mcp");
    assert_eq!(own["authorization_servers"], json!([world.issuer.url]));
    assert_eq!(own["bearer_methods_supported"], json!(["header"]));
    assert_eq!(own["scopes_supported"], json!(["use", "look", "change"]));
    assert_eq!(document("").await["resource"], "https://gateway.example.test");
    for path in
        ["/w/sales/mcp", "/w/nowhere/mcp", "/s/numbers", "/s/nothing", "/w/lab/s/numbers", "/w/no/s/no"]
    {
        let mut other = document(path).await;
        assert_eq!(other["resource"], format!("https://gateway.example.test{path}"));
        other["resource"] = own["resource"].clone();
        assert_eq!(other, own, "{path}");
    }
    for path in ["/", "/mcp/", "/w/A/mcp", "/w/%73ales/mcp", "/w/sales", "/healthz", "/w/\"/mcp"] {
        let answer = send(address, &format!("GET /.well-known/oauth-protected-resource{path}"), "", "").await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let answer = send(address, "POST /.well-known/oauth-protected-resource/mcp", "", "").await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn whoever_lacks_a_scope_is_told_all_that_are_needed_and_only_of_what_they_may_see() {
    let world = World::new(SCOPED).await;
    let address = world.serve().await;
    let nothing = json!({});
    let base = world.token(&json!({"scope": "other"}));
    let answer = call(address, "/mcp", &base, "numbers_far", &nothing).await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.challenge().ends_with("error=\"insufficient_scope\", scope=\"use\""),
        "{}",
        answer.challenge()
    );

    let token = world.token(&json!({"scope": "use"}));
    let answer = call(address, "/mcp", &token, "numbers_far", &nothing).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert!(
        answer
            .challenge()
            .contains("oauth-protected-resource/mcp\", error=\"insufficient_scope\", scope=\"use look\""),
        "{}",
        answer.challenge()
    );
    assert!(answer.body.contains("auth.scope"), "{}", answer.body);
    let unknown = call(address, "/mcp", &token, "numbers_none", &nothing).await;
    assert_eq!(unknown.status, 200);
    assert!(unknown.body.contains("tool.not_found"), "{}", unknown.body);

    let enough = world.token(&json!({"scope": "look use"}));
    assert!(
        call(address, "/mcp", &enough, "numbers_far", &nothing).await.body.contains(r#""status":"success""#)
    );
}

#[tokio::test]
async fn an_access_token_is_written_nowhere() {
    let world = World::new(SCOPED).await;
    let address = world.serve().await;
    let good = world.token(&json!({"scope": "look use"}));
    let bad = world.token(&json!({"aud": "https://other.example.test"}));
    assert_eq!(call(address, "/mcp", &good, "numbers_far", &json!({})).await.status, 200);
    let answer = call(address, "/mcp", &bad, "numbers_far", &json!({})).await;
    assert_eq!(answer.status, 401);
    assert!(!answer.body.contains(&bad) && !answer.challenge().contains(&bad));
    world.gateway.shutdown().await;
    let mut folders = vec![world.folder.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).expect("a file");
            for token in [&good, &bad] {
                // The signature alone would be as bad.
                let signature = token.rsplit('.').next().expect("a signature").as_bytes();
                let holds = bytes.windows(signature.len()).any(|window| window == signature);
                assert!(!holds, "a token is in {}", path.display());
            }
        }
    }
    assert!(files > 5, "{files} files");
}

#[tokio::test]
async fn a_token_in_an_address_is_refused_whatever_else_is_shown() {
    let world = World::new(SCOPED).await;
    let address = world.serve().await;
    let token = world.token(&json!({"scope": "look use"}));
    let path = format!("/mcp?access_token={token}");
    let alone = send(address, &format!("POST {path}"), "", "").await;
    assert_eq!(alone.status, 401);
    let beside = call(address, &path, &token, "numbers_far", &json!({})).await;
    assert_eq!(beside.status, 400);
    assert!(!beside.body.contains(&token));
}

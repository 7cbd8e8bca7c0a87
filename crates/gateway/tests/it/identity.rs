//! Access tokens of issuers: who they give, what is refused, and what an issuer is asked.

mod attacks;
mod codes;
mod issuer;
mod login;
mod resource;
pub(crate) mod world;

use std::time::Duration;

use quaymaster_core::{Clock as _, DataClass};
use serde_json::{Value, json};

use self::issuer::{Issuer, SigningKey};
use self::world::{GATEWAY, World, call, configured, start, who};

const ROLES: &str = "mapping: { roles: claims.roles }";
const INTROSPECTED: &str = "mapping: { roles: claims.roles }\n\
    introspection: { clientId: gate way, clientSecret: '${secret:GATEWAY_SECRET}', tokens: all }";

#[tokio::test]
async fn an_access_token_gives_an_actor_of_its_issuer_who_calls_tools() {
    let world = World::new(
        "mapping: { roles: 'claims.roles', person: claims.email, groups: claims.groups }\ngroups: { eng: [analyst] }",
    )
    .await;
    let token =
        world.token(&json!({"email": "ada@example.test", "groups": ["eng", "all"], "roles": ["boss"]}));
    let actor = world.who(&token, "/mcp").await.expect("an actor");
    assert_eq!((actor.id.as_str(), actor.person().as_str()), ("corp:ada", "ada@example.test"));
    assert_eq!(actor.roles.iter().map(quaymaster_core::Role::as_str).collect::<Vec<_>>(), ["analyst"]);
    assert_eq!((actor.clearance, actor.workspace.as_str()), (DataClass::Internal, "sales"));
    assert_eq!(actor.authentication.as_str(), "oauth");

    let address = world.serve().await;
    let answer = call(address, "/mcp", &token, "numbers_far", &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains(r#""status":"success""#), "{}", answer.body);
}

#[tokio::test]
async fn two_issuers_and_local_tokens_never_give_the_same_actor() {
    let (one, two) = (Issuer::start().await, Issuer::start().await);
    let folder = configured(&[("one", &one, ROLES), ("two", &two, ROLES)]);
    let (gateway, clock) = start(folder.path()).await;
    let token = |iss: &Issuer, key: &SigningKey| {
        let now = clock.now().as_secs();
        let claims = json!({"iss": iss.url, "aud": GATEWAY, "sub": "ada", "exp": now + 60, "roles": []});
        key.token(&json!({"alg": "RS256", "kid": "k1"}), &claims)
    };
    let id =
        |who: Result<std::sync::Arc<quaymaster_core::Actor>, String>| who.map(|actor| actor.id.to_string());
    assert_eq!(id(who(&gateway, &token(&one, &one.key), "/mcp").await), Ok("one:ada".into()));
    assert_eq!(id(who(&gateway, &token(&two, &two.key), "/mcp").await), Ok("two:ada".into()));
    // The keys of one issuer do not speak for another.
    assert_eq!(id(who(&gateway, &token(&one, &two.key), "/mcp").await), Err("auth.invalid".into()));
    gateway.shutdown().await;
}

#[tokio::test]
async fn groups_belong_to_their_issuer_and_give_nothing_by_themselves() {
    const GROUPS: &str = "mapping: { groups: claims.groups }";
    let (one, two) = (Issuer::start().await, Issuer::start().await);
    let folder = configured(&[("one", &one, GROUPS), ("two", &two, GROUPS)]);
    let (gateway, clock) = start(folder.path()).await;
    let groups = async |issuer: &Issuer, groups: Value| {
        let now = clock.now().as_secs();
        let claims =
            json!({"iss": issuer.url, "aud": GATEWAY, "sub": "ada", "exp": now + 60, "groups": groups});
        let token = issuer.key.token(&json!({"alg": "RS256", "kid": "k1"}), &claims);
        let actor = who(&gateway, &token, "/mcp").await.expect("an actor");
        assert!(actor.roles.is_empty());
        actor.groups.to_vec()
    };
    assert_eq!(groups(&one, json!(["eng", "all", "eng"])).await, ["one:all", "one:eng"]);
    assert_eq!(groups(&two, json!(["eng", "one:eng"])).await, ["two:eng", "two:one:eng"]);
    assert_eq!(groups(&two, json!(["", "a\nb", "x".repeat(201)])).await, Vec::<String>::new());
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_token_counts_in_the_workspaces_that_its_claims_name_and_that_are_declared() {
    let world = World::new("mapping: { roles: claims.roles, workspace: claims.tenants }").await;
    let workspace =
        async |token: &str, path: &str| world.who(token, path).await.map(|actor| actor.workspace.to_string());
    let both = world.token(&json!({"tenants": ["lab", "gone", "sales"]}));
    assert_eq!(workspace(&both, "/mcp").await, Ok("lab".into()));
    assert_eq!(workspace(&both, "/w/sales/mcp").await, Ok("sales".into()));
    let lab = world.token(&json!({"tenants": "lab"}));
    assert_eq!(workspace(&lab, "/w/lab/s/numbers").await, Ok("lab".into()));
    for path in
        ["/w/sales/mcp", "/w/gone/mcp", "/w/LAB/mcp", "/w/lab%20/mcp", "/w/lab./mcp", "/w/l\u{430}b/mcp"]
    {
        assert_eq!(workspace(&lab, path).await, Err("auth.invalid".into()), "{path}");
    }
    for tenants in [json!([]), json!("gone"), json!(["Lab"]), json!(7), Value::Null] {
        let token = world.token(&json!({"tenants": tenants}));
        assert_eq!(workspace(&token, "/mcp").await, Err("auth.invalid".into()), "{tenants}");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_and_a_withdrawn_one_ends() {
    let world = World::new(ROLES).await;
    let old = world.token(&json!({"exp": world.clock.now().as_secs() + 7_200}));
    assert!(world.counts(&old).await);
    let fresh = SigningKey::ec();
    world.issuer.behaviour().keys = vec![fresh.jwk("k2")];
    let header = json!({"alg": "ES256", "kid": "k2"});
    let mut claims = world.claims();
    claims["exp"] = json!(world.clock.now().as_secs() + 7_200);
    let new = fresh.token(&header, &claims);
    // The issuer was asked just now.
    assert!(!world.counts(&new).await);
    world.later(30);
    assert!(world.counts(&new).await);
    assert_eq!(world.issuer.fetches(), 2);
    // What was verified is remembered for a minute.
    assert!(world.counts(&old).await);
    world.later(30);
    assert!(!world.counts(&old).await);
}

#[tokio::test]
async fn the_keys_of_an_issuer_that_is_away_count_for_a_bounded_time() {
    let world = World::new("maxStale: 2h\nmapping: { roles: claims.roles }").await;
    let token = world.token(&json!({"exp": world.clock.now().as_secs() + 86_400}));
    assert!(world.counts(&token).await);
    world.issuer.behaviour().is_down = true;
    world.later(7_199);
    assert!(world.counts(&token).await);
    world.later(61);
    assert_eq!(world.who(&token, "/mcp").await.err(), Some("gateway.internal".into()));
    world.issuer.behaviour().is_down = false;
    world.later(30);
    assert!(world.counts(&token).await);
}

#[tokio::test]
async fn an_opaque_token_is_what_its_issuer_says() {
    let world = World::new(INTROSPECTED).await;
    let claims = json!({"active": true, "aud": format!("{GATEWAY}/mcp"), "sub": "bot", "roles": ["analyst"]});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    world.issuer.behaviour().opaque.extend([
        ("good".to_owned(), claims.clone()),
        ("elsewhere".to_owned(), with("aud", json!("https://other.example.test"))),
        ("nowhere".to_owned(), with("aud", json!(null))),
        ("foreign".to_owned(), with("iss", json!("https://other.example.test"))),
        ("refresh".to_owned(), with("token_type", json!("refresh_token"))),
        ("bound".to_owned(), with("cnf", json!({"jkt": "x"}))),
        ("expired".to_owned(), with("exp", json!(1))),
    ]);
    assert_eq!(world.who("good", "/mcp").await.map(|actor| actor.id.to_string()), Ok("corp:bot".into()));
    for bad in ["elsewhere", "nowhere", "foreign", "refresh", "bound", "expired", "unknown", "a/b+c~d=="] {
        assert!(!world.counts(bad).await, "{bad}");
    }
    let asked = || world.issuer.behaviour().asked.get("/introspect").copied().unwrap_or_default();
    let before = asked();
    for _ in 0..10 {
        assert!(world.counts("good").await);
        assert!(!world.counts("unknown").await);
    }
    assert_eq!(asked(), before);
    world.issuer.behaviour().revoked.insert("good".into());
    world.later(15);
    assert!(!world.counts("good").await);
    world.issuer.behaviour().is_down = true;
    assert_eq!(world.who("another", "/mcp").await.err(), Some("gateway.internal".into()));
}

#[tokio::test]
async fn a_revoked_token_is_noticed_within_the_time_that_an_answer_counts() {
    let world = World::new(INTROSPECTED).await;
    let token = world.token(&json!({}));
    assert!(world.counts(&token).await);
    world.issuer.behaviour().revoked.insert(token.clone());
    world.later(14);
    assert!(world.counts(&token).await);
    world.later(1);
    assert!(!world.counts(&token).await);
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_nothing_count_longer() {
    let world = World::new(INTROSPECTED).await;
    let token = world.token(&json!({"iat": null}));
    world.later(10);
    assert!(world.counts(&token).await);
    world.issuer.behaviour().revoked.insert(token.clone());
    world.clock.go_back(Duration::from_secs(9));
    assert!(!world.counts(&token).await);
}

#[tokio::test]
async fn a_token_of_this_installation_cannot_be_called_like_an_actor_of_an_issuer() {
    let world = World::new(ROLES).await;
    let options = || quaymaster_gateway::StartOptions {
        folder: world.folder.path().to_owned(),
        clock: world.clock.clone(),
        randomness: std::sync::Arc::new(quaymaster_control::crypto::SystemRandomness),
    };
    let office = quaymaster_gateway::Office::open(options()).await.expect("an office");
    let request = |actor: &str| quaymaster_control::identity::TokenRequest {
        actor: quaymaster_core::ActorId::parse(actor).expect("an id"),
        person: None,
        roles: Vec::new(),
        workspace: office.default_workspace().clone(),
        lifetime: Duration::from_mins(5),
        note: None,
    };
    for (actor, is_free) in
        [("corp:ada", false), ("local:0", false), ("ada", true), ("corporation:ada", true)]
    {
        assert_eq!(office.check_token(&request(actor)).is_ok(), is_free, "{actor}");
    }
    // One that was made before the issuer was there.
    let token = office.create_token(request("corp:ada")).await.expect("a token");
    assert!(!world.counts(&token.text).await);
    office.close().await;
}

#[tokio::test]
async fn an_account_that_was_seen_is_noted_with_who_is_behind_it() {
    let world = World::new("mapping: { roles: 'claims.roles', person: claims.email }").await;
    let token = world.token(&json!({"email": "Ada@Example.test", "roles": ["analyst"]}));
    world.who(&token, "/mcp").await.expect("an actor");
    let options = quaymaster_gateway::StartOptions {
        folder: world.folder.path().to_owned(),
        clock: world.clock.clone(),
        randomness: std::sync::Arc::new(quaymaster_control::crypto::SystemRandomness),
    };
    let office = quaymaster_gateway::Office::open(options).await.expect("an office");
    let person = quaymaster_core::FoldedName::of("ada@example.test");
    let seen = office.store().accounts_of(&person).await.expect("accounts");
    assert_eq!((seen.len(), seen[0].account.as_str(), seen[0].workspace.as_str()), (1, "corp:ada", "sales"));
    assert_eq!(seen[0].roles.iter().map(quaymaster_core::Role::as_str).collect::<Vec<_>>(), ["analyst"]);
    office.close().await;
}

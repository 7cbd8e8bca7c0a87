//! Tokens that somebody made who may not, or that were made for something else.

use std::sync::Arc;

use aws_lc_rs::hmac;
use quaymaster_core::Clock as _;
use serde_json::{Value, json};

use super::issuer::{SigningKey, base64url};
use super::world::{GATEWAY, World, who};

const ROLES: &str = "mapping: { roles: claims.roles }";

#[tokio::test]
async fn no_algorithm_of_an_attackers_choice_is_taken() {
    let world = World::new(ROLES).await;
    assert!(world.counts(&world.token(&json!({}))).await);
    let claims = base64url(world.claims().to_string());
    let unsigned = |header: &Value| format!("{}.{claims}", base64url(header.to_string()));
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        assert!(!world.counts(&format!("{}.", unsigned(&json!({"alg": alg, "kid": "k1"})))).await, "{alg}");
    }
    // The public key as the secret of an HMAC, in the forms in which it is known to everybody.
    let jwk = world.issuer.key.jwk("k1");
    for secret in [jwk.to_string(), jwk["n"].as_str().expect("n").to_owned()] {
        for (alg, of) in [("HS256", hmac::HMAC_SHA256), ("HS512", hmac::HMAC_SHA512)] {
            let message = unsigned(&json!({"alg": alg, "kid": "k1"}));
            let tag = hmac::sign(&hmac::Key::new(of, secret.as_bytes()), message.as_bytes());
            assert!(!world.counts(&format!("{message}.{}", base64url(tag))).await, "{alg}");
        }
    }
    // A key is used for what it is for, whatever the header says.
    for alg in ["ES256", "RS384", "RS512", "PS256", "EdDSA"] {
        let token = world.issuer.key.token(&json!({"alg": alg, "kid": "k1"}), &world.claims());
        assert!(!world.counts(&token).await, "{alg}");
    }
}

#[tokio::test]
async fn only_the_algorithms_of_the_configuration_are_taken() {
    let world = World::new(&format!("algorithms: [ES256]\n{ROLES}")).await;
    assert!(!world.counts(&world.token(&json!({}))).await);
    let key = SigningKey::ec();
    world.issuer.behaviour().keys.push(key.jwk("k2"));
    assert!(world.counts(&key.token(&json!({"alg": "ES256", "kid": "k2"}), &world.claims())).await);
}

#[tokio::test]
async fn a_key_that_a_token_brings_along_is_not_used() {
    let world = World::new(ROLES).await;
    let (own, mallory) = (&world.issuer.key, SigningKey::rsa());
    let jwk = mallory.jwk("k1");
    let claims = world.claims();
    for (name, value) in [
        ("jwk", jwk.clone()),
        ("jku", json!(format!("{}/evil", world.issuer.url))),
        ("x5u", json!(format!("{}/evil", world.issuer.url))),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"});
        header[name] = value;
        assert!(!world.counts(&mallory.token(&header, &claims)).await, "{name}");
        // It is not looked at, so it does no harm either.
        assert!(world.counts(&own.token(&header, &claims)).await, "{name}");
    }
    assert_eq!(world.issuer.behaviour().asked.get("/evil"), None);
    for kid in [
        json!("../../../etc/passwd"),
        json!("k1' OR '1'='1"),
        json!("K1"),
        json!("k1 "),
        json!(""),
        json!(1),
        json!(["k1"]),
        json!("k".repeat(300)),
    ] {
        let token = own.token(&json!({"alg": "RS256", "kid": kid}), &claims);
        assert!(!world.counts(&token).await, "{kid}");
    }
    // With one key alone there is no doubt which is meant.
    assert!(world.counts(&own.token(&json!({"alg": "RS256"}), &claims)).await);
    for critical in [json!(["exp"]), json!([]), json!("b64")] {
        let token = own.token(&json!({"alg": "RS256", "kid": "k1", "crit": critical}), &claims);
        assert!(!world.counts(&token).await);
    }
}

#[tokio::test]
async fn a_changed_token_is_another_one() {
    let world = World::new(ROLES).await;
    let token = world.token(&json!({}));
    let parts: Vec<&str> = token.split('.').collect();
    let other = world.token(&json!({"sub": "bo"}));
    let claims_of_other = other.split('.').nth(1).expect("claims");
    for changed in [
        format!("{}.{claims_of_other}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}A", parts[0], parts[1], parts[2]),
        format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        format!("{token}.{}", parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!(".{token}"),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(9_000)),
    ] {
        assert!(!world.counts(&changed).await, "{changed}");
    }
}

#[tokio::test]
async fn a_token_for_another_audience_issuer_or_purpose_does_not_count() {
    let world = World::new(ROLES).await;
    let now = world.clock.now().as_secs();
    for other in [
        json!({"aud": "https://other.example.test/mcp"}),
        json!({"aud": format!("{GATEWAY}/mcp/")}),
        json!({"aud": format!("{GATEWAY}.evil.test/mcp")}),
        json!({"aud": GATEWAY.to_uppercase()}),
        json!({"aud": format!("{GATEWAY}/w/sales/mcp")}),
        json!({"aud": []}),
        json!({"aud": {"0": GATEWAY}}),
        json!({"aud": null}),
        json!({"iss": "https://other.example.test"}),
        json!({"iss": format!("{}/", world.issuer.url)}),
        json!({"iss": [world.issuer.url]}),
        json!({"iss": null}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": "a\nb"}),
        json!({"sub": "a".repeat(200)}),
        json!({"exp": null}),
        json!({"exp": now.to_string()}),
        json!({"roles": null}),
        json!({"cnf": {"jkt": "x"}}),
        json!({"typ": "ID"}),
        json!({"token_use": "id"}),
        json!({"groups": vec!["g"; 501]}),
    ] {
        assert!(!world.counts(&world.token(&other)).await, "{other}");
    }
    let id_token = json!({"alg": "RS256", "kid": "k1", "typ": "JWT"});
    let mut claims = world.claims();
    claims["nonce"] = json!("n");
    assert!(!world.counts(&world.issuer.key.token(&id_token, &claims)).await);
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "at+jwt "] {
        let token =
            world.issuer.key.token(&json!({"alg": "RS256", "kid": "k1", "typ": typ}), &world.claims());
        assert!(!world.counts(&token).await, "{typ}");
    }
    for audience in [json!(GATEWAY), json!([format!("{GATEWAY}/mcp"), "https://other.example.test"])] {
        assert!(world.counts(&world.token(&json!({"aud": audience}))).await, "{audience}");
    }
    let here = world.token(&json!({"aud": format!("{GATEWAY}/w/sales/mcp")}));
    assert!(world.who(&here, "/w/sales/mcp").await.is_ok());
    assert!(world.who(&here, "/s/numbers").await.is_err());
}

#[tokio::test]
async fn an_audience_that_is_configured_is_the_only_one() {
    let world = World::new(&format!("audience: ['api://quaymaster']\n{ROLES}")).await;
    assert!(world.counts(&world.token(&json!({"aud": "api://quaymaster"}))).await);
    assert!(!world.counts(&world.token(&json!({}))).await);
}

#[tokio::test]
async fn a_token_ends_at_its_time_with_the_skew_and_no_later() {
    let world = World::new(&format!("clockSkew: 10s\n{ROLES}")).await;
    let now = world.clock.now().as_secs();
    let token = world.token(&json!({"exp": now + 20}));
    world.later(29);
    assert!(world.counts(&token).await);
    // It is remembered, and not beyond its end.
    world.later(1);
    assert!(!world.counts(&token).await);
    let now = world.clock.now().as_secs();
    for (other, counts) in [
        (json!({"nbf": now + 10}), true),
        (json!({"nbf": now + 11}), false),
        (json!({"iat": now + 10}), true),
        (json!({"iat": now + 11}), false),
        (json!({"exp": now - 9}), true),
        (json!({"exp": now - 10}), false),
        (json!({"exp": 1e300}), false),
        (json!({"exp": -1}), false),
    ] {
        assert_eq!(world.counts(&world.token(&other)).await, counts, "{other}");
    }
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_the_issuer_once_in_thirty_seconds() {
    let world = World::new(ROLES).await;
    assert!(world.counts(&world.token(&json!({}))).await);
    let claims = base64url(world.claims().to_string());
    let flood = async |count: usize| {
        let mut under_way = tokio::task::JoinSet::new();
        for number in 0..count {
            let header = base64url(json!({"alg": "RS256", "kid": format!("k-{number}")}).to_string());
            let (token, gateway) = (format!("{header}.{claims}.c2ln"), Arc::clone(&world.gateway));
            under_way.spawn(async move { who(&gateway, &token, "/mcp").await.map(drop) });
        }
        for outcome in under_way.join_all().await {
            assert_eq!(outcome, Err("auth.invalid".into()));
        }
    };
    flood(10_000).await;
    assert_eq!(world.issuer.fetches(), 1);
    world.later(30);
    flood(100).await;
    assert_eq!(world.issuer.fetches(), 2);
    assert!(world.counts(&world.token(&json!({}))).await);
}

#[tokio::test]
async fn many_first_tokens_ask_the_issuer_once() {
    let world = World::new(ROLES).await;
    let mut under_way = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (token, gateway) = (world.token(&json!({"jti": number})), Arc::clone(&world.gateway));
        under_way.spawn(async move { who(&gateway, &token, "/mcp").await.is_ok() });
    }
    assert!(under_way.join_all().await.into_iter().all(|counts| counts));
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn metadata_of_another_issuer_and_a_redirect_lead_nowhere() {
    let world = World::new(ROLES).await;
    world.issuer.behaviour().calls_itself = Some("https://other.example.test".into());
    let refused = async |token: &str| world.who(token, "/mcp").await.err();
    assert_eq!(refused(&world.token(&json!({}))).await, Some("gateway.internal".into()));
    assert_eq!(world.issuer.fetches(), 0);

    let world = World::new(&format!("jwksUri: '{}'\n{ROLES}", "http://127.0.0.1:1/keys")).await;
    assert_eq!(world.who(&world.token(&json!({})), "/mcp").await.err(), Some("gateway.internal".into()));

    let world = World::new(ROLES).await;
    let evil = super::Issuer::start().await;
    world.issuer.behaviour().redirects_to = Some(format!("{}/keys", evil.url));
    let token = evil.key.token(&json!({"alg": "RS256", "kid": "k1"}), &world.claims());
    assert_eq!(world.who(&token, "/mcp").await.err(), Some("gateway.internal".into()));
    assert_eq!(evil.fetches(), 0);
}

#[tokio::test]
async fn keys_that_are_too_many_or_too_large_are_none() {
    let world = World::new(ROLES).await;
    let own = world.issuer.key.jwk("k1");
    world.issuer.behaviour().keys = vec![own.clone(); 101];
    assert_eq!(world.who(&world.token(&json!({})), "/mcp").await.err(), Some("gateway.internal".into()));
    world.later(30);
    let mut large = own;
    large["x5c"] = json!("a".repeat(300 * 1024));
    world.issuer.behaviour().keys = vec![large];
    assert_eq!(world.who(&world.token(&json!({})), "/mcp").await.err(), Some("gateway.internal".into()));
}

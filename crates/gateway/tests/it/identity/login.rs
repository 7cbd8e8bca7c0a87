//! Logging in at an issuer: to the console and on the command line, and what nobody gets in by.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_control::crypto::SystemRandomness;
use quaymaster_control::identity::{LoginError, Returned};
use quaymaster_core::Clock as _;
use quaymaster_gateway::{Office, OfficeError, StartOptions};
use serde_json::{Value, json};

use super::issuer::{Code, Issuer, SigningKey, base64url, fields};
use super::world::World;
use crate::harbour_office::{Answer, Browser};

pub(super) const LOGIN: &str = "mapping: { roles: claims.roles, person: claims.email }\n\
    login: { clientId: console, clientSecret: '${secret:GATEWAY_SECRET}', nativeClientId: terminal, scopes: [openid, email], lifetime: 30m }";

/// A browser that keeps several cookies.
#[derive(Clone)]
struct Visitor {
    browser: Browser,
    jar: BTreeMap<String, String>,
}

impl Visitor {
    fn at(address: &str) -> Self {
        Self { browser: Browser { address: address.to_owned(), cookie: None }, jar: BTreeMap::new() }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    async fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = self.send("GET", path, headers, "").await;
        for line in answer.head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")) {
            let (name, value) =
                line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            match value {
                "" => self.jar.remove(name),
                _ => self.jar.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let cookie = [("cookie", cookies.as_str())];
        self.browser.cookie = None;
        self.browser.send(method, path, &[headers, &cookie].concat(), body).await
    }

    /// Begins a log-in; what the issuer is asked.
    async fn begin(&mut self, world: &World) -> BTreeMap<String, String> {
        let answer = self.get("/sign-in/corp").await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        asked(location(&answer), world)
    }

    /// Comes back with `query`.
    async fn come_back(&mut self, query: &str) -> Answer {
        self.get_with(&format!("/sign-in/corp/callback?{query}"), &[("sec-fetch-site", "cross-site")]).await
    }

    /// The same as a browser does it: the session's cookie stays behind.
    async fn come_back_by_link(&mut self, query: &str) -> Answer {
        self.jar.remove("quaymaster");
        self.come_back(query).await
    }

    /// Comes back with `query` and is not logged in, for a reason with this code.
    async fn is_refused(&mut self, query: &str, status: u16, code: &str) {
        let answer = self.come_back(query).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.body);
        assert!(answer.body.contains(&format!("<code>{code}</code>")), "{query}: {}", answer.body);
        assert!(!self.jar.contains_key("quaymaster"), "{query}");
        assert!(!answer.head.contains("set-cookie: quaymaster="), "{query}: {}", answer.head);
    }

    /// Whether it is logged in.
    async fn is_in(&mut self) -> bool {
        self.get("/approvals").await.status == 200
    }
}

fn location(answer: &Answer) -> &str {
    answer.head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location")
}

/// What the issuer of `world` is asked by `url`.
fn asked(url: &str, world: &World) -> BTreeMap<String, String> {
    let query = url.strip_prefix(&format!("{}/auth?tenant=a&", world.issuer.url));
    fields(query.unwrap_or_else(|| panic!("not the issuer's: {url}")))
}

/// The ID token that answers what was `asked`, but for these claims; null is none.
fn id_token(world: &World, asked: &BTreeMap<String, String>, other: &Value) -> Value {
    let now = world.clock.now().as_secs();
    let mut claims = json!({
        "iss": world.issuer.url, "aud": asked["client_id"], "sub": "ada", "iat": now, "exp": now + 300,
        "nonce": asked["nonce"], "roles": ["analyst"], "email": "ada@example.test",
    });
    let members = claims.as_object_mut().expect("claims");
    for (name, value) in other.as_object().expect("claims") {
        match value {
            Value::Null => members.shift_remove(name),
            _ => members.insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn signed(key: &SigningKey, claims: &Value) -> String {
    key.token(&json!({"alg": "RS256", "kid": "k1", "typ": "JWT"}), claims)
}

/// Has the issuer give `id_token` for a code, which is named after its state; the query that brings it.
fn grant(world: &World, asked: &BTreeMap<String, String>, id_token: String) -> String {
    let code = format!("code-{}", asked["state"]);
    world.issuer.behaviour().codes.insert(code.clone(), Code { asked: asked.clone(), id_token });
    format!("code={code}&state={}", asked["state"])
}

fn granted(world: &World, asked: &BTreeMap<String, String>) -> String {
    grant(world, asked, signed(&world.issuer.key, &id_token(world, asked, &json!({}))))
}

#[tokio::test]
async fn a_person_logs_in_at_an_issuer_and_is_who_its_mapping_says_until_the_time_is_over() {
    let world = World::new(LOGIN).await;
    let address = world.serve_console().await;
    let mut ada = Visitor::at(&address);
    let first = ada.get("/approvals").await;
    let link = format!("href=\"http://{address}/sign-in/corp?to=/approvals\"");
    assert!(first.status == 403 && first.body.contains(&link), "{}", first.body);
    assert!(!first.body.contains("One-time code"), "{}", first.body);

    let begun = ada.get("/sign-in/corp?to=/delegations").await;
    let cookie =
        begun.head.lines().find(|line| line.starts_with("set-cookie: quaymaster-login=")).expect("a cookie");
    assert!(cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"), "{cookie}");
    let asked = asked(location(&begun), &world);
    let expected = [
        ("response_type", "code"),
        ("client_id", "console"),
        ("scope", "openid email"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", &format!("http://{address}/sign-in/corp/callback")),
    ];
    for (name, value) in expected {
        assert_eq!(asked[name], value, "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(asked[name].len(), 43, "{name}");
        assert!(!ada.jar["quaymaster-login"].contains(&asked[name]), "it is sealed");
    }
    let back = ada.come_back(&granted(&world, &asked)).await;
    assert_eq!(back.status, 200, "{}", back.body);
    assert!(back.body.contains("content=\"0; url=/delegations\""), "{}", back.body);
    assert!(back.head.contains("Path=/; Max-Age=1800; HttpOnly; SameSite=Strict"), "{}", back.head);
    assert!(!ada.jar.contains_key("quaymaster-login"), "it was put away");
    let page = ada.get("/approvals").await;
    assert!(page.status == 200 && page.body.contains("corp:ada in sales"), "{}", page.body);

    let mut before = ada.clone();
    let asked = ada.begin(&world).await;
    assert_eq!(ada.come_back_by_link(&granted(&world, &asked)).await.status, 200);
    assert!(
        ada.is_in().await && !before.is_in().await,
        "a log-in puts the session away that it was begun in"
    );
    world.later(1_799);
    assert!(ada.is_in().await);
    world.later(1);
    assert!(!ada.is_in().await, "the issuer has to say it again");
    let asked = ada.begin(&world).await;
    assert_eq!(ada.come_back(&granted(&world, &asked)).await.status, 200);
    let said = ada.get("/approvals").await.word();
    let origin = format!("http://{address}");
    let form = [("origin", origin.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(ada.send("POST", "/sign-out", &form, &format!("word={said}")).await.status, 303);
    assert!(!ada.is_in().await);
}

#[tokio::test]
async fn an_answer_logs_in_the_browser_that_asked_and_once() {
    let world = World::new(LOGIN).await;
    let address = world.serve_console().await;
    let (mut ada, mut mallory) = (Visitor::at(&address), Visitor::at(&address));
    let (of_ada, of_mallory) = (ada.begin(&world).await, mallory.begin(&world).await);
    let (good, evil) = (granted(&world, &of_ada), granted(&world, &of_mallory));
    // The answer to Mallory in Ada's browser would log her in as him, and the other way round.
    ada.is_refused(&evil, 403, "login.not_begun").await;
    mallory.is_refused(&good, 403, "login.not_begun").await;
    Visitor::at(&address).is_refused(&good, 403, "login.not_begun").await;
    let (code, state) = good.split_once('&').expect("both");
    for other in [
        code.to_owned(),
        format!("{code}&state="),
        format!("{code}&state=x&{state}"),
        format!("{good}x"),
        format!("{code}&state={}", of_mallory["state"]),
    ] {
        ada.is_refused(&other, 403, "login.not_begun").await;
    }
    // None of that took her log-in from her. A state with the code of another is another's log-in.
    let carried = ada.jar.clone();
    assert_eq!(ada.come_back(&good).await.status, 200);
    assert!(ada.is_in().await);
    let mut again = Visitor { jar: carried, ..ada.clone() };
    again.is_refused(&good, 403, "login.not_begun").await;
    assert!(!again.is_in().await);

    // A code that was used, or that is another log-in's, is worth nothing in a new one.
    let asked = again.begin(&world).await;
    again.is_refused(&format!("{code}&state={}", asked["state"]), 403, "login.refused").await;
    let asked = again.begin(&world).await;
    let (stolen, _) = evil.split_once('&').expect("both");
    again.is_refused(&format!("{stolen}&state={}", asked["state"]), 403, "login.refused").await;
    // After ten minutes nothing is begun any more.
    let asked = again.begin(&world).await;
    world.later(600);
    again.is_refused(&granted(&world, &asked), 403, "login.not_begun").await;
    let other_host =
        Visitor::at(&address).get_with("/sign-in/corp", &[("sec-fetch-site", "cross-site")]).await;
    assert!(
        other_host.status == 200 && !other_host.head.contains("set-cookie"),
        "a foreign page begins nothing"
    );
}

#[tokio::test]
async fn an_id_token_that_is_not_the_answer_of_this_issuer_to_this_client_logs_nobody_in() {
    let world = World::new(LOGIN).await;
    let address = world.serve_console().await;
    let now = world.clock.now().as_secs();
    for other in [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"aud": "terminal"}),
        json!({"aud": ["console", "terminal"]}),
        json!({"azp": "terminal"}),
        json!({"aud": "https://gateway.example.test/mcp"}),
        json!({"iss": "https://login.example.test"}),
        json!({"iss": null}),
        json!({"exp": now - 61}),
        json!({"exp": null}),
        json!({"iat": now + 61}),
        json!({"iat": null}),
        json!({"sub": null}),
        json!({"typ": "Bearer"}),
        json!({"events": {}}),
    ] {
        let mut visitor = Visitor::at(&address);
        let asked = visitor.begin(&world).await;
        let token = signed(&world.issuer.key, &id_token(&world, &asked, &other));
        visitor.is_refused(&grant(&world, &asked, token), 403, "login.invalid").await;
    }
    let (own, mallory) = (&world.issuer.key, SigningKey::rsa());
    for (alg, typ) in [
        ("none", "JWT"),
        ("None", "JWT"),
        ("HS256", "JWT"),
        ("RS256", "JWT"),
        ("RS256", "at+jwt"),
        ("mallory", "JWT"),
    ] {
        let mut visitor = Visitor::at(&address);
        let asked = visitor.begin(&world).await;
        let claims = id_token(&world, &asked, &json!({}));
        let token = match (alg, typ) {
            ("mallory", _) => signed(&mallory, &claims),
            (alg, "at+jwt") => own.token(&json!({"alg": alg, "kid": "k1", "typ": typ}), &claims),
            (alg, typ) => {
                let header = json!({"alg": alg, "kid": "k1", "typ": typ});
                format!("{}.{}.", base64url(header.to_string()), base64url(claims.to_string()))
            }
        };
        visitor.is_refused(&grant(&world, &asked, token), 403, "login.invalid").await;
    }
    // What the mapping makes nobody of is nobody.
    let mut visitor = Visitor::at(&address);
    let asked = visitor.begin(&world).await;
    let token = signed(&world.issuer.key, &id_token(&world, &asked, &json!({"email": null})));
    visitor.is_refused(&grant(&world, &asked, token), 403, "login.nobody").await;
}

#[tokio::test]
async fn what_an_issuer_refuses_is_told_by_a_code_and_nothing_of_a_stranger() {
    let world = World::new(LOGIN).await;
    let address = world.serve_console().await;
    let other = Issuer::start().await;
    for (more, code) in [
        ("error=access_denied&error_description=%3Cscript%3E", "login.refused"),
        ("error=%3Cscript%3Ealert(1)%3C/script%3E", "login.refused"),
        (&format!("code=x&iss={}", other.url), "login.invalid"),
        ("iss=", "login.invalid"),
        ("code=", "login.invalid"),
        ("code=a&code=b", "login.invalid"),
    ] {
        let mut visitor = Visitor::at(&address);
        let asked = visitor.begin(&world).await;
        let query = format!("state={}&{more}", asked["state"]);
        let before = visitor.clone();
        visitor.is_refused(&query, 403, code).await;
        let page = before.clone().come_back(&query).await;
        assert!(!page.body.contains("<script"), "{}", page.body);
    }
    let mut visitor = Visitor::at(&address);
    assert_eq!(visitor.get("/sign-in/nowhere").await.status, 404);
    assert_eq!(visitor.get("/sign-in/corp/callback/more").await.status, 404);
    let home = visitor.get("/sign-in/corp?to=//evil.example.test").await;
    assert_eq!(home.status, 303);
    let asked = asked(location(&home), &world);
    let back = visitor.come_back(&granted(&world, &asked)).await;
    assert!(back.body.contains("url=/approvals\"") && !back.body.contains("evil"), "{}", back.body);
}

#[tokio::test]
async fn an_issuer_that_names_itself_has_to_and_one_without_pkce_or_with_none_logs_nobody_in() {
    let world = World::new(LOGIN).await;
    world.issuer.behaviour().more_metadata =
        json!({"authorization_response_iss_parameter_supported": true}).as_object().expect("members").clone();
    let address = world.serve_console().await;
    let mut visitor = Visitor::at(&address);
    let asked = visitor.begin(&world).await;
    visitor.is_refused(&granted(&world, &asked), 403, "login.invalid").await;
    let asked = visitor.begin(&world).await;
    let query = format!("{}&iss={}", granted(&world, &asked), world.issuer.url);
    assert_eq!(visitor.come_back(&query).await.status, 200);

    let world = World::new(LOGIN).await;
    world.issuer.behaviour().more_metadata =
        json!({"code_challenge_methods_supported": ["plain"]}).as_object().expect("members").clone();
    let mut visitor = Visitor::at(&world.serve_console().await);
    let answer = visitor.get("/sign-in/corp").await;
    assert!(answer.status == 503 && answer.body.contains("login.unavailable"), "{}", answer.body);

    let world = World::new(LOGIN).await;
    world.issuer.behaviour().is_down = true;
    let mut visitor = Visitor::at(&world.serve_console().await);
    let answer = visitor.get("/sign-in/corp").await;
    assert!(answer.status == 503 && answer.body.contains("login.unavailable"), "{}", answer.body);
}

pub(super) async fn office(world: &World) -> Office {
    let options = StartOptions {
        folder: world.folder.path().to_owned(),
        clock: world.clock.clone(),
        randomness: Arc::new(SystemRandomness),
    };
    Office::open(options).await.expect("an office")
}

#[tokio::test]
async fn whoever_logs_in_on_the_command_line_is_themselves_here_and_nowhere_else() {
    const BACK: &str = "http://127.0.0.1:49152/callback";
    let world = World::new(LOGIN).await;
    let desk = office(&world).await;
    assert!(matches!(desk.begin_login(Some("other"), BACK).await, Err(OfficeError::Refused(_))));
    let (begun, url) = desk.begin_login(None, BACK).await.expect("begun");
    let asked = asked(&url, &world);
    assert_eq!((asked["client_id"].as_str(), asked["redirect_uri"].as_str()), ("terminal", BACK));
    let query = granted(&world, &asked);
    let code = query.split(['=', '&']).nth(1).expect("a code");
    let returned = Returned { state: Some(begun.state()), code: Some(code), ..Returned::default() };
    let wrong = desk.finish_login(&begun, Returned { state: Some("x"), ..returned }).await;
    assert!(matches!(wrong, Err(OfficeError::Login(LoginError::NotBegun))), "{wrong:?}");
    let signed_in = desk.finish_login(&begun, returned).await.expect("logged in");
    assert_eq!(
        (signed_in.actor.id.as_str(), signed_in.actor.person().as_str()),
        ("corp:ada", "ada@example.test")
    );
    let again = desk.finish_login(&begun, returned).await;
    assert!(matches!(again, Err(OfficeError::Login(LoginError::Refused(_)))), "the code was used: {again:?}");

    let credential = signed_in.credential;
    let who = |credential: &str| desk.visitor_by_login(credential).map(|actor| actor.id.to_string());
    assert_eq!(who(&credential).expect("herself"), "corp:ada");
    for other in ["", "x", &credential[1..], &format!("{credential}A")] {
        assert_eq!(who(other).expect_err("nobody").code.as_str(), "auth.invalid");
    }
    let elsewhere = World::new(LOGIN).await;
    let foreign = office(&elsewhere).await;
    assert!(foreign.visitor_by_login(&credential).is_err(), "another installation has other keys");
    foreign.close().await;
    // It is no bearer token.
    assert!(!world.counts(&credential).await);
    world.later(1_799);
    assert!(who(&credential).is_ok());
    world.later(1);
    assert!(who(&credential).is_err(), "it is over");
    desk.close().await;
}

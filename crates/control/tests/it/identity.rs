//! Tokens: made, verified, expired, revoked, and never kept.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::approval::Asker;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_control::identity::web::{Answer, Form, Web, WebError};
use quaymaster_control::identity::{
    Arrival, Declared, Federation, Identity, IdentityConfig, LocalUser, NewToken, Roles, Sources,
    TokenRequest, create_token,
};
use quaymaster_core::actor::RoleConfig;
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{ActorId, Clock, DataClass, SecretError, SecretRef, SecretSource, Timestamp};
use quaymaster_store::{AccountRow, Store};

use crate::world::{World, slug};

struct Gate {
    world: World,
    clock: Arc<FixedClock>,
    identity: Identity,
    token: NewToken,
}

async fn gate() -> Gate {
    let world = World::new().await;
    let clock = Arc::new(FixedClock::new(Timestamp::from_micros(1_000_000_000)));
    let request = TokenRequest {
        actor: ActorId::parse("ada@example.test").expect("an id"),
        roles: vec![slug("lead"), slug("analyst"), slug("gone")],
        workspace: slug("sales"),
        lifetime: Duration::from_mins(1),
        note: None,
        person: Some(ActorId::parse("ada").expect("an id")),
    };
    let token =
        create_token(&world.store, request, clock.as_ref(), &SystemRandomness).await.expect("a token");
    let identity = Identity::new(world.store.clone(), clock.clone(), declared(roles()));
    Gate { world, clock, identity, token }
}

fn roles() -> Roles {
    let role = |clearance| RoleConfig { clearance, description: None };
    Roles::from([(slug("analyst"), role(DataClass::Internal)), (slug("lead"), role(DataClass::Confidential))])
}

fn declared(roles: Roles) -> Declared {
    Declared { roles, workspaces: [slug("sales")].into(), default_workspace: slug("sales") }
}

fn arrival<'a>(authorization: Option<&'a str>, workspace: Option<&'a str>) -> Arrival<'a> {
    Arrival { authorization, workspace, path: "/mcp" }
}

impl Gate {
    async fn ask(&self, header: &str, workspace: Option<&str>) -> Result<Vec<String>, String> {
        let actor = self
            .identity
            .authenticate(arrival(Some(header), workspace))
            .await
            .map_err(|e| e.code.to_string())?;
        Ok(actor.roles.iter().map(ToString::to_string).collect())
    }

    fn header(&self) -> String {
        format!("Bearer {}", self.token.text.as_str())
    }
}

#[tokio::test]
async fn a_token_gives_its_actor_in_the_roles_that_are_declared() {
    let gate = gate().await;
    assert_eq!(gate.ask(&gate.header(), None).await, Ok(vec!["analyst".into(), "lead".into()]));
    let actor =
        gate.identity.authenticate(arrival(Some(&gate.header()), Some("sales"))).await.expect("an actor");
    assert_eq!((actor.id.as_str(), actor.person().as_str()), ("ada@example.test", "ada"));
    assert_eq!((actor.clearance, actor.workspace.as_str()), (DataClass::Confidential, "sales"));
}

#[tokio::test]
async fn whatever_does_not_count_has_one_answer() {
    let gate = gate().await;
    let token = gate.token.text.as_str();
    for header in [
        format!("Bearer {}x", &token[..token.len() - 1]),
        format!("Basic {token}"),
        token.to_owned(),
        "Bearer".to_owned(),
        "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
        format!("Bearer {}", "a".repeat(10_000)),
    ] {
        assert_eq!(gate.ask(&header, None).await, Err("auth.invalid".into()), "{header}");
    }
    assert_eq!(gate.ask(&gate.header(), Some("other")).await, Err("auth.invalid".into()));
    let missing = gate.identity.authenticate(arrival(None, None)).await.map_err(|e| e.code.to_string());
    assert_eq!(missing.err(), Some("auth.missing".into()));
}

#[tokio::test]
async fn a_token_ends_at_its_time_and_within_a_second_of_its_revocation() {
    let gate = gate().await;
    assert!(gate.ask(&gate.header(), None).await.is_ok());
    assert!(gate.world.store.token_revoke(&gate.token.row.id, 1).await.expect("revoked"));
    gate.clock.advance(Duration::from_secs(1));
    assert_eq!(gate.ask(&gate.header(), None).await, Err("auth.invalid".into()));

    let gate = self::gate().await;
    assert!(gate.ask(&gate.header(), None).await.is_ok());
    gate.clock.advance(Duration::from_mins(1));
    assert_eq!(gate.ask(&gate.header(), None).await, Err("auth.invalid".into()));
    assert!(gate.clock.now() > Timestamp::from_micros(0));
}

#[tokio::test]
async fn a_clock_that_goes_back_keeps_no_revoked_token_alive() {
    let gate = gate().await;
    gate.clock.advance(Duration::from_secs(30));
    assert!(gate.ask(&gate.header(), None).await.is_ok());
    assert!(gate.world.store.token_revoke(&gate.token.row.id, 1).await.expect("revoked"));
    gate.clock.go_back(Duration::from_secs(20));
    assert_eq!(gate.ask(&gate.header(), None).await, Err("auth.invalid".into()));
}

#[tokio::test]
async fn the_token_itself_is_kept_nowhere() {
    let gate = gate().await;
    let kept: &Store = &gate.world.store;
    let listed = format!("{:?}", kept.token_list().await.expect("tokens"));
    assert!(!listed.contains(gate.token.text.as_str()));
    for entry in std::fs::read_dir(gate.world.folder.path()).expect("the folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        let secret = gate.token.text.as_bytes();
        assert!(!bytes.windows(secret.len()).any(|w| w == secret));
    }
}

#[derive(Debug)]
struct Silent;

impl Web for Silent {
    fn ask<'a>(&'a self, _: &'a str, _: Option<Form>) -> Answer<'a> {
        Box::pin(async { Err(WebError::NoAnswer("nobody is asked here".into())) })
    }
}

struct NoSecrets;

impl SecretSource for NoSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<secrecy::SecretString, SecretError> {
        panic!("nothing asks for {reference:?}")
    }
}

/// The issuers of a configuration in which one is called `corp` and tokens call it `url`.
fn federation(gate: &Gate, url: &str) -> Federation {
    let issuer = serde_json::json!({"name": "corp", "issuer": url, "audience": ["gateway"]});
    let config: IdentityConfig =
        serde_json::from_value(serde_json::json!({"issuers": [issuer]})).expect("one");
    let settings =
        config.check(Some("https://gateway.example.test"), &["analyst"].into()).expect("it holds together");
    let sources = Sources::new(Arc::new(Silent), gate.clock.clone());
    Federation::try_new(&settings, declared(roles()), &sources, &NoSecrets).expect("issuers")
}

#[tokio::test]
async fn whoever_asked_is_established_anew_as_they_are_now() {
    let gate = gate().await;
    let identity = || Identity::new(gate.world.store.clone(), gate.clock.clone(), declared(roles()));
    let local = |roles: &[&str], workspace: &str| LocalUser {
        roles: roles.iter().map(|role| slug(role)).collect(),
        workspace: slug(workspace),
        person: Some(ActorId::parse("ada").expect("a name")),
    };
    let id = || ActorId::parse("local:1000").expect("a name");
    let before = identity().with_local_user(Some(local(&["analyst", "lead"], "sales")));
    let asker = Asker::of(&before.local_user(id()).expect("a user"));
    let again = async |user| {
        let actor = identity().with_local_user(user).again(&asker).await.expect("an answer");
        actor.map(|actor| actor.roles.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(again(Some(local(&["analyst"], "sales"))).await, Some(vec!["analyst".to_owned()]));
    assert_eq!(again(Some(local(&["analyst"], "lab"))).await, None, "of another workspace now");
    assert_eq!(again(None).await, None, "there is no such user any more");

    let bearer = gate.identity.authenticate(arrival(Some(&gate.header()), None)).await.expect("an actor");
    let asker = Asker { roles: vec![slug("boss")], ..Asker::of(&bearer) };
    let found = identity().again(&asker).await.expect("an answer").expect("an actor");
    assert_eq!((&found.roles, &found.person), (&bearer.roles, &bearer.person), "as the token has it");
}

#[tokio::test]
async fn an_issuer_with_the_same_name_and_another_address_vouches_for_nobody_who_asked_before() {
    let gate = gate().await;
    let with = |url: &str| {
        let identity = Identity::new(gate.world.store.clone(), gate.clock.clone(), declared(roles()));
        identity.with_issuers(federation(&gate, url))
    };
    let asker = |url: Option<&str>| Asker {
        id: "corp:ada".into(),
        person: None,
        roles: vec![slug("analyst")],
        groups: vec![],
        workspace: slug("sales"),
        authentication: "oauth".into(),
        token: None,
        issuer: Some((slug("corp"), vec![])),
        issuer_url: url.map(ToOwned::to_owned),
    };
    let (known, other) = ("https://one.example.test", "https://two.example.test");
    let is_somebody =
        async |configured, named| with(configured).again(&asker(named)).await.expect("an answer").is_some();
    assert!(is_somebody(known, Some(known)).await);
    assert!(!is_somebody(other, Some(known)).await);
    assert!(!is_somebody(known, None).await, "nobody noted which one it was");
}

#[tokio::test]
async fn what_was_last_seen_of_an_issuers_account_says_who_is_behind_it_and_what_they_may() {
    let gate = gate().await;
    let url = "https://one.example.test";
    let identity = Identity::new(gate.world.store.clone(), gate.clock.clone(), declared(roles()));
    let identity = identity.with_issuers(federation(&gate, url));
    let name = |name: &str| ActorId::parse(name).expect("a name");
    let seen = |issuer: &str, roles: &[&str], seen_us| AccountRow {
        account: name("corp:Ada").folded(),
        workspace: slug("sales"),
        issuer: issuer.into(),
        person: Some(name("ADA@example.test").folded()),
        roles: roles.iter().map(|role| slug(role)).collect(),
        seen_us,
    };
    let held = async || {
        let ties = identity.ties().await.expect("ties");
        let of = ties.of(&name("robot"), &name("corp:ada")).await.expect("kin");
        assert!(of.overlaps(&ties.of(&name("x"), &name("ada@EXAMPLE.test")).await.expect("kin")));
        // The token of that name says who is behind it in turn.
        assert_eq!(of.end().as_str(), "ada");
        ties.held(&name("corp:ada"), &name("ada@example.test"), &slug("sales")).await.expect("roles").len()
    };
    let note = async |row| gate.world.store.account_note(&row).await.expect("noted");
    note(seen(url, &["analyst", "lead", "gone"], 1)).await;
    // Those of the token of this name, which is over later, are among them.
    gate.clock.advance(Duration::from_hours(1));
    assert_eq!(held().await, 2, "those that are declared");
    note(seen(url, &["analyst"], 2)).await;
    assert_eq!(held().await, 1, "as it was seen last");
    note(seen("https://gone.example.test", &["analyst"], 3)).await;
    assert_eq!(held().await, 0, "of an issuer that is trusted no more");
}

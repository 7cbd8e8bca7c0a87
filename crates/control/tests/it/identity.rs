//! Tokens: made, verified, expired, revoked, and never kept.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::crypto::SystemRandomness;
use quaymaster_control::identity::{
    Arrival, Declared, Identity, NewToken, Roles, TokenRequest, create_token,
};
use quaymaster_core::actor::RoleConfig;
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{ActorId, Clock, DataClass, Timestamp};
use quaymaster_store::Store;

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
    let role = |clearance| RoleConfig { clearance, description: None };
    let roles = Roles::from([
        (slug("analyst"), role(DataClass::Internal)),
        (slug("lead"), role(DataClass::Confidential)),
    ]);
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
    let identity = Identity::new(world.store.clone(), clock.clone(), declared(roles));
    Gate { world, clock, identity, token }
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

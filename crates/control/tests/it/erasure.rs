//! Erasing a person: what is left says nothing of them, and the log still verifies.

use quaymaster_control::approval::{State, Wanted};
use quaymaster_control::audit::erase::erase;
use quaymaster_control::audit::verify;
use quaymaster_core::{ActorId, DataClass};
use serde_json::json;

use crate::approvals::{agree, no, parked, person, say, world};
use crate::world::World;

fn actor(name: &str) -> ActorId {
    ActorId::parse(name).expect("a name")
}

async fn erased(world: &World, name: &str) -> Vec<String> {
    let names = erase(&actor(name), &world.store, &world.approvals, &world.evidence).await.expect("erased");
    names.iter().map(ToString::to_string).collect()
}

/// Every byte of the database as it is on disk, with its log.
fn holds(world: &World, text: &str) -> bool {
    let has = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let database =
        rusqlite::Connection::open(world.folder.path().join("quaymaster.db")).expect("the database");
    database
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("folded");
    let files = std::fs::read_dir(world.folder.path()).expect("files");
    files.filter_map(|file| std::fs::read(file.ok()?.path()).ok()).any(has)
}

#[tokio::test]
async fn every_spelling_goes_and_the_log_still_verifies() {
    let world = World::new().await;
    let subjects = &world.evidence.subjects;
    for name in ["Ada@x.test", "ada@x.test", "ＡDA@x.test", "adam@x.test"] {
        subjects.of(&actor(name)).await.expect("a key");
    }
    let before = subjects.of(&actor("ada@x.test")).await.expect("a key").commitment().clone();
    let mut names = erased(&world, "ADA@x.test").await;
    names.sort();
    assert_eq!(names, ["Ada@x.test", "ada@x.test", "ＡDA@x.test"]);
    assert_eq!(erased(&world, "ada@x.test").await, [""; 0], "there is nothing left");
    assert!(subjects.find(&actor("Ada@x.test")).await.expect("an answer").is_none());
    assert!(subjects.find(&actor("adam@x.test")).await.expect("an answer").is_some());
    assert!(!holds(&world, "da@x.test"), "the name is nowhere");
    assert!(holds(&world, "adam@x.test"));
    let after = subjects.of(&actor("ada@x.test")).await.expect("a new key").commitment().clone();
    assert_ne!(before, after, "whoever comes back is somebody else to the log");
    let said = world.records().await;
    let erasures: Vec<_> = said.iter().filter(|r| r["event"] == "audit.erased").collect();
    assert_eq!(erasures.len(), 3);
    assert!(erasures.iter().any(|r| r["on_behalf_of"] == *before), "by what the log called them");
    let found = verify(&world.store).await.expect("readable");
    assert!(found.intact, "{:?}", found.problems);
}

#[tokio::test]
async fn the_inputs_of_their_decisions_go_and_are_told_of_as_erased() {
    let world = World::new().await;
    let mut request =
        World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": 5}));
    let other = World::request("analyst", DataClass::Internal, "crm_account", &json!({"id": "b"}));
    request.actor = person("ada@x.test", "support").into();
    world.permit(request).await.expect("a permit");
    world.permit(other).await.expect("a permit");
    assert_eq!(erased(&world, "ada@x.test").await, ["ada@x.test"]);
    let found = verify(&world.store).await.expect("readable");
    assert_eq!((found.intact, found.erased), (true, 1), "{:?}", found.problems);
}

#[tokio::test]
async fn what_they_asked_for_and_what_they_said_go_with_them() {
    let (world, _) = world().await;
    let asked = parked(&world, 500).await;
    let decided = parked(&world, 600).await;
    assert_eq!(say(&world, &person("mo", "manager"), &decided, no()).await, Ok(State::Rejected));
    let viewer = person("di", "manager");
    let listed = async || {
        let listed = world.approvals.list(&viewer, Wanted::All, None).await.expect("a list");
        listed
            .requests
            .into_iter()
            .map(|request| (request.id, request.state, request.said))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed().await.len(), 2);
    assert_eq!(erased(&world, "mo").await, ["mo"]);
    let left = listed().await;
    let said =
        left.iter().find(|(id, ..)| *id == decided).map(|(_, _, said)| said.clone()).expect("the request");
    assert_eq!((said[0].by.as_str(), &said[0].comment), ("(erased)", &None));
    let requester = World::request("support", DataClass::Internal, "crm_refund", &json!({})).actor.id.clone();
    assert_eq!(erased(&world, requester.as_str()).await, [requester.to_string()]);
    assert_eq!(listed().await.len(), 0, "what they asked for is not read any more");
    let ended = world.records().await;
    let ended =
        ended.iter().filter(|r| r["event"] == "approval.ended" && r["approval"]["id"] == asked.as_str());
    assert_eq!(ended.count(), 1, "what waited for them was taken back first");
    assert!(say(&world, &viewer, &asked, no()).await.is_err());
    assert!(verify(&world.store).await.expect("readable").intact);
}

#[tokio::test]
async fn nobody_is_erased_while_a_call_of_theirs_that_was_agreed_to_runs() {
    let (world, _) = world().await;
    let asked = parked(&world, 500).await;
    agree(&world, &asked).await;
    for due in world.approvals.due().await.expect("an answer") {
        world.approvals.take(due, &world.evidence).await.expect("taken");
    }
    let requester = World::request("support", DataClass::Internal, "crm_refund", &json!({})).actor.id.clone();
    let refused = erase(&requester, &world.store, &world.approvals, &world.evidence).await;
    assert!(refused.expect_err("a call runs").to_string().contains("try again when it has ended"));
    assert!(world.evidence.subjects.find(&requester).await.expect("an answer").is_some());
}

//! Tokens of callers: whose they are, what rotation leaves, what erasure takes.

use quaymaster_core::clock::FixedClock;
use quaymaster_store::StoreTarget;

use super::*;
use crate::crypto::SystemRandomness;

struct World {
    folder: tempfile::TempDir,
    clock: Arc<FixedClock>,
    store: Store,
    subjects: Arc<Subjects>,
    ring: Arc<KeyRing>,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(FixedClock::new(Timestamp::from_micros(1_000_000_000)));
        let store =
            Store::open(StoreTarget::Sqlite { path: folder.path().join("q.db") }).await.expect("a store");
        let (time, chance) =
            (Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SystemRandomness) as Arc<dyn Randomness>);
        let sealing = Arc::new(SealingKey::new(&[7; 32], Arc::clone(&chance)).expect("a key"));
        let subjects =
            Arc::new(Subjects::new(store.clone(), sealing, Arc::clone(&time), Arc::clone(&chance)));
        let ring =
            KeyRing::open_or_create(&folder.path().join("handles.json"), time, chance).expect("a ring");
        Self { folder, clock, store, subjects, ring: Arc::new(ring) }
    }

    /// A process of its own: it remembers nothing.
    fn vault(&self) -> Vault {
        let of_vault = (Arc::clone(&self.subjects), Arc::clone(&self.ring));
        Vault::new(self.store.clone(), of_vault, Arc::clone(&self.clock) as _, Arc::new(SystemRandomness))
    }

    async fn row(&self, owner: &Owner) -> CallerTokenRow {
        let subject = self.subjects.of(&owner.actor).await.expect("a key");
        self.store.caller_token(&row_key(owner, &subject)).await.expect("a look").expect("a row")
    }
}

fn owner(workspace: &str, connector: &str, actor: &str) -> Owner {
    Owner {
        workspace: Slug::parse(workspace).expect("a name"),
        connector: Slug::parse(connector).expect("a name"),
        actor: ActorId::parse(actor).expect("a name"),
    }
}

async fn text(vault: &Vault, owner: &Owner) -> Option<String> {
    vault.open(owner).await.expect("the vault").map(|token| token.text.expose_secret().to_owned())
}

#[tokio::test]
async fn a_token_is_its_owners_alone_and_the_last_one_counts() {
    let world = World::new().await;
    let vault = world.vault();
    let ada = owner("sales", "crm", "ada");
    assert_eq!(vault.put(&ada, &"first-token".into(), None).await.expect("stored"), 1);
    assert_eq!(vault.put(&ada, &"second-token".into(), None).await.expect("stored"), 2);
    assert_eq!(text(&vault, &ada).await.as_deref(), Some("second-token"));
    for other in [owner("sales", "crm", "bo"), owner("hr", "crm", "ada"), owner("sales", "wiki", "ada")] {
        assert_eq!(text(&vault, &other).await, None, "{other:?}");
    }
    assert!(vault.remove(&ada).await.expect("removed"));
    assert_eq!(text(&vault, &ada).await, None);
}

#[tokio::test]
async fn a_row_that_was_moved_or_changed_does_not_open() {
    let world = World::new().await;
    let vault = world.vault();
    let (ada, bo) = (owner("sales", "crm", "ada"), owner("sales", "crm", "bo"));
    vault.put(&ada, &"of-ada".into(), None).await.expect("stored");
    vault.put(&bo, &"of-bo".into(), None).await.expect("stored");
    let (of_ada, of_bo) = (world.row(&ada).await, world.row(&bo).await);
    let database = rusqlite::Connection::open(world.folder.path().join("q.db")).expect("the database");
    let set = "UPDATE caller_tokens SET sealed = ?1, wrapped_key = ?2, version = ?3 WHERE subject = ?4";
    let put = |sealed: &[u8], key: &[u8], version: i64| {
        database.execute(set, (sealed, key, version, &of_bo.key.subject)).expect("changed");
    };
    put(&of_ada.sealed, &of_ada.wrapped_key, 1);
    assert!(vault.open(&bo).await.is_err(), "another's row");
    put(&of_bo.sealed, &of_bo.wrapped_key, 2);
    assert!(vault.open(&bo).await.is_err(), "another version");
    put(&of_ada.sealed, &of_bo.wrapped_key, 1);
    assert!(vault.open(&bo).await.is_err(), "another's token");
    put(&of_bo.sealed, &of_bo.wrapped_key, 1);
    assert_eq!(text(&vault, &bo).await.as_deref(), Some("of-bo"));
}

#[tokio::test]
async fn a_rotation_wraps_keys_anew_and_leaves_the_sealed_tokens_as_they_are() {
    let world = World::new().await;
    let vault = world.vault();
    let owners = [owner("sales", "crm", "ada"), owner("sales", "crm", "bo"), owner("hr", "wiki", "ada")];
    for owner in &owners {
        vault.put(owner, &"a-token-of-theirs".into(), None).await.expect("stored");
    }
    for _ in 0..crate::keyring::MAX_KEYS + 2 {
        let before = world.row(&owners[0]).await;
        let key = world.ring.rotate().expect("rotated");
        assert_eq!(vault.rewrap().await.expect("wrapped"), 3);
        assert_eq!(vault.rewrap().await.expect("nothing left"), 0);
        let after = world.row(&owners[0]).await;
        assert_eq!(after.ring_key, key);
        assert_eq!(after.sealed, before.sealed, "the sealed token stays as it is");
        assert_ne!(after.wrapped_key, before.wrapped_key);
    }
    for owner in &owners {
        assert_eq!(text(&world.vault(), owner).await.as_deref(), Some("a-token-of-theirs"));
    }
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_the_key_of_its_owner() {
    let world = World::new().await;
    let vault = world.vault();
    let ada = owner("sales", "crm", "ada");
    let end = world.clock.now().after(Duration::from_mins(1));
    vault.put(&ada, &"for-a-minute".into(), Some(end)).await.expect("stored");
    world.clock.advance(Duration::from_secs(59));
    assert_eq!(text(&vault, &ada).await.as_deref(), Some("for-a-minute"));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(text(&vault, &ada).await, None);

    vault.put(&ada, &"for-ever".into(), None).await.expect("stored");
    let subject = world.subjects.of(&ada.actor).await.expect("a key");
    let row = world.row(&ada).await;
    world.store.subject_erase("ada", subject.commitment(), "ada").await.expect("erased");
    assert_eq!(text(&vault, &ada).await, None);
    // Whoever kept a copy of the row, as in a backup, has no key for it any more.
    assert!(world.store.caller_token_store(&row).await.expect("put back"));
    world.subjects.forget(&ada.actor, &subject);
    assert_eq!(text(&vault, &ada).await, None);
    let bound = Bound::new(&row.key, row.version);
    let inner =
        world.ring.unwrap_key(&binding(&bound.parts()), row.ring_key, &row.wrapped_key).expect("one layer");
    let anew = world.subjects.of(&ada.actor).await.expect("a new key");
    assert!(anew.open_for(&bound.purpose("key"), &inner).is_err());
}

#[tokio::test]
async fn what_can_be_no_token_is_not_stored() {
    let world = World::new().await;
    let ada = owner("sales", "crm", "ada");
    for none in ["", "two\nlines", "ümlaut", &"x".repeat(MAX_TOKEN_BYTES + 1)] {
        let refused = world.vault().put(&ada, &none.into(), None).await;
        assert!(matches!(refused, Err(VaultError::NoToken(_))));
    }
}

#[tokio::test]
async fn a_caller_finds_what_was_stored_within_seconds_and_at_once_where_it_was_refused() {
    let world = World::new().await;
    let (one, other) = (world.vault(), world.vault());
    let ada = owner("sales", "crm", "ada");
    let look =
        async |refused| one.look(ada.clone(), refused).await.expect("the vault").map(|token| token.version);
    assert_eq!(look(None).await, None);
    other.put(&ada, &"first-token".into(), None).await.expect("stored");
    assert_eq!(look(None).await, None, "what is remembered");
    world.clock.advance(REMEMBERED);
    assert_eq!(look(None).await, Some(1));
    other.put(&ada, &"second-token".into(), None).await.expect("stored");
    assert_eq!(look(None).await, Some(1));
    assert_eq!(look(Some(1)).await, Some(2));
    assert_eq!(look(None).await, Some(2));
}

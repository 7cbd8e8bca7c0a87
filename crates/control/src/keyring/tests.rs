//! Handles that come back: theirs, another's, changed, too late, after a rotation.

use quaymaster_core::clock::FixedClock;

use super::*;
use crate::crypto::SystemRandomness;

const HOUR: Duration = Duration::from_hours(1);

struct World {
    folder: tempfile::TempDir,
    clock: Arc<FixedClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(FixedClock::new(Timestamp::from_micros(1_000_000_000)));
        Self { folder: tempfile::tempdir().expect("a folder"), clock }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("handles.json")
    }

    fn ring(&self) -> KeyRing {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        KeyRing::open_or_create(&self.path(), clock, Arc::new(SystemRandomness)).expect("a ring")
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

fn binding<'a>(holder: &'a [&'a str]) -> Binding<'a> {
    Binding { purpose: "request-state", holder }
}

#[test]
fn a_handle_opens_for_its_holder_and_for_no_other() {
    let world = World::new();
    let ring = world.ring();
    let ana = binding(&["ana", "sales"]);
    let handle = ring.seal(&ana, "call_1", HOUR).expect("sealed");
    assert_eq!(ring.open(&ana, &handle).expect("opened").as_str(), "call_1");
    for other in [&["bo", "sales"][..], &["ana", "hr"], &["anas", "ales"], &["ana"], &["ana", "sales", ""]] {
        assert_eq!(ring.open(&binding(other), &handle), Err(Unopened), "{other:?}");
    }
    let cursor = Binding { purpose: "cursor", holder: &["ana", "sales"] };
    assert_eq!(ring.open(&cursor, &handle), Err(Unopened));
}

#[test]
fn a_handle_that_was_changed_anywhere_does_not_open() {
    let world = World::new();
    let ring = world.ring();
    let handle = ring.seal(&binding(&["ana"]), "call_1", HOUR).expect("sealed");
    for at in 0..handle.len() {
        let mut bytes = handle.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("ASCII");
        assert_eq!(ring.open(&binding(&["ana"]), &changed), Err(Unopened), "at {at}");
    }
    for none in ["", "A", "!", &"A".repeat(20_000)] {
        assert_eq!(ring.open(&binding(&["ana"]), none), Err(Unopened));
    }
}

#[test]
fn a_handle_ends_with_its_lifetime() {
    let world = World::new();
    let ring = world.ring();
    let handle = ring.seal(&binding(&["ana"]), "call_1", HOUR).expect("sealed");
    world.pass(HOUR.saturating_sub(Duration::from_micros(1)));
    assert!(ring.open(&binding(&["ana"]), &handle).is_ok());
    world.pass(Duration::from_micros(1));
    assert_eq!(ring.open(&binding(&["ana"]), &handle), Err(Unopened));
}

#[test]
fn handles_outlive_rotations_until_their_key_is_pushed_out() {
    let world = World::new();
    let ring = world.ring();
    let handle = ring.seal(&binding(&["ana"]), "call_1", HOUR).expect("sealed");
    for _ in 1..MAX_KEYS {
        ring.rotate().expect("rotated");
        assert!(ring.open(&binding(&["ana"]), &handle).is_ok());
    }
    ring.rotate().expect("rotated");
    assert_eq!(ring.open(&binding(&["ana"]), &handle), Err(Unopened));
}

#[test]
fn another_process_opens_what_was_sealed_with_a_key_that_it_had_not_seen() {
    let world = World::new();
    let (one, other) = (world.ring(), world.ring());
    world.pass(BETWEEN_LOOKS);
    one.rotate().expect("rotated");
    let handle = one.seal(&binding(&["ana"]), "call_1", HOUR).expect("sealed");
    assert_eq!(other.open(&binding(&["ana"]), &handle).expect("opened").as_str(), "call_1");
}

#[test]
fn another_process_seals_with_a_newer_key_as_soon_as_it_has_looked() {
    let world = World::new();
    let (one, other) = (world.ring(), world.ring());
    let before = other.seal(&binding(&["ana"]), "call_1", HOUR).expect("sealed");
    assert_eq!(one.rotate().expect("rotated"), 2);
    let key_of = |handle: &str| URL_SAFE_NO_PAD.decode(handle).expect("base64")[1..5].to_vec();
    let again = other.seal(&binding(&["ana"]), "call_1", HOUR).expect("sealed");
    assert_eq!(key_of(&again), key_of(&before), "it has not looked yet");
    world.pass(BETWEEN_LOOKS);
    let after = other.seal(&binding(&["ana"]), "call_1", HOUR).expect("sealed");
    assert_eq!((key_of(&before), key_of(&after)), (vec![0, 0, 0, 1], vec![0, 0, 0, 2]));
    assert_eq!(other.open(&binding(&["ana"]), &before).expect("opened").as_str(), "call_1");
    // Looking for a newer key has not kept it from looking for an unknown one.
    one.rotate().expect("rotated");
    let third = one.seal(&binding(&["ana"]), "call_3", HOUR).expect("sealed");
    assert_eq!(other.open(&binding(&["ana"]), &third).expect("opened").as_str(), "call_3");
}

#[test]
fn the_ages_of_the_keys_are_told_and_never_their_secrets() {
    let world = World::new();
    let ring = world.ring();
    world.pass(HOUR);
    for _ in 0..MAX_KEYS {
        ring.rotate().expect("rotated");
    }
    let ages = ring.ages().expect("ages");
    assert_eq!(ages.iter().map(|key| key.id).collect::<Vec<_>>(), [5, 4, 3, 2]);
    assert!(ages.iter().all(|key| key.created == world.clock.now()));
    let file = fs::read_to_string(world.path()).expect("the file");
    let file: serde_json::Value = serde_json::from_str(&file).expect("JSON");
    let shown = format!("{ages:?} {ring:?}");
    for key in file["keys"].as_array().expect("keys") {
        assert!(!shown.contains(key["secret"].as_str().expect("a secret")));
    }
}

#[test]
fn a_ring_that_others_can_read_or_that_is_none_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    drop(world.ring());
    let again = || {
        let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
        KeyRing::open_or_create(&world.path(), clock, Arc::new(SystemRandomness)).map(drop)
    };
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o640)).expect("chmod");
    assert!(again().expect_err("open to others").to_string().contains("chmod 600"));
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o600)).expect("chmod");
    for (text, reason) in [
        ("secret!", "it is no key ring"),
        (r#"{"keys":[]}"#, "it holds no key"),
        (r#"{"keys":[{"id":1,"createdUs":0,"secret":"AAAA"}]}"#, "its key 1 is no key"),
    ] {
        fs::write(world.path(), text).expect("written");
        let message = again().expect_err(text).to_string();
        assert!(message.contains(reason) && !message.contains("AAAA"), "{message}");
    }
}

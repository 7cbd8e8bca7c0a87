//! What was found out once and is remembered for the next call.
//!
//! Invariants:
//! - A memory is bounded: one more than it holds, and it begins anew.
//! - [`PerActor`] goes by everything of an actor that a policy can see, so
//!   whoever shares an entry has the same answer.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Actor, ActorId, Role, Workspace};

/// How many entries are remembered unless something else is said.
const CAPACITY: usize = 10_000;

/// A bounded map that many threads share.
pub struct Memory<K, V> {
    entries: Mutex<HashMap<K, V>>,
    capacity: usize,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self::of(CAPACITY)
    }
}

impl<K, V> Memory<K, V> {
    /// One that holds so many entries at most.
    pub fn of(capacity: usize) -> Self {
        Self { entries: Mutex::default(), capacity }
    }
}

impl<K: Eq + Hash, V: Clone> Memory<K, V> {
    /// What is remembered under `key`.
    pub fn get(&self, key: &K) -> Option<V> {
        self.entries().get(key).cloned()
    }

    /// Remembers `value` under `key`.
    pub fn insert(&self, key: K, value: V) {
        let mut entries = self.entries();
        if entries.len() >= self.capacity {
            entries.clear();
        }
        entries.insert(key, value);
    }

    /// Forgets what is remembered under `key`.
    pub fn remove(&self, key: &K) {
        self.entries().remove(key);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows nothing of what is remembered.
impl<K, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// What of an actor a policy can see.
type Viewer = (ActorId, ActorId, Arc<[Role]>, Arc<[String]>, Workspace, &'static str);

/// A memory with one value for each actor.
pub struct PerActor<V>(Memory<Viewer, V>);

impl<V> Default for PerActor<V> {
    fn default() -> Self {
        Self(Memory::default())
    }
}

impl<V: Clone> PerActor<V> {
    /// The value for `actor`, made now if there is none yet.
    pub fn get_or_make(&self, actor: &Actor, make: impl FnOnce() -> V) -> V {
        let viewer = (
            actor.id.clone(),
            actor.person().clone(),
            Arc::clone(&actor.roles),
            Arc::clone(&actor.groups),
            actor.workspace.clone(),
            actor.authentication.as_str(),
        );
        self.0.get(&viewer).unwrap_or_else(|| {
            // Not under the lock: whoever is known already need not wait for it.
            let value = make();
            self.0.insert(viewer, value.clone());
            value
        })
    }
}

/// Shows nothing of what is remembered.
impl<V> fmt::Debug for PerActor<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerActor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authentication, DataClass, setting::Slug};

    fn actor(id: &str, role: &str) -> Actor {
        let slug = |name: &str| Slug::parse(name).expect("a slug");
        Actor {
            id: ActorId::parse(id).expect("an id"),
            person: None,
            roles: [slug(role)].into(),
            groups: [].into(),
            workspace: slug("sales"),
            clearance: DataClass::Internal,
            authentication: Authentication::LocalUser,
        }
    }

    #[test]
    fn a_value_is_made_once_for_each_actor_in_each_role() {
        let memory = PerActor::default();
        assert_eq!(memory.get_or_make(&actor("ada", "analyst"), || 1), 1);
        assert_eq!(memory.get_or_make(&actor("ada", "analyst"), || 2), 1);
        assert_eq!(memory.get_or_make(&actor("ada", "manager"), || 3), 3);
        assert_eq!(memory.get_or_make(&actor("bo", "analyst"), || 4), 4);
    }

    #[test]
    fn a_memory_that_is_full_begins_anew() {
        let memory = Memory::default();
        for n in 0..CAPACITY {
            memory.insert(n, n);
        }
        assert_eq!((memory.get(&0), memory.entries().len()), (Some(0), CAPACITY));
        memory.insert(CAPACITY, 7);
        assert_eq!((memory.get(&0), memory.get(&CAPACITY), memory.entries().len()), (None, Some(7), 1));
        memory.remove(&CAPACITY);
        assert_eq!(memory.get(&CAPACITY), None);
    }
}

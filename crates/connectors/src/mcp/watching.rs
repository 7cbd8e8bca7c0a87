//! Resources whose changes somebody wants to hear of.
//!
//! Whoever holds a [`Watch`] hears; the supervisor has the server told of what is
//! watched, over whichever connection there is. That something is told is no more
//! than that: what a resource holds now is read like any other time.
//!
//! Invariant: a server is asked for what is watched, once for each address, and for
//! nothing else; an address that nobody watches any more takes no room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quaymaster_core::{Actor, Raw};
use tokio::sync::{Notify, watch};

use super::followed::Holder;

/// How many addresses of one server are watched at most.
const MAX_WATCHED: usize = 1_000;

/// What is watched of one server, and who hears of it.
#[derive(Debug, Default)]
pub struct Watched {
    kept: Mutex<Kept>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    addresses: BTreeMap<String, watch::Sender<u64>>,
    /// Who watches, and how many watches each has.
    holders: HashMap<Holder, usize>,
}

/// Somebody's interest in one resource.
#[derive(Debug)]
pub struct Watch {
    uri: String,
    holder: Holder,
    /// There until it is dropped.
    told: Option<watch::Receiver<u64>>,
    of: Arc<Watched>,
}

impl Watch {
    /// Waits until the server says that the resource has changed. False if it can say so no more.
    pub async fn changed(&mut self) -> bool {
        match &mut self.told {
            Some(told) => told.changed().await.is_ok(),
            None => false,
        }
    }

    /// How often the server has said so.
    pub fn version(&self) -> u64 {
        self.told.as_ref().map(|told| *told.borrow()).unwrap_or_default()
    }

    /// Whether both are told by the same server's connector.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.of, &other.of)
    }

    /// The resource.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut kept = self.of.lock();
        // Under the lock, so that of two that leave together the last one sees that it is.
        self.told = None;
        if kept.addresses.get(&self.uri).is_some_and(|told| told.receiver_count() == 0) {
            kept.addresses.remove(&self.uri);
            self.of.changed.notify_one();
        }
        if let Some(count) = kept.holders.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                kept.holders.remove(&self.holder);
            }
        }
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch `uri` for `actor`; none if too many are watched.
    pub fn add(self: &Arc<Self>, actor: &Actor, uri: &str) -> Option<Watch> {
        let holder = Holder::of(actor);
        let mut kept = self.lock();
        let is_known = kept.addresses.contains_key(uri);
        if !is_known && kept.addresses.len() >= MAX_WATCHED {
            return None;
        }
        let watches = kept.holders.entry(holder.clone()).or_default();
        *watches += 1;
        if !is_known || *watches == 1 {
            self.changed.notify_one();
        }
        let told = kept.addresses.entry(uri.to_owned()).or_default().subscribe();
        Some(Watch { uri: uri.to_owned(), holder, told: Some(told), of: Arc::clone(self) })
    }

    /// Some of those who watch: all of them if there are no more than two.
    pub(super) fn holders(&self) -> Vec<Holder> {
        self.lock().holders.keys().take(2).cloned().collect()
    }

    /// What is watched now.
    pub(super) fn now(&self) -> BTreeSet<String> {
        self.lock().addresses.keys().cloned().collect()
    }

    /// Waits until something else is watched than when this was last called.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Has everyone who watches look again.
    pub(super) fn all_updated(&self) {
        for told in self.lock().addresses.values() {
            told.send_modify(|n| *n += 1);
        }
    }

    /// Takes the parameters of `notifications/resources/updated`.
    pub fn updated(&self, params: Option<Raw<'_>>) {
        let uri = params.and_then(|params| params.member("uri").ok()?).and_then(Raw::text);
        if let Some(told) = uri.and_then(|uri| self.lock().addresses.get(&*uri).cloned()) {
            told.send_modify(|n| *n += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::actor;
    use super::*;

    fn updated(watched: &Watched, uri: &str) {
        let params = format!(r#"{{"uri":"{uri}"}}"#);
        watched.updated(Some(Raw::read(&params).expect("JSON")));
    }

    #[tokio::test]
    async fn who_watches_an_address_hears_of_it_and_of_no_other() {
        let watched = Arc::new(Watched::default());
        let (mut one, mut two) = (
            watched.add(&actor("ada"), "a://1").expect("room"),
            watched.add(&actor("ada"), "a://1").expect("room"),
        );
        let mut other = watched.add(&actor("ada"), "a://2").expect("room");
        updated(&watched, "a://1");
        assert!(one.changed().await && two.changed().await);
        assert!(futures_util::poll!(std::pin::pin!(other.changed())).is_pending());
        drop(one);
        assert_eq!(watched.now().len(), 2, "one of them still watches it");
        drop(two);
        assert_eq!(watched.now(), BTreeSet::from(["a://2".to_owned()]));
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let watched = Arc::new(Watched::default());
        let held: Vec<Watch> =
            (0..MAX_WATCHED).filter_map(|n| watched.add(&actor("ada"), &format!("a://{n}"))).collect();
        assert_eq!(held.len(), MAX_WATCHED);
        assert!(watched.add(&actor("ada"), "a://more").is_none());
        assert!(
            watched.add(&actor("ada"), "a://1").is_some(),
            "what is watched already can be watched by more"
        );
    }

    #[test]
    fn who_watches_is_known_until_the_last_watch_is_gone() {
        let watched = Arc::new(Watched::default());
        let (ada, bob) = (actor("ada"), actor("bob"));
        let held = [watched.add(&ada, "a://1"), watched.add(&ada, "a://2"), watched.add(&bob, "a://1")];
        assert_eq!(watched.holders().len(), 2);
        let [one, two, three] = held;
        drop((one, three));
        assert_eq!(watched.holders(), [Holder::of(&ada)]);
        drop(two);
        assert_eq!(watched.holders(), []);
    }
}

//! What a list says in its `_meta` of what is not to be had now.

use quaymaster_control::incident::Notice;
use serde_json::{Value, json};

use super::era::Era;
use super::front::ServerIdentity;
use crate::upstreams::{MISSING_UPSTREAMS, MissingUpstream};

/// The member of a list's `_meta` that says what is stopped by incident switches.
pub const STOPPED: &str = "com.quaymaster/stopped";

/// What keeps a caller from what a list would have, or from calling what it has.
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    /// The systems that are not up.
    pub missing: Vec<MissingUpstream>,
    /// The incident switches that stand, as far as the caller is told of them.
    pub stopped: Vec<Notice>,
}

impl Gaps {
    /// The `_meta` of a list: whose it is, what of it could not be asked, and what of it is stopped.
    pub(super) fn as_meta(&self, era: Era, identity: &ServerIdentity) -> Option<Value> {
        let Self { missing, stopped } = self;
        let mut meta = match era {
            Era::Legacy if missing.is_empty() && stopped.is_empty() => return None,
            Era::Legacy => json!({}),
            Era::Modern => identity.as_meta(),
        };
        if let Some(members) = meta.as_object_mut() {
            members.extend((!missing.is_empty()).then(|| (MISSING_UPSTREAMS.to_owned(), json!(missing))));
            members.extend((!stopped.is_empty()).then(|| (STOPPED.to_owned(), json!(stopped))));
        }
        Some(meta)
    }
}

#[cfg(test)]
mod tests {
    use quaymaster_core::clock::FixedClock;
    use quaymaster_core::random::CountingRandomness;
    use quaymaster_core::{IncidentId, Timestamp};

    use super::*;

    #[test]
    fn a_list_names_what_could_not_be_asked_and_what_is_stopped_in_both_eras() {
        let until = Timestamp::from_micros(0);
        let id = IncidentId::new(&FixedClock::new(until), &CountingRandomness::default());
        let stopped = Notice { id: id.clone(), stops: "writes".into(), until };
        let some = Gaps {
            missing: vec![MissingUpstream { name: "desk".into(), state: "unreachable" }],
            stopped: vec![stopped],
        };
        for era in [Era::Legacy, Era::Modern] {
            let none = Gaps::default().as_meta(era, &ServerIdentity::default()).unwrap_or_default();
            assert_eq!((none.get(MISSING_UPSTREAMS), none.get(STOPPED)), (None, None));
            let told = some.as_meta(era, &ServerIdentity::default()).expect("something to tell");
            assert_eq!(told[MISSING_UPSTREAMS], json!([{"name": "desk", "state": "unreachable"}]));
            let until = "1970-01-01T00:00:00.000000Z";
            assert_eq!(told[STOPPED], json!([{"id": id, "stops": "writes", "until": until}]));
        }
    }
}

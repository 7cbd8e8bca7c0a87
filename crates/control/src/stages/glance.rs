//! Whether a resource may be shown in a list, or watched.
//!
//! Neither reads it, so nothing is recorded; but that it is there, what it is called and when
//! it changes are for those alone who may read it.

use quaymaster_catalog::Tool;
use quaymaster_core::{Actor, AgentClaims, Arguments, Timestamp};
use serde_json::{Map, Value};

use super::Rulebook;
use crate::policy::{Circumstances, DecisionEffect};

/// Whether `actor` may read the resource at `uri`, which belongs to `group`, now or after somebody
/// has agreed. What an agent says of itself counts for nothing here.
pub fn may_read(actor: &Actor, group: &Tool, uri: &str, rulebook: &Rulebook, at: Timestamp) -> bool {
    let arguments = Arguments::from_map(Map::from_iter([("uri".to_owned(), Value::from(uri))]));
    let decision = rulebook.policies().decide(
        actor,
        group,
        &arguments,
        &Circumstances::new(&AgentClaims::default(), at),
    );
    let rules = rulebook.field_rules(group);
    decision.effect != DecisionEffect::Deny
        // What somebody has to agree to first is shown all the same: that is what could be asked for.
        && rules.is_some_and(|rules| rules.lets_default(actor, true))
}

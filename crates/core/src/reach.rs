//! How much of what an actor may see a request can reach: all of it, or what one
//! connector offers.
//!
//! A route for one connector shows that connector as if it stood alone, with names
//! that have no prefix. It narrows what can be named and widens nothing: what an
//! actor may see and do is decided as on every other route.

use std::ops::Deref;
use std::sync::Arc;

use crate::Actor;
use crate::setting::Slug;

/// The part of the catalogue that a request speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Everything, by full names.
    #[default]
    All,
    /// What the connector of this name offers, by names without its prefix. There
    /// may be no such connector; then there is nothing.
    One(Slug),
}

impl Reach {
    /// One text for one reach, to bind what is handed out to it: the connector's
    /// name, and nothing for everything, as no name is empty.
    pub fn as_str(&self) -> &str {
        match self {
            Self::All => "",
            Self::One(connector) => connector.as_str(),
        }
    }

    /// Whether what the connector called `name` offers is part of it.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(connector) => connector.as_str() == name,
        }
    }
}

/// Who asks, and how much their request can reach.
///
/// Dereferences to the actor for those who need not know of routes.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who asks.
    pub actor: Arc<Actor>,
    /// What the route leads to.
    pub reach: Reach,
}

impl From<Arc<Actor>> for Caller {
    /// Somebody who can reach everything that they may see.
    fn from(actor: Arc<Actor>) -> Self {
        Self { actor, reach: Reach::All }
    }
}

impl Deref for Caller {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.actor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reach_is_told_apart_from_every_other_by_its_text() {
        let one = Reach::One(Slug::parse("desk").expect("a name"));
        assert_eq!((Reach::All.as_str(), one.as_str()), ("", "desk"));
        assert!(Slug::parse("").is_err(), "or a connector could pass for everything");
        assert!(Reach::All.includes("crm") && one.includes("desk") && !one.includes("crm"));
    }
}

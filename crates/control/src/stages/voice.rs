//! Whether the system behind a tool may speak to the client while a call runs.
//!
//! What it asks or tells in the middle of a call is content like a result, and has
//! no fields to take out: it passes only where nothing would have to be.

use std::sync::Arc;

use super::Rulebook;
use super::permit::Permit;
use super::release::Sieve;

/// What one call's system may say before its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice(bool);

/// What the rules let the system behind `permit` say.
pub fn voice(permit: &Permit, rulebook: &Rulebook) -> Voice {
    Voice(
        Sieve::of(permit.facts(), rulebook)
            .is_some_and(|sieve| sieve.lets_all_through() && !sieve.withholds_kinds()),
    )
}

impl Voice {
    /// Whether the system may say nothing at all.
    pub fn is_mute(self) -> bool {
        !self.0
    }

    /// The way to the client, if that may be spoken to.
    pub fn over<T: ?Sized>(self, way: Option<Arc<T>>) -> Option<Arc<T>> {
        way.filter(|_| self.0)
    }
}

//! Levels in their order, and which of them one caller may have.
//!
//! The four levels that every installation has are [`DataClass`]es, by which clearances and connectors speak.
//! Another level is told apart by what may be done with it, and needs the clearance of the next class above.

use std::sync::Arc;

use quaymaster_core::setting::{DurationSetting, Slug};
use quaymaster_core::{Actor, DataClass, Keeping};

use super::{Cover, HandlingConfig, Purpose, WriteHandling};

/// Most levels: a set of them is 32 bits.
pub(super) const MAX_LEVELS: usize = 32;

/// A level: its place in the order of one installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    const fn bit(self) -> u32 {
        1 << self.0
    }
}

/// The level of some data, and where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) level: Level,
    /// Where it belongs, among the jurisdictions that the classification names.
    pub(crate) jurisdiction: Option<u16>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Arc<str>,
    class: DataClass,
    handling: HandlingConfig,
}

/// The levels of an installation.
#[derive(Clone, Debug)]
pub(crate) struct Levels {
    all: Vec<Entry>,
}

const CLASSES: [DataClass; 4] =
    [DataClass::Public, DataClass::Internal, DataClass::Confidential, DataClass::Restricted];

impl Default for Levels {
    fn default() -> Self {
        let entry = |class: DataClass| Entry {
            name: class.as_str().into(),
            class,
            handling: HandlingConfig::default(),
        };
        Self { all: CLASSES.map(entry).into() }
    }
}

impl Levels {
    /// The levels called `names`, in this order, all of which may be handled as usual.
    ///
    /// # Errors
    ///
    /// What is wrong with the list.
    pub(super) fn parse(names: &[Slug]) -> Result<Self, String> {
        if names.len() > MAX_LEVELS {
            return Err(format!("there are more than {MAX_LEVELS} levels"));
        }
        let own = names.iter().filter_map(class_of).collect::<Vec<_>>();
        if own != CLASSES {
            return Err(
                "`public`, `internal`, `confidential` and `restricted` are all among the levels, once \
                        each and in this order"
                    .into(),
            );
        }
        let mut all: Vec<Entry> = Vec::with_capacity(names.len());
        let mut class = DataClass::Restricted;
        for name in names.iter().rev() {
            class = class_of(name).unwrap_or(class);
            if all.iter().any(|other| *other.name == *name.as_str()) {
                return Err(format!("there are two levels `{name}`"));
            }
            all.push(Entry { name: name.as_str().into(), class, handling: HandlingConfig::default() });
        }
        all.reverse();
        Ok(Self { all })
    }

    /// The level called `name`.
    pub(crate) fn named(&self, name: &str) -> Option<Level> {
        let at = self.all.iter().position(|entry| *entry.name == *name)?;
        u8::try_from(at).ok().map(Level)
    }

    /// The names, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.all.iter().map(|entry| entry.name.as_ref())
    }

    /// The level that a class is.
    pub(crate) fn of_class(&self, class: DataClass) -> Level {
        // Every list of levels has the four; were one missing, its data would be of the highest.
        self.named(class.as_str()).unwrap_or_else(|| self.highest())
    }

    fn highest(&self) -> Level {
        Level(u8::try_from(self.all.len().saturating_sub(1)).unwrap_or(u8::MAX))
    }

    pub(super) fn handle(&mut self, level: Level, handling: HandlingConfig) {
        if let Some(entry) = self.all.get_mut(usize::from(level.0)) {
            entry.handling = handling;
        }
    }

    fn entry(&self, level: Level) -> Option<&Entry> {
        self.all.get(usize::from(level.0))
    }

    /// The name of a level.
    pub(crate) fn name(&self, level: Level) -> &Arc<str> {
        static UNKNOWN: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "restricted".into());
        self.entry(level).map_or(&UNKNOWN, |entry| &entry.name)
    }

    /// The class whose clearance reaches a level.
    pub(crate) fn class(&self, level: Level) -> DataClass {
        self.entry(level).map_or(DataClass::Restricted, |entry| entry.class)
    }

    /// What may be done with data of a level.
    pub(crate) fn handling(&self, level: Level) -> Option<&HandlingConfig> {
        self.entry(level).map(|entry| &entry.handling)
    }

    /// Whether results that hold data of a level may be kept.
    pub(crate) fn keeping(&self, level: Level) -> Keeping {
        let keeping = |handling: &HandlingConfig| Keeping {
            is_allowed: handling.cache,
            at_most: handling.retention.map(DurationSetting::get),
        };
        self.handling(level).map_or(Keeping { is_allowed: false, at_most: None }, keeping)
    }

    /// Whether some level says something of data that an agent gives to a tool.
    pub(crate) fn bind_arguments(&self) -> bool {
        self.iter().any(|(_, handling)| handling.write != WriteHandling::Allow || !handling.log)
    }

    /// What is done with values of a level that may not be released.
    pub(crate) fn cover(&self, level: Level) -> Cover {
        self.handling(level).map_or(Cover::Drop, |handling| handling.redaction)
    }

    /// The levels with what may be done with them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Level, &HandlingConfig)> {
        let level = |at: usize| Level(u8::try_from(at).unwrap_or(u8::MAX));
        self.all.iter().enumerate().map(move |(at, entry)| (level(at), &entry.handling))
    }

    /// What `actor` may have of what a tool of this `purpose` releases, in a workspace that is in the
    /// jurisdiction `place`, which has the number `number` if the classification names it elsewhere.
    pub(crate) fn bounds(
        &self,
        actor: &Actor,
        purpose: Purpose,
        (place, number): (Option<&Slug>, Option<u16>),
    ) -> Bounds {
        let (mut within, mut across) = (0, 0);
        for ((level, handling), entry) in self.iter().zip(&self.all) {
            let may = match purpose {
                Purpose::Retrieve => handling.retrieve,
                Purpose::Summarise => handling.summarise,
                Purpose::Transform => handling.transform,
            };
            let is_theirs = |roles: &Vec<Slug>| roles.iter().any(|role| actor.roles.contains(role));
            let is_here = |places: &Vec<Slug>| place.is_some_and(|place| places.contains(place));
            let lets = may
                && entry.class <= actor.clearance
                && handling.roles.as_ref().is_none_or(is_theirs)
                && handling.jurisdictions.as_ref().is_none_or(is_here);
            within |= if lets { level.bit() } else { 0 };
            across |= if lets && handling.cross_border { level.bit() } else { 0 };
        }
        Bounds { within, across, place: number }
    }
}

fn class_of(name: &Slug) -> Option<DataClass> {
    CLASSES.into_iter().find(|class| class.as_str() == name.as_str())
}

/// What one caller may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Levels of data that belongs to the caller's jurisdiction, or nowhere.
    within: u32,
    /// Levels of data that belongs elsewhere.
    across: u32,
    place: Option<u16>,
}

impl Bounds {
    /// The same without some levels.
    pub(super) fn without(self, levels: impl Iterator<Item = Level>) -> Self {
        let gone = levels.fold(0, |gone, level| gone | level.bit());
        Self { within: self.within & !gone, across: self.across & !gone, ..self }
    }

    /// Whether data that is marked so may be released.
    pub(crate) fn lets(self, mark: Mark) -> bool {
        let levels = if crosses(mark.jurisdiction, self.place) { self.across } else { self.within };
        levels & mark.level.bit() != 0
    }
}

/// Whether data that belongs to the jurisdiction `data` is elsewhere at `place`. What belongs nowhere never is.
pub(super) fn crosses(data: Option<u16>, place: Option<u16>) -> bool {
    data.is_some() && data != place
}

#[cfg(test)]
mod tests {
    use quaymaster_core::{ActorId, Authentication};

    use super::*;

    fn slug(name: &str) -> Slug {
        Slug::parse(name).expect("a name")
    }

    fn slugs(names: &[&str]) -> Vec<Slug> {
        names.iter().map(|name| slug(name)).collect()
    }

    fn actor(role: &str, clearance: DataClass) -> Actor {
        Actor {
            id: ActorId::parse("ada").expect("an id"),
            person: None,
            roles: [slug(role)].into(),
            groups: [].into(),
            workspace: slug("sales"),
            clearance,
            authentication: Authentication::LocalUser,
        }
    }

    #[test]
    fn the_four_levels_are_always_there_in_their_order_and_others_beside_them() {
        let names = ["open", "public", "internal", "partner", "confidential", "restricted", "secret"];
        let levels = Levels::parse(&slugs(&names)).expect("levels");
        let class = |name: &str| levels.class(levels.named(name).expect("a level"));
        assert_eq!(class("open"), DataClass::Public);
        assert_eq!(class("partner"), DataClass::Confidential);
        assert_eq!((class("restricted"), class("secret")), (DataClass::Restricted, DataClass::Restricted));
        assert!(levels.named("partner") > levels.named("internal"));
        for wrong in [
            &["public", "internal", "confidential"][..],
            &["internal", "public", "confidential", "restricted"],
            &["public", "internal", "confidential", "restricted", "restricted"],
            &["public", "x", "internal", "x", "confidential", "restricted"],
        ] {
            assert!(Levels::parse(&slugs(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_clearance_reaches_what_it_always_reached_where_nothing_else_is_said() {
        let levels = Levels::default();
        for clearance in CLASSES {
            let bounds = levels.bounds(&actor("analyst", clearance), Purpose::Retrieve, (None, None));
            for class in CLASSES {
                let mark = Mark { level: levels.of_class(class), jurisdiction: None };
                assert_eq!(bounds.lets(mark), class <= clearance, "{class} {clearance}");
            }
        }
    }

    #[test]
    fn roles_places_borders_and_purposes_narrow_what_a_clearance_reaches() {
        let mut levels = Levels::default();
        let level = levels.of_class(DataClass::Confidential);
        let (eu, us) = (slug("eu"), slug("us"));
        let here = Mark { level, jurisdiction: Some(0) };
        let nowhere = Mark { level, jurisdiction: None };
        let ada = actor("analyst", DataClass::Restricted);
        let mut lets = |handling: HandlingConfig, purpose, place, mark| {
            levels.handle(level, handling);
            levels.bounds(&ada, purpose, place).lets(mark)
        };
        let usual = HandlingConfig::default();
        let (at_home, abroad) = ((Some(&eu), Some(0)), (Some(&us), Some(1)));
        assert!(lets(usual.clone(), Purpose::Retrieve, abroad, here), "crossing is open unless it is closed");
        let closed = HandlingConfig { cross_border: false, ..usual.clone() };
        assert!(lets(closed.clone(), Purpose::Retrieve, at_home, here));
        assert!(!lets(closed.clone(), Purpose::Retrieve, abroad, here));
        assert!(!lets(closed.clone(), Purpose::Retrieve, (None, None), here), "a place that nobody knows");
        assert!(lets(closed, Purpose::Retrieve, abroad, nowhere));
        let only_eu = HandlingConfig { jurisdictions: Some(vec![eu.clone()]), ..usual.clone() };
        assert!(lets(only_eu.clone(), Purpose::Retrieve, at_home, nowhere));
        assert!(!lets(only_eu.clone(), Purpose::Retrieve, abroad, nowhere));
        assert!(!lets(only_eu, Purpose::Retrieve, (None, None), nowhere));
        for (role, expected) in [("analyst", true), ("dpo", false)] {
            let roles = HandlingConfig { roles: Some(vec![slug(role)]), ..usual.clone() };
            assert_eq!(lets(roles, Purpose::Retrieve, at_home, here), expected, "{role}");
        }
        let counts_alone = HandlingConfig { retrieve: false, transform: false, ..usual };
        assert!(!lets(counts_alone.clone(), Purpose::Retrieve, at_home, here));
        assert!(!lets(counts_alone.clone(), Purpose::Transform, at_home, here));
        assert!(lets(counts_alone, Purpose::Summarise, at_home, here));
    }
}

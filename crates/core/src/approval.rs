//! What has to be agreed to before a call may run, and by whom.
//!
//! A [`Gate`] is one agreement that is needed. A call that several gates stand before runs when
//! each of them is open; somebody who has the roles of several may open each of these. Which gates stand
//! before a call is policy's answer; who opened them is the approvals' in `quaymaster-control`.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::actor::Role;
use crate::connector::ApprovalConfig;
use crate::setting::DurationSetting;

/// How long a request waits for an answer where nothing else is said.
pub const DEFAULT_EXPIRY: Duration = Duration::from_hours(24);

/// One agreement that is needed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gate {
    /// Who may decide; never empty. The requester never may.
    pub roles: BTreeSet<Role>,
    /// How many different people have to agree.
    pub quorum: NonZeroU32,
    /// How long a request waits for an answer; then it is refused.
    pub expires: Duration,
    /// Who may decide as well if nobody has for a while.
    pub escalation: Option<Escalation>,
    /// Who may go ahead alone in an emergency, with a review afterwards that they cannot do themselves.
    pub emergency: BTreeSet<Role>,
}

/// Who may decide as well if nobody has for a while.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Escalation {
    /// The roles that may decide from then on; never empty.
    pub to: BTreeSet<Role>,
    /// How long after the request.
    pub after: Duration,
}

impl Gate {
    /// One agreement of somebody of one of `roles`, within a day.
    pub fn by(roles: impl IntoIterator<Item = Role>) -> Self {
        Self {
            roles: roles.into_iter().collect(),
            quorum: NonZeroU32::MIN,
            expires: DEFAULT_EXPIRY,
            escalation: None,
            emergency: BTreeSet::new(),
        }
    }

    /// Reads what an `@approval` annotation says: the roles that may decide, separated by commas,
    /// then what else is wanted, each after a semicolon.
    ///
    /// ```text
    /// manager
    /// manager, director; quorum 2; expires 8h; escalate director after 2h; emergency incident_lead
    /// ```
    ///
    /// # Errors
    ///
    /// Says what cannot be read, and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(';').map(str::trim);
        let mut gate = Self::by(roles(parts.next().unwrap_or(""))?);
        let mut said = BTreeSet::new();
        for part in parts {
            let (word, rest) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
            if !said.insert(word) {
                return Err(format!("`{word}` stands twice"));
            }
            gate.take(word, rest.trim())?;
        }
        gate.check()?;
        Ok(gate)
    }

    fn take(&mut self, word: &str, rest: &str) -> Result<(), String> {
        match word {
            "quorum" => {
                self.quorum = rest.parse().map_err(|_| {
                    format!("`quorum {rest}` is not a number of people: write one such as `quorum 2`")
                })?;
            }
            "expires" => self.expires = DurationSetting::parse(rest)?.get(),
            "escalate" => {
                let (to, after) = rest.split_once(" after ").ok_or(
                    "`escalate` says to whom and after what time, as in `escalate director after 2h`",
                )?;
                let after = DurationSetting::parse(after.trim())?.get();
                self.escalation = Some(Escalation { to: roles(to)?, after });
            }
            "emergency" => self.emergency = roles(rest)?,
            _ => {
                return Err(format!(
                    "`{}` is unknown: after the roles come `quorum`, `expires`, `escalate` and `emergency`",
                    word.escape_debug()
                ));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        match &self.escalation {
            Some(escalation) if escalation.after >= self.expires => {
                Err("it expires before it escalates: give a shorter time after `escalate`".into())
            }
            _ => Ok(()),
        }
    }

    /// Every role that may have a say, now or later.
    pub fn all_roles(&self) -> impl Iterator<Item = &Role> {
        let escalated = self.escalation.iter().flat_map(|escalation| &escalation.to);
        self.roles.iter().chain(escalated).chain(&self.emergency)
    }
}

impl fmt::Display for Gate {
    /// Whose agreement it takes, as a part of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quorum.get() {
            1 => f.write_str("somebody")?,
            people => write!(f, "{people} people")?,
        }
        let roles: Vec<&str> = self.roles.iter().map(Role::as_str).collect();
        write!(f, " with the role `{}`", roles.join("` or `"))
    }
}

/// At least one role, separated by commas.
fn roles(text: &str) -> Result<BTreeSet<Role>, String> {
    let names = text.split(',').map(str::trim);
    names
        .map(|name| match name {
            "" => Err("it lacks the name of a role, such as `manager`".to_owned()),
            _ => Role::parse(name),
        })
        .collect()
}

impl TryFrom<&ApprovalConfig> for Gate {
    type Error = String;

    fn try_from(config: &ApprovalConfig) -> Result<Self, String> {
        if config.by.roles.is_empty() {
            return Err("its approval names no role, so nobody could give it".into());
        }
        let escalation = config.escalate.as_ref().map(|escalate| Escalation {
            to: escalate.roles.iter().cloned().collect(),
            after: escalate.after.get(),
        });
        let gate = Self {
            roles: config.by.roles.iter().cloned().collect(),
            quorum: config.quorum,
            expires: config.expires.get(),
            escalation,
            emergency: config.emergency.iter().cloned().collect(),
        };
        gate.check()?;
        Ok(gate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(roles: &BTreeSet<Role>) -> Vec<&str> {
        roles.iter().map(Role::as_str).collect()
    }

    #[test]
    fn an_approval_may_say_no_more_than_who_decides() {
        let gate = Gate::parse("manager").expect("a gate");
        assert_eq!(gate, Gate::by([Role::parse("manager").expect("a role")]));
        assert_eq!((gate.quorum.get(), gate.expires), (1, DEFAULT_EXPIRY));
    }

    #[test]
    fn an_approval_says_how_many_how_long_and_who_else() {
        let text =
            "manager, director; quorum 2; expires 8h; escalate director, owner after 2h; emergency lead";
        let gate = Gate::parse(text).expect("a gate");
        assert_eq!(names(&gate.roles), ["director", "manager"]);
        assert_eq!((gate.quorum.get(), gate.expires), (2, Duration::from_hours(8)));
        let escalation = gate.escalation.as_ref().expect("an escalation");
        assert_eq!(
            (names(&escalation.to), escalation.after),
            (vec!["director", "owner"], Duration::from_hours(2))
        );
        assert_eq!(names(&gate.emergency), ["lead"]);
        assert_eq!(gate.all_roles().count(), 5);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_would_be_right() {
        let wrong = [
            "",
            "manager, ",
            "manager; quorum 0",
            "manager; quorum two",
            "manager; quorums 2",
            "manager; expires soon",
            "manager; escalate director",
            "manager; expires 1h; escalate director after 2h",
            "manager; quorum 1; quorum 2",
            "Manager",
            "manager;",
        ];
        let told: Vec<String> =
            wrong.iter().map(|text| Gate::parse(text).expect_err("not an approval")).collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}

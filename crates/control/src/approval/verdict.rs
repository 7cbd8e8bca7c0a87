//! Whether what was said so far opens the gates. Pure: no clock, no store.
//!
//! Invariants:
//! - One no is enough to refuse.
//! - Nobody counts twice for one gate, neither for themselves nor through whom they stand in for.
//! - What was said counts in the roles that its speaker had then, and for those who were asked
//!   only after a while, only from then on.

use std::collections::BTreeSet;
use std::time::Duration;

use quaymaster_core::{Gate, Role, Timestamp};

/// What somebody says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The call may run.
    Approve,
    /// It may not.
    Reject,
    /// It has to run now, and somebody else reviews that afterwards.
    Emergency,
}

impl Verdict {
    /// The word for the store and the audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Emergency => "emergency",
        }
    }

    /// The verdict of this word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Approve, Self::Reject, Self::Emergency].into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// What one person said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Say {
    /// What the person is called: names and commitments, of which one is enough to know them by.
    pub(super) names: BTreeSet<String>,
    /// The same of whom the person stands in for, if it is not said in their own right.
    pub(super) stead: BTreeSet<String>,
    pub(super) roles: BTreeSet<Role>,
    pub(super) verdict: Verdict,
    pub(super) time: Timestamp,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Waiting,
    Approved,
    ByEmergency,
    Rejected,
}

/// Judges what was said of a request that was made at `asked`.
pub(super) fn judge(gates: &[Gate], asked: Timestamp, says: &[Say]) -> Outcome {
    if says.iter().any(|say| say.verdict == Verdict::Reject) {
        return Outcome::Rejected;
    }
    let open =
        |gate: &Gate| agreed(gate, asked, says) >= usize::try_from(gate.quorum.get()).unwrap_or(usize::MAX);
    if !gates.is_empty() && gates.iter().all(open) {
        return Outcome::Approved;
    }
    let emergency = |say: &Say| say.verdict == Verdict::Emergency && may_hurry(gates, &say.roles);
    if says.iter().any(emergency) { Outcome::ByEmergency } else { Outcome::Waiting }
}

/// How many different people agreed who may open this gate.
fn agreed(gate: &Gate, asked: Timestamp, says: &[Say]) -> usize {
    let mut counted: BTreeSet<&str> = BTreeSet::new();
    let mut people = 0;
    for say in says.iter().filter(|say| say.verdict == Verdict::Approve) {
        let both: Vec<&str> = say.names.iter().chain(&say.stead).map(String::as_str).collect();
        let fits = opens(gate, &say.roles, say.time.since(asked));
        if fits && both.iter().all(|person| !counted.contains(person)) {
            counted.extend(both);
            people += 1;
        }
    }
    people
}

/// Whether somebody of these roles may open `gate` so long after the request.
fn opens(gate: &Gate, roles: &BTreeSet<Role>, waited: Duration) -> bool {
    let escalated = gate.escalation.as_ref().filter(|escalation| waited >= escalation.after);
    !gate.roles.is_disjoint(roles) || escalated.is_some_and(|escalation| !escalation.to.is_disjoint(roles))
}

/// Whether somebody of these roles may decide on a request so long after it was made.
pub(super) fn may_decide(gates: &[Gate], roles: &BTreeSet<Role>, waited: Duration) -> bool {
    gates.iter().any(|gate| opens(gate, roles, waited))
}

/// Whether somebody of these roles may go ahead alone in an emergency: for every gate.
pub(super) fn may_hurry(gates: &[Gate], roles: &BTreeSet<Role>) -> bool {
    !gates.is_empty() && gates.iter().all(|gate| !gate.emergency.is_disjoint(roles))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ASKED: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn roles(names: &[&str]) -> BTreeSet<Role> {
        names.iter().map(|name| Role::parse(name).expect("a role")).collect()
    }

    fn say(person: &str, names: &[&str], verdict: Verdict) -> Say {
        Say {
            names: [person.to_owned()].into(),
            stead: BTreeSet::new(),
            roles: roles(names),
            verdict,
            time: ASKED,
        }
    }

    fn gate(text: &str) -> Gate {
        Gate::parse(text).expect("a gate")
    }

    #[test]
    fn a_quorum_is_of_different_people() {
        let gates = [gate("manager; quorum 2")];
        let mo = say("mo", &["manager"], Verdict::Approve);
        let di = say("di", &["manager"], Verdict::Approve);
        assert_eq!(judge(&gates, ASKED, std::slice::from_ref(&mo)), Outcome::Waiting);
        assert_eq!(judge(&gates, ASKED, &[mo.clone(), mo.clone()]), Outcome::Waiting);
        assert_eq!(
            judge(&gates, ASKED, &[mo.clone(), say("al", &["analyst"], Verdict::Approve)]),
            Outcome::Waiting
        );
        assert_eq!(judge(&gates, ASKED, &[mo, di]), Outcome::Approved);
    }

    #[test]
    fn whoever_stands_in_does_not_count_beside_whom_they_stand_in_for() {
        let gates = [gate("manager; quorum 2")];
        let mo = say("mo", &["manager"], Verdict::Approve);
        let in_stead =
            |of: &str| Say { stead: [of.to_owned()].into(), ..say("vi", &["manager"], Verdict::Approve) };
        assert_eq!(judge(&gates, ASKED, &[mo.clone(), in_stead("mo")]), Outcome::Waiting);
        assert_eq!(judge(&gates, ASKED, &[in_stead("mo"), mo.clone()]), Outcome::Waiting);
        assert_eq!(judge(&gates, ASKED, &[mo, in_stead("di")]), Outcome::Approved);
    }

    #[test]
    fn every_gate_has_to_be_open_and_one_no_refuses() {
        let gates = [gate("manager"), gate("lawyer")];
        let mo = say("mo", &["manager"], Verdict::Approve);
        let li = say("li", &["lawyer"], Verdict::Approve);
        assert_eq!(judge(&gates, ASKED, std::slice::from_ref(&mo)), Outcome::Waiting);
        assert_eq!(judge(&gates, ASKED, &[mo.clone(), li.clone()]), Outcome::Approved);
        assert_eq!(
            judge(&gates, ASKED, &[say("mo", &["manager", "lawyer"], Verdict::Approve)]),
            Outcome::Approved
        );
        assert_eq!(
            judge(&gates, ASKED, &[mo, li, say("di", &["lawyer"], Verdict::Reject)]),
            Outcome::Rejected
        );
        assert_eq!(judge(&[], ASKED, &[]), Outcome::Waiting, "without a gate nothing was asked");
    }

    #[test]
    fn those_whom_it_escalates_to_count_from_then_on() {
        let gates = [gate("manager; escalate director after 2h")];
        let after = |wait| Say { time: ASKED.after(wait), ..say("di", &["director"], Verdict::Approve) };
        let (almost, two_hours) = (Duration::from_millis(7_199_999), Duration::from_hours(2));
        assert_eq!(judge(&gates, ASKED, &[after(almost)]), Outcome::Waiting);
        assert_eq!(judge(&gates, ASKED, &[after(two_hours)]), Outcome::Approved);
        assert!(!may_decide(&gates, &roles(&["director"]), Duration::ZERO));
        assert!(may_decide(&gates, &roles(&["director"]), two_hours));
    }

    #[test]
    fn in_an_emergency_the_named_role_goes_ahead_alone_if_every_gate_names_it() {
        let hurry = say("le", &["lead"], Verdict::Emergency);
        let named = [gate("manager; quorum 2; emergency lead")];
        assert_eq!(judge(&named, ASKED, std::slice::from_ref(&hurry)), Outcome::ByEmergency);
        let half = [gate("manager; emergency lead"), gate("lawyer")];
        assert_eq!(judge(&half, ASKED, &[hurry]), Outcome::Waiting);
        assert_eq!(judge(&named, ASKED, &[say("mo", &["manager"], Verdict::Emergency)]), Outcome::Waiting);
    }

    proptest! {
        #[test]
        fn whoever_may_not_decide_changes_nothing_by_agreeing(
            quorum in 1_u32..4,
            fitting in 0_usize..4,
            others in 0_usize..4,
        ) {
            let gates = [gate(&format!("manager; quorum {quorum}"))];
            let by = |count, role: &'static str| (0..count).map(move |n| say(&format!("{role}{n}"), &[role], Verdict::Approve));
            let says: Vec<Say> = by(fitting, "manager").chain(by(others, "analyst")).collect();
            let open = fitting >= usize::try_from(quorum).expect("small");
            prop_assert_eq!(judge(&gates, ASKED, &says) == Outcome::Approved, open);
        }
    }
}

//! What policies can permit and forbid.

use std::fmt::Write as _;

use cedar_policy::{ActionConstraint, Effect, Policy};

/// Something that an actor does with a tool, or with the gateway itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// Calling a tool. Denied unless a permit says otherwise.
    Call,
    /// Seeing that a tool is there. Follows from what could be called, unless a forbid says otherwise.
    List,
    /// Seeing a field of a result. Follows from the classification, unless a forbid says otherwise.
    ReadField,
    /// Deciding on a call of another. Follows from the roles of the gate, unless a forbid says otherwise.
    Approve,
    /// Administering a workspace of the gateway. Denied unless a permit says otherwise.
    Administer,
}

impl Action {
    pub(super) const ALL: [Self; 5] =
        [Self::Call, Self::List, Self::ReadField, Self::Approve, Self::Administer];
    /// Those besides `call`, whose schemas do not depend on the tool.
    pub(super) const ASIDE: [Self; 4] = [Self::List, Self::ReadField, Self::Approve, Self::Administer];

    /// The name in policies.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::List => "list",
            Self::ReadField => "read_field",
            Self::Approve => "approve",
            Self::Administer => "administer",
        }
    }

    /// Whether only a forbid changes anything: what it is about follows from something else.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::List | Self::ReadField | Self::Approve)
    }

    /// What `policy` is about. One that leaves its action open is about calls; a forbid that asks
    /// nothing of the context is about everything that is done with tools.
    pub(super) fn of(policy: &Policy, mentions_context: bool) -> Vec<Self> {
        let named = match policy.action_constraint() {
            ActionConstraint::Any if policy.effect() == Effect::Forbid && !mentions_context => {
                return Self::ALL.into_iter().filter(|action| *action != Self::Administer).collect();
            }
            ActionConstraint::Any => return vec![Self::Call],
            ActionConstraint::In(list) => list,
            ActionConstraint::Eq(one) => vec![one],
        };
        let is_named = |action: &Self| named.iter().any(|uid| uid.id().unescaped() == action.as_str());
        Self::ALL.into_iter().filter(is_named).collect()
    }

    /// What the context of the action holds, in Cedar's schema syntax. That of `call` depends on the tool.
    fn context(self) -> &'static str {
        match self {
            Self::Call | Self::List => "{}",
            Self::ReadField => "{ field: String }",
            Self::Approve => {
                "{ environment: String, requester: String, \
                 time: { hour: Long, minute_of_day: Long, unix: Long, weekday: Long } }"
            }
            Self::Administer => "{ command: String }",
        }
    }

    /// The schema in which policies about this action are validated, where it is not `call`.
    pub(super) fn schema(self) -> String {
        let resource = if self == Self::Administer { "Workspace" } else { "Tool" };
        let mut text = String::from(super::schema::ENTITIES);
        for other in Self::ALL.into_iter().filter(|other| *other != self) {
            let _ = writeln!(text, "action {};", other.as_str());
        }
        let _ = writeln!(
            text,
            "action {} appliesTo {{ principal: [Actor], resource: [{resource}], context: {} }};",
            self.as_str(),
            self.context()
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_every_action_is_one() {
        for action in Action::ASIDE {
            let schema = cedar_policy::Schema::from_cedarschema_str(&action.schema());
            assert!(schema.is_ok(), "{}", action.as_str());
        }
    }
}

//! What a server said of its lists that turned out to change nothing.
//!
//! A server may announce a change of a list that, read again, is what it was: of what a
//! tool does behind the same definition, or of something that is not configured. Whoever
//! sees something of that list is told all the same. Where something did change, those are
//! told who see it, and nobody else: so an announcement says nothing of what is hidden.
//!
//! Invariant: what is counted was announced by the server, and its definitions of that kind
//! were the same before and after, all of them, whoever may see them.

/// The lists of one server, as it announces changes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Its tools.
    Tools,
    /// Its prompts.
    Prompts,
    /// Its resources and their templates.
    Resources,
}

impl ListKind {
    /// What the notification called `method` is about, if it is one of these.
    pub(super) fn announced_by(method: &str) -> Option<Self> {
        match method {
            "notifications/tools/list_changed" => Some(Self::Tools),
            "notifications/prompts/list_changed" => Some(Self::Prompts),
            "notifications/resources/list_changed" => Some(Self::Resources),
            _ => None,
        }
    }
}

/// One of something for each list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EachList<T> {
    /// Of the tools.
    pub tools: T,
    /// Of the prompts.
    pub prompts: T,
    /// Of the resources and their templates.
    pub resources: T,
}

impl<T> EachList<T> {
    /// That of one list.
    pub fn of(&mut self, kind: ListKind) -> &mut T {
        match kind {
            ListKind::Tools => &mut self.tools,
            ListKind::Prompts => &mut self.prompts,
            ListKind::Resources => &mut self.resources,
        }
    }
}

/// How often each list was announced to have changed and had not.
pub type Announced = EachList<u64>;

impl Announced {
    /// Counts what was `said` of lists that are the `same`; says whether there was any.
    pub(super) fn count(&mut self, said: EachList<bool>, same: EachList<bool>) -> bool {
        let before = *self;
        self.tools += u64::from(said.tools && same.tools);
        self.prompts += u64::from(said.prompts && same.prompts);
        self.resources += u64::from(said.resources && same.resources);
        *self != before
    }
}

impl<T: PartialEq> EachList<T> {
    /// Which of them are the same in `other`.
    pub(super) fn same(&self, other: &Self) -> EachList<bool> {
        EachList {
            tools: self.tools == other.tools,
            prompts: self.prompts == other.prompts,
            resources: self.resources == other.resources,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_of_a_list_that_is_the_same_counts() {
        let said = EachList { tools: true, prompts: true, resources: false };
        let before = EachList { tools: "a", prompts: "b", resources: "c" };
        let now = EachList { prompts: "changed", ..before };
        let mut announced = Announced::default();
        assert!(announced.count(said, before.same(&now)));
        assert_eq!(announced, Announced { tools: 1, prompts: 0, resources: 0 });
        assert!(!announced.count(EachList::default(), before.same(&before)));
    }
}

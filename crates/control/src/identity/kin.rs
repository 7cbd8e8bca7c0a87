//! Who is behind an account: all names that one person goes by, and the roles that they have now, as far
//! as either is known here.
//!
//! Known are: what a caller's own credentials say, who tokens of this installation are for, who the local
//! user is, and what was last seen of issuers' accounts. What an issuer took away since, nobody here knows
//! until it is seen again.
//!
//! Invariants:
//! - Who is behind an account is followed to the end: that person may have an account with a person behind it.
//! - It is followed over a bounded number of names, and a circle has an end. Beyond the bound nobody is
//!   taken for somebody else: it is an error.
//! - Names are compared folded.

use std::collections::{BTreeSet, HashMap, VecDeque};

use quaymaster_core::{ActorId, FoldedName, Role, Workspace};
use quaymaster_store::{AccountRow, MAX_TOKEN_ACCOUNTS, StoreError, TokenAccount};

use super::Identity;

/// Most names that hang together.
const MAX_NAMES: usize = 64;
/// How the accounts of users of this machine are called.
const LOCAL: &str = "local:";

/// Why it cannot be told who is behind an account.
#[derive(Debug, thiserror::Error)]
pub enum KinError {
    /// The store failed.
    #[error("who is behind an account cannot be read: {0}")]
    Store(#[from] StoreError),
    /// More names hang together than are followed.
    #[error("too many accounts hang together to tell who is behind one")]
    TooMany,
}

/// The names that one person goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kin {
    names: BTreeSet<FoldedName>,
    end: FoldedName,
}

impl Kin {
    /// Whether one person may be behind both.
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.names.is_disjoint(&other.names)
    }

    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &FoldedName> {
        self.names.iter()
    }

    /// The last name that it leads to, as long as it leads to one alone.
    pub fn end(&self) -> &FoldedName {
        &self.end
    }
}

/// Who is behind which account, as it is known at one time.
#[derive(Debug)]
pub struct Ties<'a> {
    identity: &'a Identity,
    tokens: Vec<TokenAccount>,
    behind: HashMap<FoldedName, BTreeSet<FoldedName>>,
}

impl Identity {
    /// What is known now of who is behind which account.
    ///
    /// # Errors
    ///
    /// [`KinError`] if the store fails or holds too many accounts.
    pub async fn ties(&self) -> Result<Ties<'_>, KinError> {
        let tokens = self.store.token_accounts().await?;
        if tokens.len() > MAX_TOKEN_ACCOUNTS as usize {
            return Err(KinError::TooMany);
        }
        let mut behind: HashMap<FoldedName, BTreeSet<FoldedName>> = HashMap::new();
        for token in &tokens {
            if let Some(person) = &token.person {
                behind.entry(token.account.clone()).or_default().insert(person.clone());
            }
        }
        Ok(Ties { identity: self, tokens, behind })
    }
}

impl Ties<'_> {
    /// Everybody who is behind `account`, of which its credentials say that `person` is.
    ///
    /// # Errors
    ///
    /// [`KinError`] if the store fails or more names hang together than are followed.
    pub async fn of(&self, account: &ActorId, person: &ActorId) -> Result<Kin, KinError> {
        let mut names = BTreeSet::from([account.folded(), person.folded()]);
        let mut open: VecDeque<FoldedName> = names.iter().cloned().collect();
        let mut steps: HashMap<FoldedName, BTreeSet<FoldedName>> = HashMap::new();
        while let Some(name) = open.pop_front() {
            let next = self.behind(&name).await?;
            open.extend(next.iter().filter(|person| names.insert((*person).clone())).cloned());
            if names.len() > MAX_NAMES {
                return Err(KinError::TooMany);
            }
            steps.insert(name, next);
        }
        let (mut end, mut walked) = (person.folded(), BTreeSet::new());
        while walked.insert(end.clone()) {
            let mut next = steps.get(&end).into_iter().flatten().filter(|name| !walked.contains(*name));
            match (next.next(), next.next()) {
                (Some(one), None) => end = one.clone(),
                _ => break,
            }
        }
        Ok(Kin { names, end })
    }

    /// The roles that whoever has `account`, and is `person`, has in `workspace` now.
    ///
    /// # Errors
    ///
    /// [`KinError`] if the store fails.
    pub async fn held(
        &self,
        account: &ActorId,
        person: &ActorId,
        workspace: &Workspace,
    ) -> Result<BTreeSet<Role>, KinError> {
        let names = BTreeSet::from([account.folded(), person.folded()]);
        let is_theirs = |account: &FoldedName, person: Option<&FoldedName>| {
            names.contains(account) || person.is_some_and(|person| names.contains(person))
        };
        let now = self.identity.clock.now().as_micros();
        let mut roles = BTreeSet::new();
        for token in self.tokens.iter().filter(|token| now < token.expires_us) {
            if token.workspace == *workspace && is_theirs(&token.account, token.person.as_ref()) {
                roles.extend(token.roles.iter().cloned());
            }
        }
        if let Some(user) = self.identity.local.as_ref().filter(|user| user.workspace == *workspace) {
            let person = user.person.as_ref().map(ActorId::folded);
            if names.iter().any(is_local) || person.is_some_and(|person| names.contains(&person)) {
                roles.extend(user.roles.iter().cloned());
            }
        }
        for name in &names {
            let accounts = self.identity.store.accounts_named(name).await?;
            for row in accounts.into_iter().chain(self.identity.store.accounts_of(name).await?) {
                if row.workspace == *workspace && self.is_trusted(&row) {
                    roles.extend(row.roles);
                }
            }
        }
        roles.retain(|role| self.identity.declared.roles.contains_key(role));
        Ok(roles)
    }

    /// Who is directly behind the account of this name, in any workspace.
    async fn behind(&self, name: &FoldedName) -> Result<BTreeSet<FoldedName>, KinError> {
        let mut people = self.behind.get(name).cloned().unwrap_or_default();
        if is_local(name) {
            let user = self.identity.local.as_ref();
            people.extend(user.and_then(|user| user.person.as_ref()).map(ActorId::folded));
        }
        let seen = self.identity.store.accounts_named(name).await?;
        people.extend(seen.into_iter().filter_map(|row| row.person));
        Ok(people)
    }

    fn is_trusted(&self, row: &AccountRow) -> bool {
        self.identity.federation.as_ref().is_some_and(|known| known.trusts(&row.issuer))
    }
}

fn is_local(name: &FoldedName) -> bool {
    name.as_str().starts_with(LOCAL)
}

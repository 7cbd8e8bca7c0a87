//! The rows of issuers' accounts as they were last seen, and who tokens of this installation are for.
//!
//! What a name is and when two of them are one is `quaymaster-core`'s part; what follows from who is
//! behind an account `quaymaster-control`'s.
//!
//! Invariant: what was seen later is not overwritten by what was seen before.

use quaymaster_core::{FoldedName, Role, Workspace};

use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

/// Most accounts of issuers that are looked at for one name.
pub const MAX_ACCOUNTS: u32 = 100;
/// Most accounts with tokens of this installation that are looked at.
pub const MAX_TOKEN_ACCOUNTS: u32 = 10_000;

const READ: &str = "read accounts";
const NOTE: &str = "note an account";

const UPSERT: &str = "
    INSERT INTO accounts (account, workspace, issuer, person, roles, seen_us) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (account, workspace) DO UPDATE SET issuer = excluded.issuer, person = excluded.person,
        roles = excluded.roles, seen_us = excluded.seen_us
    WHERE accounts.seen_us <= excluded.seen_us";
const SELECT_ACCOUNT: &str = "
    SELECT account, workspace, issuer, person, roles, seen_us FROM accounts
    WHERE account = $1 ORDER BY workspace LIMIT $2";
const SELECT_PERSON: &str = "
    SELECT account, workspace, issuer, person, roles, seen_us FROM accounts
    WHERE person = $1 ORDER BY account, workspace LIMIT $2";
const SELECT_TOKENS: &str = "
    SELECT actor, person, roles, workspace, MAX(expires_us) FROM tokens WHERE revoked_us IS NULL
    GROUP BY actor, person, roles, workspace ORDER BY actor LIMIT $1";

/// An account of an issuer, as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// What it is called.
    pub account: FoldedName,
    /// Where it was seen.
    pub workspace: Workspace,
    /// The issuer, as its tokens name it.
    pub issuer: String,
    /// Who is behind it, where that is another name.
    pub person: Option<FoldedName>,
    /// The roles that its token gave.
    pub roles: Vec<Role>,
    /// When, in microseconds since the Unix epoch.
    pub seen_us: u64,
}

/// An account that tokens of this installation authenticate which were not revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenAccount {
    /// What it is called.
    pub account: FoldedName,
    /// Who is behind it, where that is another name.
    pub person: Option<FoldedName>,
    /// The roles that its bearer acts in.
    pub roles: Vec<Role>,
    /// Where.
    pub workspace: Workspace,
    /// When the last such token stops counting, in microseconds since the Unix epoch.
    pub expires_us: u64,
}

impl Store {
    /// Notes an account as it was seen.
    pub async fn account_note(&self, row: &AccountRow) -> Result<(), StoreError> {
        let parameters = vec![
            Cell::text(row.account.as_str()),
            Cell::text(row.workspace.as_str()),
            Cell::text(&row.issuer),
            Cell::maybe(row.person.as_ref(), |person| Cell::text(person.as_str())),
            Cell::text(serde_json::to_string(&row.roles).unwrap_or_default()),
            Cell::number(row.seen_us),
        ];
        self.change(NOTE, vec![Statement { sql: UPSERT, parameters, must_touch: false }]).await.map(drop)
    }

    /// The accounts of this name, one for each workspace, [`MAX_ACCOUNTS`] at most.
    pub async fn accounts_named(&self, name: &FoldedName) -> Result<Vec<AccountRow>, StoreError> {
        self.accounts(SELECT_ACCOUNT, name).await
    }

    /// The accounts that this person is behind, [`MAX_ACCOUNTS`] at most.
    pub async fn accounts_of(&self, person: &FoldedName) -> Result<Vec<AccountRow>, StoreError> {
        self.accounts(SELECT_PERSON, person).await
    }

    async fn accounts(&self, sql: &'static str, name: &FoldedName) -> Result<Vec<AccountRow>, StoreError> {
        let parameters = vec![Cell::text(name.as_str()), Cell::number(MAX_ACCOUNTS.into())];
        let rows = self.rows(READ, sql, parameters).await?;
        rows.into_iter().map(AccountRow::read).collect()
    }

    /// The accounts of tokens that were not revoked, [`MAX_TOKEN_ACCOUNTS`] and one at most.
    pub async fn token_accounts(&self) -> Result<Vec<TokenAccount>, StoreError> {
        let most = Cell::number(u64::from(MAX_TOKEN_ACCOUNTS) + 1);
        let rows = self.rows(READ, SELECT_TOKENS, vec![most]).await?;
        rows.into_iter().map(TokenAccount::read).collect()
    }
}

impl AccountRow {
    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            account: FoldedName::from_stored(&row.text("an account's name")?),
            workspace: row.parsed("an account's workspace", |text| Workspace::parse(text).ok())?,
            issuer: row.text("an account's issuer")?,
            person: row.maybe_text("an account's person")?.as_deref().map(FoldedName::from_stored),
            roles: row.parsed("an account's roles", |text| serde_json::from_str(text).ok())?,
            seen_us: row.number("an account's time")?,
        })
    }
}

impl TokenAccount {
    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            account: FoldedName::of(&row.text("a token's actor")?),
            person: row.maybe_text("a token's person")?.as_deref().map(FoldedName::of),
            roles: row.parsed("a token's roles", |text| serde_json::from_str(text).ok())?,
            workspace: row.parsed("a token's workspace", |text| Workspace::parse(text).ok())?,
            expires_us: row.number("a token's time")?,
        })
    }
}

-- Who asks, as a commitment, so that what waits for one account can be counted.
ALTER TABLE approvals ADD COLUMN asker TEXT;
CREATE INDEX approvals_asker ON approvals (asker, state);
CREATE INDEX approvals_workspace ON approvals (workspace, created_us);

-- Accounts of issuers as they were last seen: who is behind them, and in which roles. Names are folded,
-- so that one person is found however their name is spelled.
CREATE TABLE accounts (
    account TEXT NOT NULL,
    workspace TEXT NOT NULL,
    issuer TEXT NOT NULL,
    person TEXT,
    roles TEXT NOT NULL,
    seen_us BIGINT NOT NULL,
    PRIMARY KEY (account, workspace)
);
CREATE INDEX accounts_person ON accounts (person);

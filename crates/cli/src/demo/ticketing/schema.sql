-- The state of the demo's ticketing system.

CREATE TABLE accounts (
  account_id    TEXT PRIMARY KEY,
  name          TEXT NOT NULL,
  contact_email TEXT NOT NULL
) STRICT;

CREATE TABLE tickets (
  ticket_id   TEXT PRIMARY KEY,
  account_id  TEXT NOT NULL REFERENCES accounts,
  product     TEXT NOT NULL,
  severity    TEXT NOT NULL,
  status      TEXT NOT NULL,
  subject     TEXT NOT NULL,
  description TEXT NOT NULL,
  opened_at   TEXT NOT NULL,
  closed_at   TEXT
) STRICT;

CREATE INDEX tickets_by_account ON tickets (account_id);

CREATE TABLE escalations (
  number          INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id      TEXT NOT NULL REFERENCES accounts,
  severity        TEXT NOT NULL,
  summary         TEXT NOT NULL,
  idempotency_key TEXT NOT NULL UNIQUE
) STRICT;

CREATE INDEX escalations_by_account ON escalations (account_id);

-- How often each write really happened; grows in the transaction of the write itself.
CREATE TABLE effects (
  name  TEXT PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT;

INSERT INTO effects VALUES ('create_support_escalation', 0);

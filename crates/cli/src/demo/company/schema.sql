-- The sample company. Amounts are whole cents; the views give EUR as exact decimal text.
-- Two columns are there to be protected: accounts.contact_email and accounts.bank_account.

CREATE TABLE accounts (
  account_id    TEXT PRIMARY KEY,                       -- ACC-0001
  name          TEXT NOT NULL UNIQUE,
  segment       TEXT NOT NULL CHECK (segment IN ('enterprise', 'mid_market', 'small')),
  industry      TEXT NOT NULL,
  region        TEXT NOT NULL CHECK (region IN ('EMEA', 'AMER', 'APAC')),
  country       TEXT NOT NULL,                          -- ISO 3166, two letters
  owner         TEXT NOT NULL,                          -- who looks after the account
  health_score  INTEGER NOT NULL CHECK (health_score BETWEEN 0 AND 100),
  contact_name  TEXT NOT NULL,
  contact_email TEXT NOT NULL,                          -- personal data
  bank_account  TEXT NOT NULL                           -- for invoices only
) STRICT;

CREATE TABLE contracts (
  contract_id        TEXT PRIMARY KEY,                  -- CON-0001
  account_id         TEXT NOT NULL REFERENCES accounts,
  product            TEXT NOT NULL,
  starts_on          TEXT NOT NULL,                     -- YYYY-MM-DD, as all dates
  ends_on            TEXT NOT NULL CHECK (ends_on > starts_on),
  renewal            TEXT NOT NULL CHECK (renewal IN ('automatic', 'manual')),
  annual_value_cents INTEGER NOT NULL CHECK (annual_value_cents > 0)
) STRICT;

CREATE TABLE bookings (
  booking_id   INTEGER PRIMARY KEY,
  contract_id  TEXT NOT NULL REFERENCES contracts,
  booked_at    TEXT NOT NULL,
  region       TEXT NOT NULL CHECK (region IN ('EMEA', 'AMER', 'APAC')),
  kind         TEXT NOT NULL CHECK (kind IN ('new', 'renewal', 'expansion', 'usage', 'service')),
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0)
) STRICT;

CREATE TABLE tickets (
  ticket_id  TEXT PRIMARY KEY,                          -- TCK-00001
  account_id TEXT NOT NULL REFERENCES accounts,
  product    TEXT NOT NULL,
  severity   TEXT NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
  status     TEXT NOT NULL CHECK (status IN ('open', 'pending', 'solved', 'closed')),
  subject    TEXT NOT NULL,
  opened_at  TEXT NOT NULL,
  closed_at  TEXT CHECK (closed_at >= opened_at)
) STRICT;

CREATE INDEX contracts_by_account ON contracts (account_id);
CREATE INDEX contracts_by_end     ON contracts (ends_on);
CREATE INDEX bookings_by_contract ON bookings (contract_id);
CREATE INDEX bookings_by_date     ON bookings (booked_at, region);
CREATE INDEX tickets_by_account   ON tickets (account_id, status);

-- What was booked in each calendar month, by region.
CREATE VIEW monthly_revenue AS
SELECT substr(booked_at, 1, 7) || '-01' AS month,
       region,
       count(*) AS bookings,
       printf('%d.%02d', sum(amount_cents) / 100, sum(amount_cents) % 100) AS revenue_eur
FROM bookings
GROUP BY 1, 2;

-- Every contract with its account, to see which end when.
CREATE VIEW contract_terms AS
SELECT c.contract_id, c.account_id, a.name AS account_name, a.region, a.owner, c.product, c.starts_on, c.ends_on,
       c.renewal,
       printf('%d.%02d', c.annual_value_cents / 100, c.annual_value_cents % 100) AS annual_value_eur
FROM contracts c JOIN accounts a USING (account_id);

-- Every booking with the account behind it.
CREATE VIEW account_bookings AS
SELECT a.account_id, a.name AS account_name, a.segment, b.region, c.product, b.kind, b.booked_at, b.amount_cents
FROM bookings b JOIN contracts c USING (contract_id) JOIN accounts a USING (account_id);

-- One line for each account, with whom to write to and where its money comes from.
CREATE VIEW account_overview AS
SELECT a.account_id, a.name, a.segment, a.industry, a.region, a.country, a.owner, a.health_score,
       (SELECT count(*) FROM contracts c WHERE c.account_id = a.account_id) AS contracts,
       (SELECT max(c.ends_on) FROM contracts c WHERE c.account_id = a.account_id) AS last_contract_ends_on,
       (SELECT count(*) FROM tickets t
        WHERE t.account_id = a.account_id AND t.status IN ('open', 'pending')) AS open_tickets,
       (SELECT printf('%d.%02d', sum(b.amount_cents) / 100, sum(b.amount_cents) % 100)
        FROM account_bookings b WHERE b.account_id = a.account_id) AS booked_eur,
       a.contact_name, a.contact_email, a.bank_account
FROM accounts a;

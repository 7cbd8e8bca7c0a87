-- What is stopped, until when. `version` grows with every change, so that a process which serves sees
-- by one small row whether there is anything to read.
CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    made_by TEXT NOT NULL,
    cancels INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    lifted_us INTEGER
) STRICT;
CREATE TABLE incident_version (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL) STRICT;
INSERT INTO incident_version (id, version) VALUES (1, 0);

-- How much of a quota was used in a period.
CREATE TABLE limit_uses (
    name TEXT NOT NULL,
    period TEXT NOT NULL,
    used INTEGER NOT NULL,
    ends_us INTEGER NOT NULL,
    PRIMARY KEY (name, period)
) STRICT;
CREATE INDEX limit_uses_end ON limit_uses (ends_us);

-- Writes by their idempotency key: what was asked for under it, and what came of it. `key` and `digest`
-- are commitments, `receipt` is sealed.
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    tool TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    call_id TEXT NOT NULL,
    receipt BLOB,
    lease_us INTEGER,
    created_us INTEGER NOT NULL,
    kept_us INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_state ON idempotency (state, created_us);
CREATE INDEX idempotency_kept ON idempotency (kept_us);

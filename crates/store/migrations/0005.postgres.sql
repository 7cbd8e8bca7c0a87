-- What is stopped, until when. `version` grows with every change, so that a process which serves sees
-- by one small row whether there is anything to read.
CREATE TABLE incidents (
    id text PRIMARY KEY,
    target text NOT NULL,
    reason text NOT NULL,
    made_by text NOT NULL,
    cancels bigint NOT NULL,
    created_us bigint NOT NULL,
    until_us bigint NOT NULL,
    lifted_us bigint
);
CREATE TABLE incident_version (id bigint PRIMARY KEY CHECK (id = 1), version bigint NOT NULL);
INSERT INTO incident_version (id, version) VALUES (1, 0);

-- How much of a quota was used in a period.
CREATE TABLE limit_uses (
    name text NOT NULL,
    period text NOT NULL,
    used bigint NOT NULL,
    ends_us bigint NOT NULL,
    PRIMARY KEY (name, period)
);
CREATE INDEX limit_uses_end ON limit_uses (ends_us);

-- Writes by their idempotency key: what was asked for under it, and what came of it. `key` and `digest`
-- are commitments, `receipt` is sealed.
CREATE TABLE idempotency (
    key text PRIMARY KEY,
    id text NOT NULL UNIQUE,
    version bigint NOT NULL,
    workspace text NOT NULL,
    tool text NOT NULL,
    digest text NOT NULL,
    state text NOT NULL,
    call_id text NOT NULL,
    receipt bytea,
    lease_us bigint,
    created_us bigint NOT NULL,
    kept_us bigint NOT NULL
);
CREATE INDEX idempotency_state ON idempotency (state, created_us);
CREATE INDEX idempotency_kept ON idempotency (kept_us);

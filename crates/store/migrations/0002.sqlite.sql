-- Calls that wait for somebody's agreement. What a person said or is called is sealed; `digest` is
-- what an agreement is bound to. `version` grows with every change, so that of two that happen at
-- once one is made on what the other left.
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    workspace TEXT NOT NULL,
    digest TEXT NOT NULL,
    tool TEXT NOT NULL,
    state TEXT NOT NULL,
    requester BLOB NOT NULL,
    gates TEXT NOT NULL,
    parked BLOB,
    document BLOB,
    result BLOB,
    call_id TEXT,
    runner TEXT,
    lease_us INTEGER,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    decided_us INTEGER,
    ended_us INTEGER,
    delivered_us INTEGER,
    review TEXT
) STRICT;
-- The same call again joins the request that waits.
CREATE UNIQUE INDEX approvals_open ON approvals (digest) WHERE state IN ('pending', 'approved', 'running', 'begun');
CREATE INDEX approvals_digest ON approvals (digest, created_us);
CREATE INDEX approvals_state ON approvals (state, created_us);

-- Who said what, once each. `person` is a commitment, by which nobody is counted twice.
CREATE TABLE approval_votes (
    approval TEXT NOT NULL REFERENCES approvals (id),
    person TEXT NOT NULL,
    stead TEXT,
    kind TEXT NOT NULL,
    verdict TEXT NOT NULL,
    name BLOB NOT NULL,
    roles TEXT NOT NULL,
    comment BLOB,
    channel TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    PRIMARY KEY (approval, person, kind)
) STRICT;

-- Who decides in somebody's stead, until when.
CREATE TABLE approval_delegations (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    giver TEXT NOT NULL,
    taker TEXT NOT NULL,
    names BLOB NOT NULL,
    roles TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    revoked_us INTEGER
) STRICT;
CREATE INDEX approval_delegations_taker ON approval_delegations (taker, until_us);

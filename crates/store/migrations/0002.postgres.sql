-- Calls that wait for somebody's agreement. What a person said or is called is sealed; `digest` is
-- what an agreement is bound to. `version` grows with every change, so that of two that happen at
-- once one is made on what the other left.
CREATE TABLE approvals (
    id text PRIMARY KEY,
    version bigint NOT NULL,
    workspace text NOT NULL,
    digest text NOT NULL,
    tool text NOT NULL,
    state text NOT NULL,
    requester bytea NOT NULL,
    gates text NOT NULL,
    parked bytea,
    document bytea,
    result bytea,
    call_id text,
    runner text,
    lease_us bigint,
    created_us bigint NOT NULL,
    expires_us bigint NOT NULL,
    decided_us bigint,
    ended_us bigint,
    delivered_us bigint,
    review text
);
-- The same call again joins the request that waits.
CREATE UNIQUE INDEX approvals_open ON approvals (digest) WHERE state IN ('pending', 'approved', 'running', 'begun');
CREATE INDEX approvals_digest ON approvals (digest, created_us);
CREATE INDEX approvals_state ON approvals (state, created_us);

-- Who said what, once each. `person` is a commitment, by which nobody is counted twice.
CREATE TABLE approval_votes (
    approval text NOT NULL REFERENCES approvals (id),
    person text NOT NULL,
    stead text,
    kind text NOT NULL,
    verdict text NOT NULL,
    name bytea NOT NULL,
    roles text NOT NULL,
    comment bytea,
    channel text NOT NULL,
    time_us bigint NOT NULL,
    PRIMARY KEY (approval, person, kind)
);

-- Who decides in somebody's stead, until when.
CREATE TABLE approval_delegations (
    id text PRIMARY KEY,
    workspace text NOT NULL,
    giver text NOT NULL,
    taker text NOT NULL,
    names bytea NOT NULL,
    roles text NOT NULL,
    created_us bigint NOT NULL,
    until_us bigint NOT NULL,
    revoked_us bigint
);
CREATE INDEX approval_delegations_taker ON approval_delegations (taker, until_us);

-- What whoever calls has seen, and until when that counts.
CREATE TABLE labels (
    holder text NOT NULL,
    label text NOT NULL,
    workspace text NOT NULL,
    account text NOT NULL,
    call_id text NOT NULL,
    since_us bigint NOT NULL,
    until_us bigint NOT NULL,
    -- Each account has its own, so that what one of a person's accounts saw is not gone with another's.
    PRIMARY KEY (holder, label, workspace, account)
);
CREATE INDEX labels_until ON labels (until_us);

-- Who took labels away before their time was over, and why.
CREATE TABLE labels_cleared (
    id text PRIMARY KEY,
    workspace text NOT NULL,
    account text NOT NULL,
    labels text NOT NULL,
    cleared_by text NOT NULL,
    reason text NOT NULL,
    cleared_us bigint NOT NULL
);
CREATE INDEX labels_cleared_when ON labels_cleared (cleared_us);

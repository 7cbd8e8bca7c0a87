-- What whoever calls has seen, and until when that counts.
CREATE TABLE labels (
    holder TEXT NOT NULL,
    label TEXT NOT NULL,
    workspace TEXT NOT NULL,
    account TEXT NOT NULL,
    call_id TEXT NOT NULL,
    since_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    -- Each account has its own, so that what one of a person's accounts saw is not gone with another's.
    PRIMARY KEY (holder, label, workspace, account)
);
CREATE INDEX labels_until ON labels (until_us);

-- Who took labels away before their time was over, and why.
CREATE TABLE labels_cleared (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    account TEXT NOT NULL,
    labels TEXT NOT NULL,
    cleared_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    cleared_us INTEGER NOT NULL
);
CREATE INDEX labels_cleared_when ON labels_cleared (cleared_us);

-- Codes that log a browser in, once. `hash` is of the code; Whom it logs in is sealed.
CREATE TABLE console_codes (
    hash BLOB PRIMARY KEY,
    holder BLOB NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    used_us INTEGER
) STRICT;

-- What of a request for approval has been turned into letters, or never has to be.
CREATE TABLE approval_notices (
    approval TEXT NOT NULL REFERENCES approvals (id),
    event TEXT NOT NULL,
    time_us INTEGER NOT NULL,
    PRIMARY KEY (approval, event)
) STRICT;
CREATE INDEX approvals_created ON approvals (created_us);

-- Letters that wait to be delivered. What one says is read from its request when it goes out.
CREATE TABLE approval_letters (
    id TEXT PRIMARY KEY,
    approval TEXT NOT NULL REFERENCES approvals (id),
    event TEXT NOT NULL,
    target TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    next_us INTEGER NOT NULL,
    attempts INTEGER NOT NULL
) STRICT;
CREATE INDEX approval_letters_next ON approval_letters (next_us);

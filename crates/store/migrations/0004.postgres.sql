-- Codes that log a browser in, once. `hash` is of the code; Whom it logs in is sealed.
CREATE TABLE console_codes (
    hash bytea PRIMARY KEY,
    holder bytea NOT NULL,
    created_us bigint NOT NULL,
    expires_us bigint NOT NULL,
    used_us bigint
);

-- What of a request for approval has been turned into letters, or never has to be.
CREATE TABLE approval_notices (
    approval text NOT NULL REFERENCES approvals (id),
    event text NOT NULL,
    time_us bigint NOT NULL,
    PRIMARY KEY (approval, event)
);
CREATE INDEX approvals_created ON approvals (created_us);

-- Letters that wait to be delivered. What one says is read from its request when it goes out.
CREATE TABLE approval_letters (
    id text PRIMARY KEY,
    approval text NOT NULL REFERENCES approvals (id),
    event text NOT NULL,
    target text NOT NULL,
    created_us bigint NOT NULL,
    next_us bigint NOT NULL,
    attempts bigint NOT NULL
);
CREATE INDEX approval_letters_next ON approval_letters (next_us);

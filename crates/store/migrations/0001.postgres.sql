-- The Merkle tree over the audit records: how many there are and the hashes of
-- its complete subtrees, largest first, 32 bytes each.
CREATE TABLE audit_tree (
    id bigint PRIMARY KEY CHECK (id = 1),
    size bigint NOT NULL CHECK (size >= 0),
    frontier bytea NOT NULL CHECK (octet_length(frontier) % 32 = 0)
);
INSERT INTO audit_tree (id, size, frontier) VALUES (1, 0, '');

-- `body` is the record, `sealed` what is kept beside it, encrypted, until it is
-- erased; the other columns repeat what is searched for. A row stays in one place
-- as long as it fits into a page, and what is encrypted does not compress.
CREATE TABLE audit_records (
    seq bigint PRIMARY KEY CHECK (seq >= 0),
    time_us bigint NOT NULL,
    event text NOT NULL,
    call_id text,
    actor text,
    workspace text,
    tool text,
    status text,
    code text,
    body bytea NOT NULL,
    leaf bytea NOT NULL CHECK (octet_length(leaf) = 32),
    sealed bytea
) WITH (toast_tuple_target = 8160);
ALTER TABLE audit_records ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX audit_records_call ON audit_records (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX audit_records_actor ON audit_records (actor) WHERE actor IS NOT NULL;
CREATE INDEX audit_records_time ON audit_records (time_us);

CREATE TABLE subjects (
    actor text PRIMARY KEY,
    wrapped_key bytea NOT NULL,
    created_us bigint NOT NULL
);

CREATE TABLE tokens (
    id text PRIMARY KEY,
    prefix text NOT NULL,
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    actor text NOT NULL,
    roles text NOT NULL,
    workspace text NOT NULL,
    created_us bigint NOT NULL,
    expires_us bigint NOT NULL,
    revoked_us bigint,
    last_used_us bigint,
    note text
);

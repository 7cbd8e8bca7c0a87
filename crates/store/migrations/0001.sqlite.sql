-- The Merkle tree over the audit records: how many there are and the hashes of
-- its complete subtrees, largest first, 32 bytes each.
CREATE TABLE audit_tree (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL CHECK (size >= 0),
    frontier BLOB NOT NULL CHECK (length(frontier) % 32 = 0)
) STRICT;
INSERT INTO audit_tree (id, size, frontier) VALUES (1, 0, x'');

-- `body` is the record, `sealed` what is kept beside it, encrypted, until it is
-- erased; the other columns repeat what is searched for.
CREATE TABLE audit_records (
    seq INTEGER PRIMARY KEY CHECK (seq >= 0),
    time_us INTEGER NOT NULL,
    event TEXT NOT NULL,
    call_id TEXT,
    actor TEXT,
    workspace TEXT,
    tool TEXT,
    status TEXT,
    code TEXT,
    body BLOB NOT NULL,
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    sealed BLOB
) STRICT;
CREATE INDEX audit_records_call ON audit_records (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX audit_records_actor ON audit_records (actor) WHERE actor IS NOT NULL;
CREATE INDEX audit_records_time ON audit_records (time_us);

CREATE TABLE subjects (
    actor TEXT PRIMARY KEY,
    wrapped_key BLOB NOT NULL,
    created_us INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    prefix TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    actor TEXT NOT NULL,
    roles TEXT NOT NULL,
    workspace TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    revoked_us INTEGER,
    last_used_us INTEGER,
    note TEXT
) STRICT;

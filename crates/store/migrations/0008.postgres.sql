-- Full tiles of the audit's tree, 256 hashes of 32 bytes each (C2SP tlog-tiles). They stay when records go.
CREATE TABLE audit_tiles (
    level bigint NOT NULL CHECK (level BETWEEN 0 AND 63),
    place bigint NOT NULL CHECK (place >= 0),
    hashes bytea NOT NULL CHECK (octet_length(hashes) = 8192),
    PRIMARY KEY (level, place)
);

-- Signed heads of the tree (C2SP tlog-checkpoint), with the hashes of its complete subtrees then.
CREATE TABLE audit_checkpoints (
    size bigint PRIMARY KEY CHECK (size >= 0),
    frontier bytea NOT NULL CHECK (octet_length(frontier) % 32 = 0),
    time_us bigint NOT NULL,
    note text NOT NULL
);

-- The number of the first record that is kept: those before it were pruned.
ALTER TABLE audit_tree ADD COLUMN minimum bigint NOT NULL DEFAULT 0 CHECK (minimum >= 0);

-- What the records call a subject, so that its key is found by that.
ALTER TABLE subjects ADD COLUMN commitment text;
CREATE UNIQUE INDEX subjects_commitment ON subjects (commitment) WHERE commitment IS NOT NULL;

-- How far each sink has the records, and which process feeds it meanwhile.
CREATE TABLE audit_sinks (
    name text PRIMARY KEY,
    next_seq bigint NOT NULL CHECK (next_seq >= 0),
    holder text NOT NULL,
    lease_us bigint NOT NULL
);

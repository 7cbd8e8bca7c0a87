-- Full tiles of the audit's tree, 256 hashes of 32 bytes each (C2SP tlog-tiles). They stay when records go.
CREATE TABLE audit_tiles (
    level INTEGER NOT NULL CHECK (level BETWEEN 0 AND 63),
    place INTEGER NOT NULL CHECK (place >= 0),
    hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
    PRIMARY KEY (level, place)
) STRICT;

-- Signed heads of the tree (C2SP tlog-checkpoint), with the hashes of its complete subtrees then.
CREATE TABLE audit_checkpoints (
    size INTEGER PRIMARY KEY CHECK (size >= 0),
    frontier BLOB NOT NULL CHECK (length(frontier) % 32 = 0),
    time_us INTEGER NOT NULL,
    note TEXT NOT NULL
) STRICT;

-- The number of the first record that is kept: those before it were pruned.
ALTER TABLE audit_tree ADD COLUMN minimum INTEGER NOT NULL DEFAULT 0 CHECK (minimum >= 0);

-- What the records call a subject, so that its key is found by that.
ALTER TABLE subjects ADD COLUMN commitment TEXT;
CREATE UNIQUE INDEX subjects_commitment ON subjects (commitment) WHERE commitment IS NOT NULL;

-- How far each sink has the records, and which process feeds it meanwhile.
CREATE TABLE audit_sinks (
    name TEXT PRIMARY KEY,
    next_seq INTEGER NOT NULL CHECK (next_seq >= 0),
    holder TEXT NOT NULL,
    lease_us INTEGER NOT NULL
) STRICT;

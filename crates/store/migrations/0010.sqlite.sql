-- What people have stored for systems that are asked in their names: a token, sealed under a key of its own,
-- which is sealed under the person's key and the key ring's. The subject is a commitment.
CREATE TABLE caller_tokens (
    workspace TEXT NOT NULL,
    connector TEXT NOT NULL,
    subject TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    sealed BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    ring_key INTEGER NOT NULL CHECK (ring_key > 0),
    stored_us INTEGER NOT NULL,
    expires_us INTEGER,
    PRIMARY KEY (workspace, connector, subject)
) STRICT;
CREATE INDEX caller_tokens_subject ON caller_tokens (subject);
CREATE INDEX caller_tokens_ring_key ON caller_tokens (ring_key);

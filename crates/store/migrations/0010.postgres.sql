-- What people have stored for systems that are asked in their names: a token, sealed under a key of its own,
-- which is sealed under the person's key and the key ring's. The subject is a commitment.
CREATE TABLE caller_tokens (
    workspace text NOT NULL,
    connector text NOT NULL,
    subject text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    sealed bytea NOT NULL,
    wrapped_key bytea NOT NULL,
    ring_key bigint NOT NULL CHECK (ring_key > 0),
    stored_us bigint NOT NULL,
    expires_us bigint,
    PRIMARY KEY (workspace, connector, subject)
);
CREATE INDEX caller_tokens_subject ON caller_tokens (subject);
CREATE INDEX caller_tokens_ring_key ON caller_tokens (ring_key);

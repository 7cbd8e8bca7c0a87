-- The definitions of tools that were taken at first sight, where no file pins them.
CREATE TABLE seen_contracts (
    connector text NOT NULL,
    tool text NOT NULL,
    definition text NOT NULL,
    seen_us bigint NOT NULL,
    PRIMARY KEY (connector, tool)
);

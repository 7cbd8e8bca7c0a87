-- The definitions of tools that were taken at first sight, where no file pins them.
CREATE TABLE seen_contracts (
    connector TEXT NOT NULL,
    tool TEXT NOT NULL,
    definition TEXT NOT NULL,
    seen_us INTEGER NOT NULL,
    PRIMARY KEY (connector, tool)
);

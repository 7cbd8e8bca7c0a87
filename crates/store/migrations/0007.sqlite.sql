-- When a request for approval escalates next: from then on others may decide on it as well, and are told.
ALTER TABLE approvals ADD COLUMN escalates_us INTEGER;
CREATE INDEX approvals_escalates ON approvals (escalates_us) WHERE state = 'pending' AND escalates_us IS NOT NULL;

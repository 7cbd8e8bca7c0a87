-- Who is behind the account that a token authenticates, where that is another name.
ALTER TABLE tokens ADD COLUMN person TEXT;

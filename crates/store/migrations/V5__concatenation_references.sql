-- The concatenation reference of a message of several parts, given when it was accepted: the same over retries,
-- carriers and restarts. NULL: a message of one part, or one older than this column.
ALTER TABLE message ADD COLUMN reference INTEGER;

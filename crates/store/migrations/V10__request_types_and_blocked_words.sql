-- The kind of message a request asked for, as its own wire numbers it; null where it said nothing, and in batches of
-- earlier releases.
ALTER TABLE batch ADD COLUMN message_type INTEGER;

-- Words that no text may have, for all accounts: lists by name, each a JSON array.
CREATE TABLE blocked_words (
    name  TEXT PRIMARY KEY,
    words TEXT NOT NULL
) WITHOUT ROWID;

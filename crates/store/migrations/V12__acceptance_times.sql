-- When a batch was accepted, in Unix milliseconds. NULL: as the time part of its first id says, which is so unless the
-- machine's clock was set back, and for batches of earlier releases.
ALTER TABLE batch ADD COLUMN accepted_at INTEGER;

-- Ids of messages, requests and inbound messages from first_id (milliseconds << 20) on have a time part that is
-- offset_ms ahead of the machine's clock (behind it when negative), up to the next row. Before the first row: 0.
CREATE TABLE id_era (
    first_id  INTEGER PRIMARY KEY,
    offset_ms INTEGER NOT NULL
);

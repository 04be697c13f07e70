-- Messages that a carrier took and whose receipt is awaited, by the time of their submission: `id` is
-- `milliseconds << 20 | counter` of that time, `ids` is a list of varint deltas as in `attempt`. A row stands for many
-- messages, is written with the group that recorded their answers, and goes when their time is over.
CREATE TABLE awaiting_receipt (
    id  INTEGER PRIMARY KEY,
    ids BLOB NOT NULL
);

-- Messages of an older store (ids in this range) may be submitted without standing in awaiting_receipt: the sweep
-- enters them once, by their recorded times. Empty when next is above last.
INSERT INTO meta (key, value) VALUES
    ('unentered_next', 0),
    ('unentered_last', (SELECT coalesce(max(id), -1) FROM message));

-- When the newest entry of a run was made, in Unix milliseconds; the ids in a run of receipt keys are those of
-- messages, which may be submitted long after they were accepted. Runs of before count as made now.
ALTER TABLE run ADD COLUMN sealed_at INTEGER NOT NULL DEFAULT 0;
UPDATE run SET sealed_at = max(last_id >> 20, unixepoch() * 1000) WHERE kind = 1;

-- A parked receipt may name its message in other spellings of its id (a JSON array), and may stand for all
-- segments of a message.
ALTER TABLE parked ADD COLUMN other_ids TEXT;
ALTER TABLE parked ADD COLUMN whole INTEGER NOT NULL DEFAULT 0;

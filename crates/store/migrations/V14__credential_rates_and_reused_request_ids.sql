-- Requests a second that a credential may make; 0: no limit.
ALTER TABLE credential ADD COLUMN requests_per_s_max INTEGER NOT NULL DEFAULT 0;

-- The first and last of the messages that a request with an id became. NULL: none, or accepted before this was kept.
ALTER TABLE request ADD COLUMN first_message INTEGER;
ALTER TABLE request ADD COLUMN last_message INTEGER;

-- Requests whose id was used again with other content: their messages, how often that happened and when last.
CREATE TABLE reused_request_id (
    first_message INTEGER PRIMARY KEY,
    last_message  INTEGER NOT NULL,
    times         INTEGER NOT NULL,
    last_at       INTEGER NOT NULL
);

-- What accounts are told, and what is counted.

-- The public part of the credential a batch came with, and the series its messages are counted by. Series 0:
-- a batch older than counting.
ALTER TABLE batch ADD COLUMN user TEXT NOT NULL DEFAULT '';
ALTER TABLE batch ADD COLUMN series INTEGER NOT NULL DEFAULT 0;

-- Series, country and segments of the message, so that a receipt is counted without reading more: see the
-- port's Tally. 0: not counted.
ALTER TABLE outcome ADD COLUMN tally INTEGER NOT NULL DEFAULT 0;

-- What is common to batches and counted apart. `hour` is the last one in which it was used, in hours since
-- 1970: a series goes when its last counters have gone. Numbers are never given twice.
CREATE TABLE series (
    no       INTEGER PRIMARY KEY AUTOINCREMENT,
    account  INTEGER NOT NULL,
    user     TEXT NOT NULL,
    dialect  INTEGER NOT NULL,
    class    INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    template INTEGER NOT NULL,
    label    INTEGER NOT NULL,
    hour     INTEGER NOT NULL,
    UNIQUE (account, template, label, user, dialect, class, kind)
);

CREATE INDEX series_by_hour ON series (hour);

-- Counters of hours before this have gone and are not written again, however late a receipt comes.
INSERT INTO meta (key, value) VALUES ('statistics_floor', 0);

-- How many messages accepted in an hour (since 1970, UTC) are in which state now.
CREATE TABLE counter (
    account  INTEGER NOT NULL,
    hour     INTEGER NOT NULL,
    series   INTEGER NOT NULL,
    country  INTEGER NOT NULL,
    state    INTEGER NOT NULL,
    error    TEXT NOT NULL,
    messages INTEGER NOT NULL,
    segments INTEGER NOT NULL,
    PRIMARY KEY (account, hour, series, country, state, error)
) WITHOUT ROWID;

-- Where accounts are told their events: a part of the catalog.
CREATE TABLE endpoint (
    id            INTEGER PRIMARY KEY,
    account       INTEGER NOT NULL,
    name          TEXT NOT NULL,
    format        TEXT NOT NULL,
    url           TEXT NOT NULL,
    kinds         INTEGER NOT NULL,
    settings      TEXT NOT NULL,
    sealed_secret BLOB NOT NULL,
    enabled       INTEGER NOT NULL,
    UNIQUE (account, name)
);

-- How far each endpoint is. It has been told everything up to and with told_row, told_index. `waiting` and
-- `dead` count its rows in redelivery; next_no is the number that the next of them gets.
CREATE TABLE endpoint_state (
    endpoint      INTEGER PRIMARY KEY,
    told_row      INTEGER NOT NULL,
    told_index    INTEGER NOT NULL,
    pause_since   INTEGER,
    pause_until   INTEGER,
    pause_reason  TEXT,
    failing_since INTEGER,
    waiting       INTEGER NOT NULL DEFAULT 0,
    dead          INTEGER NOT NULL DEFAULT 0,
    next_no       INTEGER NOT NULL DEFAULT 1
);

-- The log of events: what one group of commands had to tell one account, as sqlite::event_blob writes it.
-- `at` is no less than the time of any event in it or before it, so it grows with the rows; `kinds` is all
-- that is in it. Row numbers are never given twice, not even when every row has gone.
CREATE TABLE event (
    row     INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    kinds   INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    entries BLOB NOT NULL
);

CREATE INDEX event_by_account ON event (account);

-- Calls put aside after they failed. `due` is 2^63 - 1 for those given up on, and given_up_at says when.
CREATE TABLE redelivery (
    endpoint       INTEGER NOT NULL,
    no             INTEGER NOT NULL,
    due            INTEGER NOT NULL,
    tries          INTEGER NOT NULL,
    first_tried_at INTEGER NOT NULL,
    given_up_at    INTEGER,
    error          TEXT NOT NULL,
    events         BLOB NOT NULL,
    PRIMARY KEY (endpoint, no)
) WITHOUT ROWID;

CREATE INDEX redelivery_by_due ON redelivery (endpoint, due);
CREATE INDEX redelivery_given_up ON redelivery (given_up_at) WHERE given_up_at IS NOT NULL;

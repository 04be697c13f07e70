-- The layout of a store. Hot tables are keyed by time-ordered ids, so what is written lies together at
-- their right edge and what retention removes lies together at their left edge. No hot table has an
-- index on a random key: see the crate's sqlite::runs for how numbers, receipts and request ids are found.

-- Single values: id_key, catalog_version, and high-water marks of numbers that must never be given twice.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value NOT NULL
) WITHOUT ROWID;

INSERT INTO meta (key, value) VALUES
    ('id_key', randomblob(32)),
    ('catalog_version', 0),
    ('queue_no_reserved', 0),
    ('attempt_reserved', 0),
    ('id_floor', 0),
    ('probe', 0);

-- The catalog: small, read as a whole.
CREATE TABLE account (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    balance INTEGER,
    body    TEXT NOT NULL
);

CREATE TABLE credential (
    family        TEXT NOT NULL,
    key           TEXT NOT NULL,
    sealed_secret BLOB NOT NULL,
    account       INTEGER NOT NULL,
    enabled       INTEGER NOT NULL,
    PRIMARY KEY (family, key)
) WITHOUT ROWID;

CREATE TABLE signature (
    id      INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    body    TEXT NOT NULL
);

CREATE TABLE template (
    number  INTEGER PRIMARY KEY,
    ut_id   TEXT NOT NULL UNIQUE,
    account INTEGER NOT NULL,
    body    TEXT NOT NULL
);

CREATE TABLE carrier (
    no       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL
);

CREATE TABLE route (
    ordinal  INTEGER PRIMARY KEY,
    position INTEGER NOT NULL,
    rule     TEXT NOT NULL
);

-- account is -1 for suppressions that hold for all accounts.
CREATE TABLE suppression (
    msisdn  INTEGER NOT NULL,
    account INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    PRIMARY KEY (msisdn, account, kind)
) WITHOUT ROWID;

-- What is common to the messages first_id ..= first_id + messages - 1.
CREATE TABLE batch (
    first_id INTEGER PRIMARY KEY,
    session  INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    account  INTEGER NOT NULL,
    dialect  INTEGER NOT NULL,
    class    INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    template INTEGER NOT NULL,
    label    INTEGER NOT NULL,
    capped   INTEGER NOT NULL,
    due      INTEGER,
    sender   TEXT,
    custom   TEXT,
    text     TEXT NOT NULL
);

-- Written once, never changed. `written` is the number as the caller wrote it: 0 for "+" and digits,
-- 1 for digits alone, else the text. `failure` is set for messages that were never queued.
CREATE TABLE message (
    id       INTEGER PRIMARY KEY,
    msisdn   INTEGER NOT NULL,
    carrier  INTEGER NOT NULL,
    segments INTEGER NOT NULL,
    failure  INTEGER,
    written  NOT NULL,
    params   TEXT,
    extra    TEXT
);

-- What came of a message, from its first recorded result on. A receipt rewrites the row in place, so
-- what it changes keeps its width: state and flags are always one octet, changed_at always six, and
-- error is padded to the three characters a receipt's err field has.
CREATE TABLE outcome (
    id           INTEGER PRIMARY KEY,
    state        INTEGER NOT NULL,
    flags        INTEGER NOT NULL,
    carrier      INTEGER NOT NULL,
    bind         INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    attempted_at INTEGER NOT NULL,
    answered_in  INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    status       INTEGER NOT NULL,
    carrier_id   TEXT,
    error        TEXT NOT NULL,
    segments     BLOB
);

-- What waits in lanes, as runs of ids of one batch. A place (`no`) splits in several rows when it is
-- taken from in the middle.
CREATE TABLE queue (
    carrier      INTEGER NOT NULL,
    class        INTEGER NOT NULL,
    account      INTEGER NOT NULL,
    no           INTEGER NOT NULL,
    first_id     INTEGER NOT NULL,
    last_id      INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    last_attempt INTEGER,
    PRIMARY KEY (carrier, class, account, no, first_id)
) WITHOUT ROWID;

-- What waits for its time: schedules and retries.
CREATE TABLE delayed (
    due          INTEGER NOT NULL,
    no           INTEGER NOT NULL,
    carrier      INTEGER NOT NULL,
    class        INTEGER NOT NULL,
    account      INTEGER NOT NULL,
    first_id     INTEGER NOT NULL,
    last_id      INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    last_attempt INTEGER,
    PRIMARY KEY (due, no)
) WITHOUT ROWID;

-- Messages given to a bind whose results are not all recorded. `ids` is a list of varint deltas.
CREATE TABLE attempt (
    id      INTEGER PRIMARY KEY,
    carrier INTEGER NOT NULL,
    bind    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    ids     BLOB NOT NULL
);

-- What message and outcome cannot tell of a message's story. What carrier, a, b and text mean depends
-- on kind: see sqlite::story.
CREATE TABLE trace (
    message INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    carrier INTEGER,
    a       INTEGER,
    b       INTEGER,
    text    TEXT,
    PRIMARY KEY (message, n)
) WITHOUT ROWID;

-- Receipts that wait for their message.
CREATE TABLE parked (
    id          INTEGER PRIMARY KEY,
    carrier     INTEGER NOT NULL,
    carrier_id  TEXT NOT NULL,
    state       INTEGER NOT NULL,
    error       TEXT NOT NULL,
    received_at INTEGER NOT NULL
);

-- Requests that must be done once only; ids are time-ordered like messages'.
CREATE TABLE request (
    id          INTEGER PRIMARY KEY,
    account     INTEGER NOT NULL,
    scope       TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    answer      BLOB NOT NULL
);

-- Receipt keys that are in no sealed run yet, one row a group of commands: 16 octets an entry.
CREATE TABLE receipt_log (
    seq     INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
);

-- Sealed runs. A row of `run` makes its pages count; pages without one are the rest of work that a kill
-- cut short. Page ids are `run no << 24 | page`. Runs are searched by `age`, the newest first: a run that
-- others were merged into has the age of the newest of them. An empty filter says nothing.
CREATE TABLE run (
    kind     INTEGER NOT NULL,
    no       INTEGER NOT NULL,
    age      INTEGER NOT NULL,
    level    INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    last_id  INTEGER NOT NULL,
    entries  INTEGER NOT NULL,
    fences   BLOB NOT NULL,
    filter   BLOB NOT NULL,
    PRIMARY KEY (kind, no)
);

CREATE TABLE number_page (
    id      INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
);

CREATE TABLE receipt_page (
    id      INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
);

CREATE TABLE request_page (
    id      INTEGER PRIMARY KEY,
    entries BLOB NOT NULL
);

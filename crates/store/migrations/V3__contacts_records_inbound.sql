-- Contacts, tasks, records, what people write, and what templates once were. None of it is in a message's
-- way, so what is found by a random key has a plain index here.

-- The last ids given: they are never given twice, not even when the row they were for is gone.
INSERT INTO meta (key, value) VALUES
    ('contact_last', 0),
    ('inbound_last', 0);

-- members is kept with every change: counting a million rows is slow.
CREATE TABLE contact_list (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    account     INTEGER NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    members     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
);

CREATE UNIQUE INDEX contact_list_by_name ON contact_list (account, name);

-- Lists that are gone, and whose members are being deleted.
CREATE TABLE removed_list (
    id INTEGER PRIMARY KEY
);

-- The members of a list lie together in the order of their ids: that is how tasks read them.
CREATE TABLE contact (
    list       INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    msisdn     INTEGER NOT NULL,
    written    NOT NULL,
    user_name  TEXT NOT NULL,
    vars       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (list, id)
) WITHOUT ROWID;

CREATE UNIQUE INDEX contact_by_number ON contact (list, msisdn);

-- lists is a JSON array of ids. States 0 and 1 are open.
CREATE TABLE task (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account      INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    due          INTEGER NOT NULL,
    at_list      INTEGER NOT NULL,
    at_contact   INTEGER NOT NULL,
    accepted     INTEGER NOT NULL,
    refused      INTEGER NOT NULL,
    members      INTEGER NOT NULL,
    last_contact INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    error        TEXT NOT NULL,
    lists        TEXT NOT NULL,
    request      TEXT NOT NULL
);

CREATE INDEX task_open ON task (due, id) WHERE state < 2;
CREATE INDEX task_by_account ON task (account, state);

-- data comes last: a list of records does not read it.
CREATE TABLE record (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    body       TEXT NOT NULL,
    data       BLOB NOT NULL
);

CREATE INDEX record_by_kind ON record (account, kind);
CREATE UNIQUE INDEX record_by_name ON record (account, kind, name) WHERE name <> '';

-- Whole messages. Ids are time-ordered like those of messages.
CREATE TABLE inbound (
    id          INTEGER PRIMARY KEY,
    account     INTEGER,
    carrier     INTEGER NOT NULL,
    sender      TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    answers     INTEGER,
    received_at INTEGER NOT NULL,
    text        TEXT NOT NULL
);

-- Parts of messages that are not whole; those of one that is stay for a while, to know them should they come
-- again. touched_at is the same in all parts of a message: when the newest of them came.
CREATE TABLE inbound_part (
    carrier    INTEGER NOT NULL,
    sender     TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    reference  INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    whole      INTEGER NOT NULL,
    touched_at INTEGER NOT NULL,
    account    INTEGER,
    answers    INTEGER,
    text       TEXT NOT NULL,
    PRIMARY KEY (carrier, sender, recipient, reference, total, number)
) WITHOUT ROWID;

CREATE INDEX inbound_part_by_time ON inbound_part (touched_at);

-- body is a template as it was last under that version.
CREATE TABLE template_version (
    number  INTEGER NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (number, version)
) WITHOUT ROWID;

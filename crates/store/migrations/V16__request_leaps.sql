-- Jumps of the machine's clock, as far as request ids are concerned: what was used from first_request on was used while
-- the clock was sum_ms ahead of the time that had passed (behind it when negative), up to the next row. Before the first
-- row: 0. An id is remembered for its time, not for the clock's.
CREATE TABLE request_leap (
    first_request INTEGER PRIMARY KEY,
    sum_ms        INTEGER NOT NULL
);

-- Earlier releases kept no such sums for the requests before this one.
INSERT INTO meta (key, value) SELECT 'request_leaps_from', max(id) + 1 FROM request HAVING count(*) > 0;

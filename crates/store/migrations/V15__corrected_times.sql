-- From when the time to live of a batch counts, in Unix milliseconds, where that is not its time of acceptance: the clock
-- was ahead then, and was set right later.
ALTER TABLE batch ADD COLUMN lives_from INTEGER;

-- What `at` was before it was lowered because the clock had been ahead. NULL: it never was.
ALTER TABLE event ADD COLUMN written_at INTEGER;

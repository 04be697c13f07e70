-- When what waits of a batch ends unsent, in Unix milliseconds; null: never (batches of earlier releases have no end).
ALTER TABLE batch ADD COLUMN expires_at INTEGER;

-- When a task ends, whoever is left: null for never.
ALTER TABLE task ADD COLUMN ends_at INTEGER;

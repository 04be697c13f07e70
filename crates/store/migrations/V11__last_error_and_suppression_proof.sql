-- What the last call to an endpoint that failed came to, in words, and when. NULL: none yet.
ALTER TABLE endpoint_state ADD COLUMN last_error TEXT;
ALTER TABLE endpoint_state ADD COLUMN last_error_at INTEGER;

-- When a number was suppressed (0: before this was kept), how (see the port's SuppressionOrigin), and who did it and why.
ALTER TABLE suppression ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE suppression ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE suppression ADD COLUMN note TEXT NOT NULL DEFAULT '';

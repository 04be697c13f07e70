-- Ended tasks are forgotten by their time.
CREATE INDEX task_ended ON task (ended_at) WHERE ended_at IS NOT NULL;

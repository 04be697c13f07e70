-- Tables, columns and values are named by the field's terms. Nothing but names changes.

-- What the carrier and receipts have said of a message. status is that of the carrier's answer; stats_key is what the
-- message is counted by.
ALTER TABLE outcome RENAME TO message_status;
ALTER TABLE message_status RENAME COLUMN status TO command_status;
ALTER TABLE message_status RENAME COLUMN tally TO stats_key;

-- Of a message's timeline, what its row and its status do not say.
ALTER TABLE trace RENAME TO message_timeline;

-- Receipts that wait for their message.
ALTER TABLE parked RENAME TO unmatched_receipt;

-- The dimensions that messages are counted by, and the counts.
ALTER TABLE series RENAME TO stats_dimensions;
DROP INDEX series_by_hour;
CREATE INDEX stats_dimensions_by_hour ON stats_dimensions (hour);
ALTER TABLE counter RENAME TO message_stats;
ALTER TABLE message_stats RENAME COLUMN series TO dimensions;
ALTER TABLE batch RENAME COLUMN series TO dimensions;
ALTER TABLE batch RENAME COLUMN lives_from TO ttl_from;

-- Requests that must be done once only, and the pages of their sorted runs.
ALTER TABLE request RENAME TO idempotency_record;
ALTER TABLE request_page RENAME TO idempotency_page;
ALTER TABLE request_leap RENAME TO idempotency_leap;

-- Sorted runs: block_index has the first entry of each page, flushed_at is when the newest entry was made.
ALTER TABLE run RENAME TO sorted_run;
ALTER TABLE sorted_run RENAME COLUMN fences TO block_index;
ALTER TABLE sorted_run RENAME COLUMN sealed_at TO flushed_at;

-- The events that webhooks deliver, and the calls that are tried again. dead_at is when the last try failed.
ALTER TABLE event RENAME TO outbox;
DROP INDEX event_by_account;
CREATE INDEX outbox_by_account ON outbox (account);
ALTER TABLE redelivery RENAME TO delivery_retry;
ALTER TABLE delivery_retry RENAME COLUMN no TO seq;
ALTER TABLE delivery_retry RENAME COLUMN given_up_at TO dead_at;
DROP INDEX redelivery_by_due;
DROP INDEX redelivery_given_up;
CREATE INDEX delivery_retry_by_due ON delivery_retry (endpoint, due);
CREATE INDEX delivery_retry_dead ON delivery_retry (dead_at) WHERE dead_at IS NOT NULL;

-- An endpoint has acknowledged every event up to and with acked_row, acked_index.
ALTER TABLE endpoint_state RENAME COLUMN told_row TO acked_row;
ALTER TABLE endpoint_state RENAME COLUMN told_index TO acked_index;
ALTER TABLE endpoint_state RENAME COLUMN next_no TO next_seq;

-- The order of what waits in a lane, and of what waits for its time.
ALTER TABLE queue RENAME COLUMN no TO seq;
ALTER TABLE delayed RENAME COLUMN no TO seq;
UPDATE meta SET key = 'queue_seq_reserved' WHERE key = 'queue_no_reserved';
UPDATE meta SET key = 'idempotency_leaps_from' WHERE key = 'request_leaps_from';

-- Inbound messages that belong to no account.
DROP INDEX inbound_nobodys;
CREATE INDEX inbound_unassigned ON inbound (id) WHERE account IS NULL;
UPDATE meta SET key = 'inbound_unassigned' WHERE key = 'inbound_nobodys';

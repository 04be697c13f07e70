-- What people wrote and no account owns has a bound: the oldest of it goes. The value is what all of it counts for, each
-- message once and once more for each 256 octets.
CREATE INDEX inbound_nobodys ON inbound (id) WHERE account IS NULL;

INSERT INTO meta (key, value)
SELECT 'inbound_nobodys', coalesce(sum(1 + (length(CAST(text AS BLOB)) + coalesce(length(data), 0)) / 256), 0)
FROM inbound INDEXED BY inbound_nobodys WHERE account IS NULL;

-- How many octets the files of an account take, kept with every change: adding them up would read each row.
CREATE TABLE account_usage (
    account     INTEGER PRIMARY KEY,
    data_octets INTEGER NOT NULL
);

INSERT INTO account_usage (account, data_octets)
SELECT account, sum(length(data)) FROM record GROUP BY account HAVING sum(length(data)) > 0;

CREATE TRIGGER record_added AFTER INSERT ON record WHEN length(NEW.data) > 0
BEGIN
    INSERT INTO account_usage (account, data_octets) VALUES (NEW.account, length(NEW.data))
    ON CONFLICT (account) DO UPDATE SET data_octets = data_octets + excluded.data_octets;
END;

CREATE TRIGGER record_removed AFTER DELETE ON record WHEN length(OLD.data) > 0
BEGIN
    UPDATE account_usage SET data_octets = data_octets - length(OLD.data) WHERE account = OLD.account;
END;

CREATE TRIGGER record_changed AFTER UPDATE OF data ON record WHEN length(NEW.data) <> length(OLD.data)
BEGIN
    INSERT INTO account_usage (account, data_octets) VALUES (NEW.account, max(0, length(NEW.data) - length(OLD.data)))
    ON CONFLICT (account) DO UPDATE SET data_octets = data_octets + length(NEW.data) - length(OLD.data);
END;

-- A name, a text or a signature in use is found without reading all of the account's.
CREATE INDEX template_by_name ON template (account, json_extract(body, '$.name'));
CREATE INDEX template_by_signature ON template (account, json_extract(body, '$.signature'));
CREATE INDEX signature_by_text ON signature (account, json_extract(body, '$.text'));

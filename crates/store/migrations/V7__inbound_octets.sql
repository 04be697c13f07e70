-- Parts of inbound messages are octets with the number of their coding until the message is whole; text is that of parts
-- stored before, whose coding is NULL. data and port are there for a message that is no text.
ALTER TABLE inbound_part ADD COLUMN coding INTEGER;
ALTER TABLE inbound_part ADD COLUMN octets BLOB;
ALTER TABLE inbound ADD COLUMN data BLOB;
ALTER TABLE inbound ADD COLUMN port INTEGER;

-- Suppressions that a person's own word made, and the message that was the word: another word takes back these only.
CREATE TABLE opt_out (
    msisdn  INTEGER NOT NULL,
    account INTEGER NOT NULL,
    inbound INTEGER NOT NULL,
    PRIMARY KEY (msisdn, account)
) WITHOUT ROWID;

-- Those of before whose message is still kept.
INSERT INTO opt_out (msisdn, account, inbound)
SELECT suppression.msisdn, suppression.account, max(inbound.id)
FROM inbound
CROSS JOIN suppression ON suppression.msisdn = CAST(inbound.sender AS INTEGER)
    AND suppression.account = inbound.account AND suppression.kind = 2
WHERE inbound.account IS NOT NULL AND length(inbound.text) <= 100
    AND inbound.sender NOT GLOB '*[^0-9]*' AND length(inbound.sender) BETWEEN 1 AND 15
    AND EXISTS (
        SELECT 1 FROM account, json_each(account.body, '$.opt_out_words') AS word
        WHERE account.id = inbound.account
            AND lower(trim(word.value)) = lower(trim(inbound.text, char(9, 10, 13, 32))))
GROUP BY suppression.msisdn, suppression.account;

-- Names and texts are unique within an account: a change looks for others of the same account only.
CREATE INDEX template_account ON template (account);
CREATE INDEX signature_account ON signature (account);

-- Another number after every change of suppressions, which do not belong to the catalog's version: what another process
-- changed is read again only when it was a suppression.
INSERT INTO meta (key, value) VALUES ('suppression_version', 0);

-- The indexes by name, text and signature begin with the account, and find what an account has as well.
DROP INDEX template_account;
DROP INDEX signature_account;

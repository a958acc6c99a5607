CREATE INDEX issued_credential_by_time ON issued_credential (context, created_at, id);

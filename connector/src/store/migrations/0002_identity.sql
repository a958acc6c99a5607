-- Who is calling: credentials that we hold, that we issue, whom we trust, and the tokens that were used.

-- A self-issued ID token is good for one message: its row is written in the transaction of that message.
CREATE TABLE used_token (
    context TEXT NOT NULL,
    issuer TEXT NOT NULL,
    jti TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (context, issuer, jti)
);
CREATE INDEX used_token_by_expiry ON used_token (expires_at);

CREATE TABLE credential (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    credential_id TEXT NOT NULL,
    type TEXT NOT NULL,
    types TEXT NOT NULL,
    issuer TEXT NOT NULL,
    format TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    request_id TEXT NOT NULL,
    valid_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);
CREATE INDEX credential_by_type ON credential (context, state, type);

CREATE TABLE credential_request (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    issuer_pid TEXT NOT NULL,
    requested TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);

CREATE TABLE credential_offer (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);

CREATE TABLE issuance (
    id TEXT NOT NULL PRIMARY KEY,
    context TEXT NOT NULL REFERENCES participant_context (id),
    holder TEXT NOT NULL,
    holder_pid TEXT NOT NULL,
    requested TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT,
    token TEXT,
    error TEXT,
    attempts INTEGER NOT NULL,
    owed_since BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX issuance_by_time ON issuance (context, created_at, id);
CREATE INDEX issuance_owing ON issuance (next_attempt_at) WHERE message IS NOT NULL;
CREATE UNIQUE INDEX issuance_by_holder_pid ON issuance (context, holder, holder_pid);

CREATE TABLE issued_credential (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    issuance_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    type TEXT NOT NULL,
    format TEXT NOT NULL,
    list_id TEXT NOT NULL,
    list_index BIGINT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    valid_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);
-- An index of a status list is given out once.
CREATE UNIQUE INDEX issued_credential_by_index ON issued_credential (context, list_id, list_index);
CREATE INDEX issued_credential_by_holder ON issued_credential (context, holder);

CREATE TABLE trusted_issuer (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    types TEXT NOT NULL,
    claims TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
)

-- Plain SQL that SQLite and PostgreSQL both read; {serial} is the one difference. Times are ms since 1970, UTC.

CREATE TABLE participant_context (
    id TEXT NOT NULL PRIMARY KEY,
    participant_id TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE dataset (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);

CREATE TABLE policy (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);

CREATE TABLE offer (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    policy_id TEXT NOT NULL,
    access_policy_id TEXT NOT NULL,
    negotiation TEXT NOT NULL,
    transfer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id),
    FOREIGN KEY (context, dataset_id) REFERENCES dataset (context, id),
    FOREIGN KEY (context, policy_id) REFERENCES policy (context, id)
);
CREATE INDEX offer_by_dataset ON offer (context, dataset_id, access_policy_id);
CREATE INDEX offer_by_access ON offer (context, access_policy_id, dataset_id);

CREATE TABLE partner (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    root TEXT NOT NULL,
    base TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);

CREATE TABLE negotiation (
    id TEXT NOT NULL PRIMARY KEY,
    context TEXT NOT NULL REFERENCES participant_context (id),
    role TEXT NOT NULL,
    counter_party TEXT NOT NULL,
    counter_pid TEXT,
    counter_address TEXT NOT NULL,
    settled TEXT,
    owed TEXT,
    owed_id TEXT,
    state TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    offer_id TEXT NOT NULL,
    offer TEXT NOT NULL,
    agreement TEXT,
    agreement_id TEXT,
    decision TEXT NOT NULL,
    transfer_decision TEXT NOT NULL,
    claims TEXT NOT NULL,
    initial_digest TEXT,
    last_taken TEXT,
    termination TEXT,
    error TEXT,
    attempts INTEGER NOT NULL,
    owed_since BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
-- A peer's initial message is recognised by its pid; two processes for one pid cannot exist.
CREATE UNIQUE INDEX negotiation_by_counter_pid ON negotiation (context, role, counter_party, counter_pid);
CREATE INDEX negotiation_owing ON negotiation (next_attempt_at) WHERE owed IS NOT NULL;
CREATE INDEX negotiation_by_time ON negotiation (context, created_at, id);

CREATE TABLE agreement (
    id TEXT NOT NULL,
    context TEXT NOT NULL REFERENCES participant_context (id),
    role TEXT NOT NULL,
    negotiation_id TEXT NOT NULL UNIQUE,
    counter_party TEXT NOT NULL,
    counter_address TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    body TEXT NOT NULL,
    transfer_decision TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id, context, role)
);
CREATE INDEX agreement_by_dataset ON agreement (context, role, dataset_id, counter_party);
CREATE INDEX agreement_by_time ON agreement (context, created_at, id);

CREATE TABLE transfer (
    id TEXT NOT NULL PRIMARY KEY,
    context TEXT NOT NULL REFERENCES participant_context (id),
    role TEXT NOT NULL,
    counter_party TEXT NOT NULL,
    counter_pid TEXT,
    counter_address TEXT NOT NULL,
    settled TEXT,
    owed TEXT,
    owed_id TEXT,
    suspended_by TEXT,
    state TEXT NOT NULL,
    agreement_id TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    format TEXT NOT NULL,
    decision TEXT NOT NULL,
    data_plane_id TEXT,
    data_flow_id TEXT,
    flow_state TEXT,
    flow_target TEXT,
    data_address TEXT,
    claims TEXT NOT NULL,
    initial_digest TEXT,
    last_taken TEXT,
    termination TEXT,
    error TEXT,
    attempts INTEGER NOT NULL,
    owed_since BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX transfer_by_counter_pid ON transfer (context, role, counter_party, counter_pid);
CREATE INDEX transfer_owing ON transfer (next_attempt_at) WHERE owed IS NOT NULL OR flow_target IS NOT NULL;
CREATE INDEX transfer_by_time ON transfer (context, created_at, id);

CREATE TABLE data_plane (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    profiles TEXT NOT NULL,
    dialect TEXT NOT NULL,
    labels TEXT NOT NULL,
    "authorization" TEXT NOT NULL,
    authorization_value TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);

CREATE TABLE event (
    seq {serial},
    context TEXT NOT NULL,
    time BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX event_by_subject ON event (context, subject, seq);

CREATE TABLE webhook (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    secret TEXT NOT NULL,
    cursor BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);

CREATE TABLE secret (
    context TEXT NOT NULL,
    id TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
)

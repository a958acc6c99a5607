CREATE INDEX issued_credential_by_time ON issued_credential (context, created_at, id);

-- Events that policies speak of (left operand `event`), as the operator declares them.
CREATE TABLE declared_event (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);

-- Consents of people (left operand `consent`); the lists are JSON arrays, empty for everything.
CREATE TABLE consent (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    subject TEXT NOT NULL,
    datasets TEXT NOT NULL,
    recipients TEXT NOT NULL,
    purposes TEXT NOT NULL,
    given_at BIGINT NOT NULL,
    expires_at BIGINT,
    withdrawn_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);
CREATE INDEX consent_by_subject ON consent (context, subject);
CREATE INDEX consent_by_time ON consent (context, created_at, id);

-- What an agreement obliges somebody to do, and how far it is.
CREATE TABLE duty (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    agreement_id TEXT NOT NULL,
    role TEXT NOT NULL,
    counter_party TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    name TEXT NOT NULL,
    rule TEXT NOT NULL,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    text TEXT NOT NULL,
    conditional BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    due_from BIGINT,
    due_by BIGINT,
    -- The next moment at which the state changes by itself.
    next_at BIGINT,
    note TEXT,
    decided_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);
CREATE UNIQUE INDEX duty_of_agreement ON duty (context, role, agreement_id, name);
CREATE INDEX duty_next ON duty (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX duty_by_time ON duty (context, created_at, id);

-- What was decided, by what facts: negotiations, transfers and the monitor.
CREATE TABLE decision_record (
    context TEXT NOT NULL REFERENCES participant_context (id),
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    process_id TEXT NOT NULL,
    agreement_id TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    participant TEXT NOT NULL,
    policy_hash TEXT NOT NULL,
    facts TEXT NOT NULL,
    allow BOOLEAN NOT NULL,
    reasons TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (context, id)
);
CREATE INDEX decision_record_by_time ON decision_record (context, created_at, id);
CREATE INDEX decision_record_by_process ON decision_record (context, process_id);

-- Which transfer under its agreement it is, 1 for the first, where the agreement counts them.
ALTER TABLE transfer ADD COLUMN ordinal BIGINT;

-- Why the monitor keeps a transfer suspended; it resumes only what it suspended itself.
ALTER TABLE transfer ADD COLUMN held_for TEXT;
CREATE INDEX transfer_by_agreement ON transfer (context, agreement_id);
CREATE INDEX transfer_watched ON transfer (context, id) WHERE state = 'STARTED' OR held_for IS NOT NULL;

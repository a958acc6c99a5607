-- How far the uses under an agreement have been given out to data planes. What was given out counts as used, whatever became of it.
CREATE TABLE usage_counter (
    context TEXT NOT NULL,
    agreement_id TEXT NOT NULL,
    -- count, meteredTime (ms), volume (bytes) or transfers
    meter TEXT NOT NULL,
    given BIGINT NOT NULL,
    first_use_at BIGINT,
    last_use_at BIGINT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (context, agreement_id, meter)
);

-- Which transfer under its agreement a started transfer is: 1 for the first (left operand `count` with the unit `transfer`).
CREATE TABLE transfer_number (
    context TEXT NOT NULL,
    transfer_id TEXT NOT NULL,
    agreement_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (context, transfer_id)
);
CREATE UNIQUE INDEX transfer_number_of_agreement ON transfer_number (context, agreement_id, number);

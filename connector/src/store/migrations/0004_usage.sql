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

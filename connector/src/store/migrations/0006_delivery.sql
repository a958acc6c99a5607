-- What our own data plane does with the data beside showing it to programs, a JSON object; of a transfer in which we are the consumer.
ALTER TABLE transfer ADD COLUMN delivery TEXT;

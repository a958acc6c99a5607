-- What the consumer declares that the data is for, a JSON array of texts; of a transfer: empty for what the agreement's says.
ALTER TABLE negotiation ADD COLUMN purpose TEXT NOT NULL DEFAULT '[]';
ALTER TABLE agreement ADD COLUMN purpose TEXT NOT NULL DEFAULT '[]';
ALTER TABLE transfer ADD COLUMN purpose TEXT NOT NULL DEFAULT '[]';

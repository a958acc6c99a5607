-- Whether a data plane is there, as it says itself over a connection that it keeps: present, leaving or absent; NULL for one that
-- never did, since it is of another maker.
ALTER TABLE data_plane ADD COLUMN presence TEXT;
-- Since when, ms.
ALTER TABLE data_plane ADD COLUMN presence_since BIGINT;
-- Until when it counts as present without further word, ms: a control plane that is killed cannot say that the connection is gone.
ALTER TABLE data_plane ADD COLUMN present_until BIGINT;
-- Which connection said so last.
ALTER TABLE data_plane ADD COLUMN connection TEXT;
-- How often the flow was given to another data plane.
ALTER TABLE transfer ADD COLUMN moves BIGINT NOT NULL DEFAULT 0;
-- The data plane keeps something of the flow that no other has: subscriptions with notifications that were accepted.
ALTER TABLE transfer ADD COLUMN pinned BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX transfer_data_plane ON transfer (data_plane_id);

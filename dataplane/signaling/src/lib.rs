//! Data Plane Signaling messages, states and dialects, without I/O.

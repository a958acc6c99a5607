//! The published JSON Schemas.

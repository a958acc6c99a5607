//! Runs the official kits and whole-service tests against the release binaries.

//! Self-issued ID tokens (DCP 1.0.1, 4.3).

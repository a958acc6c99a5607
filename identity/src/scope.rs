//! Scopes (DCP 1.0.1, 5.4.1.2).

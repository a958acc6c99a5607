//! Verification of presentations (DCP 1.0.1, 5).

//! `credentialSchema` checks.

//! Our own keys: storage, rotation, revocation.

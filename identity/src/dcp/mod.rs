//! The Decentralized Claims Protocol 1.0.1.

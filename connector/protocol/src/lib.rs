//! Dataspace Protocol 2025-1 as pure data and pure state machines.

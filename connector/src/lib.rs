//! Hansa's control plane: catalog, contract negotiation and transfer process of the Dataspace Protocol 2025-1, with the
//! management API and the command line of the binary `hansa`.

#[allow(dead_code)]
mod store;

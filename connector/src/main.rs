//! The control plane: catalog, contract negotiation and transfer process of the Dataspace Protocol.
fn main() {}

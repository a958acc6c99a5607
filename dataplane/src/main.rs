//! The data plane: streams payloads under a signed enforcement plan.
fn main() {}

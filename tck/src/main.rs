//! Runs the official kit of the Dataspace Protocol against the release binaries.
fn main() {}

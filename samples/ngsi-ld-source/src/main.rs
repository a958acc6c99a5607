//! A small NGSI-LD test source with synthetic city data; not a broker.
fn main() {}

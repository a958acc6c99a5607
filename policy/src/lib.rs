//! ODRL policies compiled, decided and explained.

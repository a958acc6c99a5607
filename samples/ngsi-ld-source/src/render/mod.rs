//! How entities are written: representation, projection and media type (GS CIM 009, clauses 4.5 and 6.3).

pub mod entity;
pub mod geojson;
pub mod shape;
pub mod temporal;

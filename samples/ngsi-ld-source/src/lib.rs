//! A small NGSI-LD source with synthetic city data, for demos and tests.
//!
//! It serves the reading half of GS CIM 009 (entities, temporal entities, types, attributes) from files held in
//! memory, lets entities be written there, and notifies of changes to those who subscribe. It is honest about
//! what it is not: no broker. It stores nothing beyond its end, it never fetches a context, and names are
//! compared as they are written, without JSON-LD expansion. A parameter of the standard that it does not serve is
//! refused, never ignored.
//!
//! [`query`] and [`render`] are pure; [`http`] and [`serve`] do the input and output; [`generate`] writes the data.

pub mod body;
pub mod cli;
pub mod generate;
pub mod http;
pub mod instant;
pub mod live;
pub mod model;
pub mod noise;
pub mod params;
pub mod problem;
pub mod query;
pub mod registration;
pub mod render;
pub mod serve;
pub mod source;
pub mod store;
pub mod subscription;
pub mod write;

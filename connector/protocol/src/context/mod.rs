//! JSON text to compact messages: limits, the JSON-LD context, and every accepted form of a message.
//!
//! The 2025-1 context is built so that JSON-LD compaction gives exactly the form of the official schemas. A fixed
//! table of its terms therefore is enough to bring prefixed keys, full IRIs, wrapped scalars and single
//! values into that form; no context is ever fetched.
//!
//! DSP 2025-1, "Common: JSON-LD Context", "Serialization".

mod compact;
mod digest;
mod names;
mod parse;
mod terms;

pub use compact::{compact, compact_fragment};
pub use digest::content_digest;
pub use parse::{MAX_DEPTH, parse_json};

pub(crate) use names::{is_operator_term, local_name, odrl_local};

use serde_json::{Map, Value};

/// The context of every message. DSP 2025-1, "Common: JSON-LD Context".
pub const DSP_CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";

/// The second context that EDC lists in every message.
pub const EDC_CONTEXT: &str = "https://w3id.org/edc/dspace/v0.0.1";

/// The namespace of the protocol's own terms.
pub const DSPACE: &str = "https://w3id.org/dspace/2025/1/";
/// The namespace of ODRL.
pub const ODRL: &str = "http://www.w3.org/ns/odrl/2/";
/// The namespace of DCAT.
pub const DCAT: &str = "http://www.w3.org/ns/dcat#";
/// The namespace of the Dublin Core terms.
pub const DCT: &str = "http://purl.org/dc/terms/";
/// The namespace of the XML Schema types.
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// An object with the context and this type, the start of everything that we send.
pub(crate) fn root(kind: &str) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("@context".to_owned(), Value::Array(vec![Value::from(DSP_CONTEXT)]));
    map.insert("@type".to_owned(), Value::from(kind));
    map
}

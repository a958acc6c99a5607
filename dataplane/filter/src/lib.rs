//! What the selection of an agreement leaves of NGSI-LD: of answers, rewritten as a stream ([`Stream`]), and of requests,
//! checked and rewritten before they reach a broker ([`Filter::request`], [`Filter::query`]), or answered by what the selection
//! says ([`Filter::told`]). What an agreement lets be written is checked and written anew by [`Writer`].
//!
//! Rules hold expanded names. Each answer is read with the context that it names, and only contexts that the selection
//! lists are known; nothing is fetched. What cannot be classified is removed or ends the answer, it never passes.
//!
//! The crate is pure: bytes in, bytes out. One entity at a time is in memory, up to the selection's limit.

mod area;
mod attribute;
mod body;
mod condition;
mod discovery;
mod entity;
mod head;
mod moment;
mod names;
mod narrow;
mod query;
mod request;
mod rules;
mod scan;
mod search;
mod stream;
mod table;
mod upstream;
mod value;
mod write;

pub use discovery::Told;
pub use head::{context_link, contexts};
pub use names::is_core;
pub use query::{MAX_QUERY_BODY, Posted};
pub use request::{Asked, id_pattern};
pub use rules::Filter;
pub use stream::{Answer, Representation, Shape, Stream, Summary};
pub use upstream::{Paged, Upstream};
pub use write::{Failure, Outcome, Step, WriteAsked, WritePlanned, Writer, Written};

/// Why an answer ends: a machine code and a sentence. The sentence holds nothing of the answer's content but names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Stable code in snake case, for example `context_unknown`.
    pub code: &'static str,
    /// One sentence for people; lower case, without a final period.
    pub message: String,
}

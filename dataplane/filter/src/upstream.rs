//! What goes to the broker, and what its answer is to be.

use policy_plan::Stretch;

use crate::Fault;
use crate::head::contexts;
use crate::stream::{Answer, Representation, Shape};

/// Which of the entities that are shown are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paged {
    /// How many of them are passed over.
    pub offset: u64,
    /// How many are wanted at most.
    pub limit: Option<u64>,
    /// Whether the number of all is asked for.
    pub count: bool,
}

/// A request as it goes to the broker, and what its answer is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Names and values of the query, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The `Accept` header.
    pub accept: &'static str,
    /// The `Link` header.
    pub link: String,
    /// The body of a query that goes to the broker by POST.
    pub body: Option<String>,
    /// Whether one entity is asked for by its id.
    pub single: bool,
    /// Whether the broker's number of results may be told.
    pub count: bool,
    /// Where entities are removed that the broker counts: what `limit`, `offset` and `count` asked for. They are not in `query`,
    /// and whoever asks counts what is shown.
    pub paged: Option<Paged>,
    /// Parameters of `query` that the caller did not give so, with what it gave: links to other pages show the latter.
    pub changed: Vec<(String, Option<String>)>,
    /// Whether a series must have all that was asked for, since the last value of a period stands for it.
    pub whole: bool,
    /// Whether entities must have all their attributes, since a condition is about one that is not there.
    pub complete: bool,
    pub(crate) asked: Stretch,
    pub(crate) representation: Representation,
    pub(crate) temporal: bool,
    pub(crate) geometry: bool,
}

impl Upstream {
    /// The same in the source's own pages, for a reader that follows its links and counts nothing.
    #[must_use]
    pub fn in_pages_of_the_source(mut self) -> Self {
        if let Some(Paged { offset, limit, .. }) = self.paged.take() {
            let mut put = |name: &str, value: u64| self.query.push((name.to_owned(), value.to_string()));
            if let Some(limit) = limit {
                put("limit", limit);
            }
            if offset > 0 {
                put("offset", offset);
            }
        }
        self
    }

    /// What the body of the answer is, by its headers.
    ///
    /// # Errors
    /// `content_type_not_understood`, `encoding_not_understood`, `context_ambiguous`.
    pub fn answer(
        &self,
        content_type: Option<&str>,
        encoding: Option<&str>,
        link: Option<&str>,
    ) -> Result<Answer, Fault> {
        let not = |code, message: &str| Fault { code, message: message.to_owned() };
        if encoding.is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity")) {
            return Err(not("encoding_not_understood", "the answer is compressed although that was not asked for"));
        }
        let mut parts = content_type.unwrap_or_default().split(';').map(|part| part.trim().to_ascii_lowercase());
        let media = parts.next().unwrap_or_default();
        let plain =
            parts.all(|part| matches!(part.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"" | "header=present"));
        let shape = match (media.as_str(), self.single) {
            ("application/json" | "application/ld+json", true) => Shape::Entity,
            ("application/json" | "application/ld+json", false) => Shape::Entities,
            ("application/geo+json", true) => Shape::Feature,
            ("application/geo+json", false) => Shape::Features,
            ("application/x-ndjson" | "application/ndjson", false) => Shape::Lines,
            ("text/csv", false) if self.accept == "text/csv" && plain => Shape::Csv,
            _ => {
                return Err(not(
                    "content_type_not_understood",
                    "the answer is in no form that rules can be applied to",
                ));
            }
        };
        let contexts = link.map(contexts).unwrap_or_default();
        if contexts.len() > 1 {
            return Err(not("context_ambiguous", "the answer names several contexts"));
        }
        Ok(Answer {
            representation: self.representation,
            shape,
            temporal: self.temporal,
            geometry: self.geometry,
            context: contexts.into_iter().next(),
            asked: self.asked,
        })
    }
}

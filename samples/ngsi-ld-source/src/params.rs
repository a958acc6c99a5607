//! The parameters of a URL: each at most once, none that the operation does not know (GS CIM 009, clause 6.3.20).

use serde_json::Value;

use crate::problem::{Problem, ProblemKind};
use crate::query::geo::GeoQuery;
use crate::query::q::Q;
use crate::query::scope::ScopeQuery;
use crate::query::time::TimeQuery;
use crate::query::types::TypeSelection;
use crate::query::{Selection, Selector};

/// Parameters of the standard that this source understands but does not serve.
const NOT_SERVED: [&str; 22] = [
    "aggrMethods",
    "aggrPeriodDuration",
    "collation",
    "containedBy",
    "csf",
    "deleteAll",
    "entityMap",
    "entityMapLifetime",
    "expandValues",
    "join",
    "joinLevel",
    "jsonKeys",
    "keep",
    "drop",
    "kind",
    "orderBy",
    "orderFrom",
    "orderGeometry",
    "reload",
    "splitEntities",
    "localOnly",
    "compress",
];

/// What selects entities.
pub const SELECTING: &[&str] =
    &["id", "idPattern", "type", "attrs", "q", "scopeQ", "georel", "geometry", "coordinates", "geoproperty", "local"];
/// What pages a list.
pub const PAGING: &[&str] = &["limit", "offset", "count"];
/// What shapes an entity.
pub const SHAPING: &[&str] =
    &["attrs", "pick", "omit", "options", "format", "lang", "datasetId", "geometryProperty", "local"];
/// What selects a stretch of time.
pub const TEMPORAL: &[&str] = &["timerel", "timeAt", "endTimeAt", "timeproperty", "lastN"];

/// Entities in one answer when nothing is said.
const DEFAULT_LIMIT: usize = 50;
/// Entities in one answer at most.
const MAX_LIMIT: usize = 1000;

/// The decoded parameters of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Decodes a query string and checks the names against `known`.
    ///
    /// # Errors
    /// `InvalidRequest` for an unknown or repeated name, `OperationNotSupported` for one of the standard that this
    /// source does not serve.
    pub fn parse(query: &str, known: &[&[&str]]) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.iter().any(|group| group.contains(&name.as_str())) {
                return Err(if NOT_SERVED.contains(&name.as_str()) {
                    Problem::unsupported(format!("this test source does not serve the parameter `{name}`"))
                } else {
                    let detail = format!("the parameter `{name}` is not known here");
                    Problem::new(ProblemKind::InvalidRequest, detail)
                });
            }
            if pairs.iter().take(at).any(|(earlier, _)| earlier == name) {
                let detail = format!("the parameter `{name}` stands more than once");
                return Err(Problem::new(ProblemKind::InvalidRequest, detail));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The comma list of a parameter.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        self.get(name).map(|text| text.split([',', '|']).map(|item| item.trim().to_owned()).collect())
    }

    /// A `true`/`false` parameter, `false` when absent.
    ///
    /// # Errors
    /// A `BadRequestData` for any other word.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Problem::bad(format!("`{name}`: `{other}` is neither `true` nor `false`"))),
        }
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Problem> {
        self.get(name)
            .map(|text| {
                text.parse::<usize>()
                    .map_err(|_| Problem::bad(format!("`{name}`: `{text}` is not a whole number of at least 0")))
            })
            .transpose()
    }

    /// The query string with `offset` replaced, for the links to other pages.
    #[must_use]
    pub fn with_offset(&self, offset: usize) -> String {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(self.0.iter().filter(|(name, _)| name != "offset"));
        text.append_pair("offset", &offset.to_string());
        text.finish()
    }

    /// The entity query of a URL.
    ///
    /// # Errors
    /// A `BadRequestData` that names the parameter.
    pub fn selection(&self) -> Result<Selection, Problem> {
        let selector = Selector {
            ids: self.list("id"),
            id_pattern: self.get("idPattern").map(Selector::pattern).transpose()?,
            types: self.get("type").map(TypeSelection::parse).transpose()?,
        };
        let any = selector.ids.is_some() || selector.id_pattern.is_some() || selector.types.is_some();
        Ok(Selection {
            selectors: if any { vec![selector] } else { Vec::new() },
            attrs: self.list("attrs"),
            q: self.get("q").map(Q::parse).transpose()?,
            scope: self.get("scopeQ").map(ScopeQuery::parse).transpose()?,
            geo: self.geo()?,
            local: self.flag("local")?,
        })
    }

    fn geo(&self) -> Result<Option<GeoQuery>, Problem> {
        let parts = (self.get("georel"), self.get("geometry"), self.get("coordinates"));
        let property = self.get("geoproperty");
        match parts {
            (Some(georel), Some(geometry), Some(coordinates)) => {
                GeoQuery::parse(georel, geometry, &Value::from(coordinates), property).map(Some)
            }
            (None, None, None) if property.is_none() => Ok(None),
            _ => Err(Problem::bad("a geo-query needs `georel`, `geometry` and `coordinates` together")),
        }
    }

    /// The temporal query of a URL, if there is one.
    ///
    /// # Errors
    /// A `BadRequestData` that names the parameter.
    pub fn time(&self) -> Result<Option<TimeQuery>, Problem> {
        let (at, end, property) = (self.get("timeAt"), self.get("endTimeAt"), self.get("timeproperty"));
        match self.get("timerel") {
            Some(timerel) => TimeQuery::parse(timerel, at, end, property).map(Some),
            None if at.is_none() && end.is_none() && property.is_none() => Ok(None),
            None => Err(Problem::bad("`timerel` is missing")),
        }
    }

    /// How many of the last instances of each attribute are asked for.
    ///
    /// # Errors
    /// A `BadRequestData` when it is not a number above 0.
    pub fn last_n(&self) -> Result<Option<usize>, Problem> {
        match self.number("lastN")? {
            Some(0) => Err(Problem::bad("`lastN` must be at least 1")),
            other => Ok(other),
        }
    }

    /// Which page is asked for.
    ///
    /// # Errors
    /// A `BadRequestData` when a number is malformed, `limit` is too high, or 0 without `count=true`.
    pub fn page(&self) -> Result<Page, Problem> {
        let count = self.flag("count")?;
        let limit = self.number("limit")?.unwrap_or(DEFAULT_LIMIT);
        if limit > MAX_LIMIT {
            return Err(Problem::bad(format!("`limit` is at most {MAX_LIMIT}")));
        }
        if limit == 0 && !count {
            return Err(Problem::bad("`limit=0` makes sense only with `count=true`"));
        }
        Ok(Page { limit, offset: self.number("offset")?.unwrap_or(0), count })
    }
}

/// A page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Entities on it at most.
    pub limit: usize,
    /// Matching entities before it.
    pub offset: usize,
    /// Whether the number of all matching entities is asked for.
    pub count: bool,
}

impl Page {
    /// The offset of the page before this one.
    #[must_use]
    pub const fn previous(self) -> Option<usize> {
        if self.offset > 0 && self.limit > 0 { Some(self.offset.saturating_sub(self.limit)) } else { None }
    }

    /// The offset of the page after this one, when `total` entities match.
    #[must_use]
    pub const fn next(self, total: usize) -> Option<usize> {
        let after = self.offset.saturating_add(self.limit);
        if self.limit > 0 && after < total { Some(after) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(query: &str) -> Result<Params, Problem> {
        Params::parse(query, &[SELECTING, PAGING, SHAPING, TEMPORAL])
    }

    #[test]
    fn names_are_checked() {
        for (query, expected) in [
            ("type=A&limit=2", None),
            ("colour=red", Some(ProblemKind::InvalidRequest)),
            ("type=A&type=B", Some(ProblemKind::InvalidRequest)),
            ("type=A&join=inline", Some(ProblemKind::OperationNotSupported)),
        ] {
            assert_eq!(all(query).err().map(|problem| problem.kind()), expected, "{query}");
        }
    }

    #[test]
    fn pages_are_computed() {
        for (query, total, previous, next) in [
            ("limit=10", 25, None, Some(10)),
            ("limit=10&offset=10", 25, Some(0), Some(20)),
            ("limit=10&offset=5", 25, Some(0), Some(15)),
            ("limit=10&offset=20", 25, Some(10), None),
            ("limit=0&count=true", 25, None, None),
            ("", 51, None, Some(50)),
        ] {
            let page = all(query).unwrap().page().unwrap();
            assert_eq!((page.previous(), page.next(total)), (previous, next), "{query}");
        }
        for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "offset=-1", "count=yes"] {
            assert!(all(query).unwrap().page().is_err(), "{query}");
        }
    }

    #[test]
    fn the_link_keeps_every_other_parameter_encoded() {
        let params = all("type=A&q=name%3D%3D%22a%26b%22&offset=5").unwrap();
        assert_eq!(params.with_offset(10), "type=A&q=name%3D%3D%22a%26b%22&offset=10");
    }

    #[test]
    fn incomplete_queries_are_refused() {
        for query in ["georel=within", "geometry=Point", "geoproperty=x", "georel=within&geometry=Point"] {
            assert!(all(query).unwrap().selection().is_err(), "{query}");
        }
        for query in ["timeAt=2026-03-01T00:00:00Z", "timeproperty=observedAt", "timerel=before"] {
            assert!(all(query).unwrap().time().is_err(), "{query}");
        }
        assert!(all("lastN=0").unwrap().last_n().is_err());
    }
}

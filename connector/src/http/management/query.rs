//! Query strings: every parameter known, given once, and sound.

use actix_web::HttpRequest;
use serde::Serialize;
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

use crate::service::{ServiceError, ServiceResult};
use crate::store::{Filter, ListQuery};

/// Longest parameter value, in bytes.
const MAX_VALUE_BYTES: usize = 2048;
/// Largest page.
pub(super) const MAX_LIMIT: u64 = 500;
/// Page size when the caller names none.
pub(super) const DEFAULT_LIMIT: u64 = 50;

/// Paging and sorting of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)] // Only described: `list_query` reads it.
pub(super) struct ListParams {
    /// Rows wanted, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u64>,
    /// Where to go on: the `next` of the page before.
    cursor: Option<String>,
    /// Member to sort by, with `-` in front for descending.
    #[param(example = "-createdAt")]
    sort: Option<String>,
}

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct ListBody<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The `cursor` of the next page; null at the end.
    pub next: Option<String>,
}

/// The parameters of a request.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query string.
    ///
    /// # Errors
    /// `unknown_parameter`, `repeated_parameter` and `bad_parameter`, all 400, with the name.
    pub(super) fn read(request: &HttpRequest, known: &[&str]) -> ServiceResult<Self> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
            let Some(known_name) = known.iter().find(|known| **known == name) else {
                let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
                let message = format!("there is no parameter `{name}` here; known are: {}", known.join(", "));
                return Err(ServiceError::bad_request("unknown_parameter", message));
            };
            if pairs.iter().any(|(earlier, _)| earlier == known_name) {
                let message = format!("the parameter `{known_name}` is given twice");
                return Err(ServiceError::bad_request("repeated_parameter", message));
            }
            if value.len() > MAX_VALUE_BYTES || value.chars().any(|c| c.is_control() || c == '\u{fffd}') {
                return Err(bad_parameter(known_name, "is too long or has a character that cannot be used"));
            }
            pairs.push(((*known_name).to_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter as a number within a range.
    ///
    /// # Errors
    /// `bad_parameter`, 400.
    pub(super) fn number(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> ServiceResult<Option<u64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number =
            text.parse().ok().filter(|number| text.bytes().all(|b| b.is_ascii_digit()) && range.contains(number));
        number.map(Some).ok_or_else(|| {
            bad_parameter(name, &format!("must be a whole number from {} to {}", range.start(), range.end()))
        })
    }
}

/// The error for a parameter that cannot be used.
pub(super) fn bad_parameter(name: &str, why: &str) -> ServiceError {
    ServiceError::bad_request("bad_parameter", format!("the parameter `{name}` {why}"))
}

/// Reads paging, sorting and these filters.
///
/// # Errors
/// As [`Query::read`].
pub(super) fn list_query(request: &HttpRequest, filters: &[&'static str]) -> ServiceResult<ListQuery> {
    let known: Vec<&str> = ["limit", "cursor", "sort"].iter().chain(filters).copied().collect();
    let query = Query::read(request, &known)?;
    let filters = filters
        .iter()
        .filter_map(|name| query.text(name).map(|value| Filter { name, value: value.to_owned() }))
        .collect();
    Ok(ListQuery {
        limit: query.number("limit", 1..=MAX_LIMIT)?,
        cursor: query.text("cursor").map(str::to_owned),
        sort: query.text("sort").map(str::to_owned),
        filters,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn read(query: &str) -> ServiceResult<ListQuery> {
        list_query(&TestRequest::get().uri(&format!("/x?{query}")).to_http_request(), &["state", "role"])
    }

    #[test]
    fn good_queries() {
        let query = read("limit=7&sort=-createdAt&state=a%20b").unwrap();
        assert_eq!((query.limit, query.sort.as_deref()), (Some(7), Some("-createdAt")));
        assert_eq!((query.filters[0].name, query.filters[0].value.as_str()), ("state", "a b"));
        assert_eq!(read("").unwrap().limit, None);
    }

    #[test]
    fn bad_queries_are_refused_with_the_name() {
        let table = [
            ("limit=0", "bad_parameter", "limit"),
            ("limit=501", "bad_parameter", "limit"),
            ("limit=-1", "bad_parameter", "limit"),
            ("limit=%2B1", "bad_parameter", "limit"),
            ("limit=1e2", "bad_parameter", "limit"),
            ("limit=18446744073709551616", "bad_parameter", "limit"),
            ("limit=", "bad_parameter", "limit"),
            ("state=a&state=b", "repeated_parameter", "state"),
            ("stat%65=a&state=b", "repeated_parameter", "state"),
            ("colour=red", "unknown_parameter", "colour"),
            ("state=%00", "bad_parameter", "state"),
            ("state=%ff", "bad_parameter", "state"),
        ];
        for (query, code, named) in table {
            let error = read(query).unwrap_err();
            assert_eq!(error.code, code, "{query}");
            assert!(error.message.contains(named), "{query}: {}", error.message);
        }
    }
}

//! Which requests a flow admits; part of the dataset's definition.

use serde::{Deserialize, Serialize};

use crate::{Refusal, path};

/// The longest request path that is looked at, in bytes.
pub const MAX_PATH_BYTES: usize = 8 * 1024;
/// The longest query string that is looked at, in bytes.
pub const MAX_QUERY_BYTES: usize = 16 * 1024;

/// What NGSI-LD queries that come as a body are sent to (ETSI GS CIM 009, 6.23 and 6.24).
const QUERIES: [&str; 2] = ["/entityOperations/query", "/temporal/entityOperations/query"];

/// Methods, paths and query parameters that a flow admits. Whatever is not listed is refused.
///
/// An NGSI-LD query that comes as a body ([`is_query`]) reads: where its path is admitted, `GET` admits its `POST`. Rules for
/// query parameters say nothing of a body, so with such rules only `POST` itself admits it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Admission {
    /// HTTP methods, upper case. `HEAD` is not implied by `GET`.
    pub methods: Vec<String>,
    /// Path patterns, not percent-encoded: `/a/b` is that path; `*` is any one segment; `/a/**` is `/a` and all below.
    pub paths: Vec<String>,
    /// Rules for query parameters; a parameter without a rule is refused. `None` admits every parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Vec<QueryRule>>,
}

/// What one query parameter may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryRule {
    /// The parameter's name, decoded.
    pub name: String,
    /// Admitted values; every item of a comma-separated list must be among them. `None` admits any value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// Whether a request without this parameter, or with an empty one, is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

impl Admission {
    /// Checks one request. `path` and `query` are as received, percent-encoded; `query` without its question mark.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with one of the codes `method_not_admitted`, `path_not_safe`, `path_not_admitted`,
    /// `query_not_safe`, `query_not_admitted`, `query_missing`, `request_too_long`.
    pub fn check(&self, method: &str, path: &str, query: Option<&str>) -> Result<(), Refusal> {
        let admits = |method: &str| self.methods.iter().any(|admitted| admitted == method);
        let reads = || method == "POST" && self.query.is_none() && is_query(path) && admits("GET");
        if !admits(method) && !reads() {
            return Err(Refusal::new(
                "method_not_admitted",
                format!("the method `{}` is not admitted; admitted are: {}", shown(method), self.methods.join(", ")),
            ));
        }
        if path.len() > MAX_PATH_BYTES || query.is_some_and(|query| query.len() > MAX_QUERY_BYTES) {
            return Err(Refusal::new("request_too_long", "the path or the query is too long"));
        }
        let segments = path::segments(path)?;
        if !self.paths.iter().any(|pattern| path::matches(pattern, &segments)) {
            return Err(Refusal::new("path_not_admitted", format!("the path `{}` is not admitted", shown(path))));
        }
        let pairs = pairs(query.unwrap_or_default())?;
        self.query.as_deref().map_or(Ok(()), |rules| check_query(rules, &pairs))
    }

    /// The first path pattern that can never match as it was probably meant, with the reason; `None` when all are good.
    #[must_use]
    pub fn faulty_path(&self) -> Option<(&str, &'static str)> {
        self.paths.iter().find_map(|pattern| fault(pattern).map(|reason| (pattern.as_str(), reason)))
    }
}

/// Whether a `POST` to this raw path is an NGSI-LD query, which reads and changes nothing.
#[must_use]
pub fn is_query(path: &str) -> bool {
    QUERIES.contains(&path.strip_prefix("/ngsi-ld/v1").unwrap_or(path))
}

/// The decoded segments of a raw request path, read as [`Admission::check`] reads it.
///
/// # Errors
/// A [`Refusal`] with the code `path_not_safe`.
pub fn path_segments(path: &str) -> Result<Vec<String>, Refusal> {
    path::segments(path)
}

/// Names and values of a raw query string in their order, read as [`Admission::check`] reads it.
///
/// # Errors
/// A [`Refusal`] with the code `query_not_safe`.
pub fn query_pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    pairs(query)
}

fn fault(pattern: &str) -> Option<&'static str> {
    let Some(rest) = pattern.strip_prefix('/') else { return Some("a path starts with a slash") };
    let parts: Vec<&str> = rest.split('/').collect();
    let (last, before) = parts.split_last()?;
    if before.contains(&"**") {
        Some("`**` may stand only at the end")
    } else if before.contains(&"") {
        Some("a path has no empty segment")
    } else if parts.iter().any(|part| part.contains('*') && *part != "*" && *part != "**") {
        Some("`*` and `**` stand for whole segments")
    } else if parts.contains(&".") || *last == ".." || before.contains(&"..") {
        Some("a path has no dot segment")
    } else if pattern.contains(['%', '\\', ';', '?', '#']) || pattern.chars().any(char::is_control) {
        Some("a path is written decoded and without backslash, semicolon, question mark or hash sign")
    } else {
        None
    }
}

fn check_query(rules: &[QueryRule], pairs: &[(String, String)]) -> Result<(), Refusal> {
    for (name, value) in pairs {
        let Some(rule) = rules.iter().find(|rule| rule.name == *name) else {
            return Err(Refusal::new(
                "query_not_admitted",
                format!("the query parameter `{}` is not admitted", shown(name)),
            ));
        };
        let Some(admitted) = &rule.values else { continue };
        if let Some(item) = value.split(',').find(|item| !admitted.iter().any(|known| known == item)) {
            return Err(Refusal::new(
                "query_not_admitted",
                format!("the value `{}` of the query parameter `{}` is not admitted", shown(item), shown(name)),
            ));
        }
    }
    match rules.iter().find(|rule| rule.required && !pairs.iter().any(|(name, v)| *name == rule.name && !v.is_empty()))
    {
        Some(rule) => {
            Err(Refusal::new("query_missing", format!("the query parameter `{}` is required", shown(&rule.name))))
        }
        None => Ok(()),
    }
}

/// Names and values of a query string, decoded as `application/x-www-form-urlencoded`.
fn pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let unsafe_query = |what: &str| Refusal::new("query_not_safe", format!("the query {what}"));
    if query.bytes().any(|byte| !byte.is_ascii_graphic()) || query.contains('#') {
        return Err(unsafe_query("contains a character that must be percent-encoded"));
    }
    let decode = |text: &str| {
        let text =
            path::decode(&text.replace('+', " ")).ok_or_else(|| unsafe_query("has a broken percent-encoding"))?;
        if text.chars().any(char::is_control) {
            return Err(unsafe_query("contains a control character"));
        }
        Ok(text)
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// A piece of the request that is short and plain enough for an error message.
fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut out: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

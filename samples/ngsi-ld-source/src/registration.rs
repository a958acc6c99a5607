//! Registrations of context sources (GS CIM 009, clause 5.2.9): which entities another source has, and where. Pure.

use regex::Regex;
use serde_json::{Map, Value};
use url::Url;

use crate::model::{compact, strings};
use crate::problem::Problem;
use crate::query::Selector;

/// Members that are served, or say nothing about what is asked of the source.
const SERVED: [&str; 9] = [
    "id",
    "type",
    "registrationName",
    "description",
    "information",
    "endpoint",
    "mode",
    "operations",
    "contextSourceInfo",
];
/// Headers that a registration cannot set.
const OWN: [&str; 6] = ["host", "content-length", "transfer-encoding", "connection", "via", "ngsild-tenant"];

/// A source that was registered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// As it was given.
    pub body: Map<String, Value>,
    /// Below this address lies its interface.
    pub endpoint: String,
    /// The context that it wants to be asked with.
    pub context: Option<String>,
    /// Headers that it wants.
    pub headers: Vec<(String, String)>,
    entities: Vec<Known>,
    operations: Vec<String>,
}

/// Entities that a source says to have: of a type, with an id or a pattern of it, or any.
#[derive(Debug, Clone)]
struct Known {
    kind: String,
    id: Option<String>,
    pattern: Option<Regex>,
}

impl Registration {
    /// Reads a registration.
    ///
    /// # Errors
    /// A `BadRequestData` that names the member, or `OperationNotSupported` for one that this source does not serve.
    pub fn parse(body: Map<String, Value>) -> Result<Self, Problem> {
        if body.get("type").and_then(Value::as_str) != Some("ContextSourceRegistration") {
            return Err(Problem::bad("the body's `type` must be `ContextSourceRegistration`"));
        }
        if let Some(name) = body.keys().find(|name| !SERVED.contains(&name.as_str())) {
            return Err(Problem::unsupported(format!("this test source does not serve the member `{name}`")));
        }
        if body.get("mode").is_some_and(|mode| mode != "inclusive") {
            return Err(Problem::unsupported("this test source serves registrations of the mode `inclusive` only"));
        }
        let endpoint = body.get("endpoint").and_then(Value::as_str).unwrap_or_default();
        if Url::parse(endpoint).ok().is_none_or(|url| url.scheme() != "http") {
            return Err(Problem::bad("`endpoint` must be an http address"));
        }
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let information = body.get("information").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let entities: Result<Vec<Known>, Problem> = information
            .iter()
            .filter_map(|one| one.get("entities").and_then(Value::as_array))
            .flatten()
            .map(Known::parse)
            .collect();
        let entities = entities?;
        if entities.is_empty() {
            return Err(Problem::bad("`information` must name entities by their types"));
        }
        let operations = match body.get("operations") {
            None => vec!["federationOps".to_owned()],
            listed => strings(listed),
        };
        let (mut context, mut headers) = (None, Vec::new());
        for pair in body.get("contextSourceInfo").and_then(Value::as_array).into_iter().flatten() {
            let member = |name: &str| pair.get(name).and_then(Value::as_str);
            match (member("key"), member("value")) {
                (Some("jsonldContext"), Some(url)) => context = Some(url.to_owned()),
                (Some(name), Some(value)) if !OWN.contains(&name.to_ascii_lowercase().as_str()) => {
                    headers.push((name.to_owned(), value.to_owned()));
                }
                _ => return Err(Problem::bad("`contextSourceInfo` holds keys and values that can be headers")),
            }
        }
        Ok(Self { body, endpoint, context, headers, entities, operations })
    }

    /// Whether the source does this operation.
    #[must_use]
    pub fn does(&self, operation: &str) -> bool {
        let groups = ["federationOps", "retrieveOps"];
        self.operations.iter().any(|one| one == operation || groups.contains(&one.as_str()))
    }

    /// The types that it can be asked for, of those that are selected; none when it has nothing to say.
    #[must_use]
    pub fn types_for(&self, selector: &Selector) -> Vec<&str> {
        let fits = |known: &&Known| {
            let types = [known.kind.clone()];
            selector.types.as_ref().is_none_or(|selection| selection.matches(&types)) && known.fits(selector)
        };
        let mut types: Vec<&str> = self.entities.iter().filter(fits).map(|known| known.kind.as_str()).collect();
        types.dedup();
        types
    }

    /// Whether it says to have an entity like this.
    #[must_use]
    pub fn covers(&self, id: &str, types: &[String]) -> bool {
        self.entities.iter().any(|known| types.contains(&known.kind) && known.has(id))
    }

    /// Whether it may have the entity with this id.
    #[must_use]
    pub fn may_have(&self, id: &str) -> bool {
        self.entities.iter().any(|known| known.has(id))
    }
}

impl Known {
    fn parse(value: &Value) -> Result<Self, Problem> {
        let member = |name: &str| value.get(name).and_then(Value::as_str);
        let kind = member("type").ok_or_else(|| Problem::bad("each of `entities` needs a `type`"))?;
        let pattern = member("idPattern").map(Selector::pattern).transpose()?;
        Ok(Self { kind: compact(kind).to_owned(), id: member("id").map(str::to_owned), pattern })
    }

    fn has(&self, id: &str) -> bool {
        self.id.as_deref().is_none_or(|own| own == id) && self.pattern.as_ref().is_none_or(|own| own.is_match(id))
    }

    /// Whether some of what is asked for by id can be here. Two patterns may always have something in common.
    fn fits(&self, selector: &Selector) -> bool {
        match (&selector.ids, &selector.id_pattern, &self.id) {
            (Some(ids), _, _) => ids.iter().any(|id| self.has(id)),
            (None, Some(pattern), Some(id)) => pattern.is_match(id),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::query::types::TypeSelection;

    fn parse(change: &Value) -> Result<Registration, Problem> {
        let mut body = json!({"type": "ContextSourceRegistration", "endpoint": "http://127.0.0.1:1/x/",
        "information": [{"entities": [
            {"type": "https://uri.etsi.org/ngsi-ld/default-context/A", "idPattern": "^urn:a:"}, {"type": "B", "id": "urn:b"}
        ]}]});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Registration::parse(body.as_object().unwrap().clone())
    }

    #[test]
    fn a_source_is_asked_for_what_it_says_to_have() {
        let source = parse(&json!({})).unwrap();
        assert_eq!(source.endpoint, "http://127.0.0.1:1/x");
        let ask = |types: Option<&str>, ids: Option<&str>| {
            let selector = Selector {
                ids: ids.map(|ids| vec![ids.to_owned()]),
                id_pattern: None,
                types: types.map(|types| TypeSelection::parse(types).unwrap()),
            };
            source.types_for(&selector).join(",")
        };
        for (types, ids, expected) in [
            (None, None, "A,B"),
            (Some("A"), None, "A"),
            (Some("C"), None, ""),
            (Some("A,B"), Some("urn:b"), "B"),
            (None, Some("urn:a:7"), "A"),
            (Some("A"), Some("urn:x"), ""),
        ] {
            assert_eq!(ask(types, ids), expected, "{types:?} {ids:?}");
        }
        assert!(source.covers("urn:a:1", &["A".into()]) && !source.covers("urn:b", &["A".into()]));
        assert!(source.may_have("urn:b") && !source.may_have("urn:c"));
        assert!(source.does("queryEntity"));
        assert!(!parse(&json!({"operations": ["retrieveEntity"]})).unwrap().does("queryEntity"));
    }

    #[test]
    fn what_is_not_served_is_refused() {
        for change in [
            json!({"type": "Other"}),
            json!({"mode": "exclusive"}),
            json!({"endpoint": "ftp://x"}),
            json!({"information": []}),
            json!({"information": [{"entities": [{"id": "urn:a"}]}]}),
            json!({"information": [{"entities": [{"type": "A", "idPattern": "("}]}]}),
            json!({"contextSourceInfo": [{"key": "Host", "value": "x"}]}),
            json!({"expiresAt": "2027-01-01T00:00:00Z"}),
        ] {
            assert!(parse(&change).is_err(), "{change}");
        }
    }
}

//! What a dataset is to policies: its description in the catalog.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ServiceResult;
use super::dataset::{DatasetBody, DistributionBody};
use crate::store::dataset;

/// Members that say what a dataset is part of.
const PART_OF: [&str; 2] = ["dct:isPartOf", "dcat:inSeries"];

/// A dataset as policies may speak of it.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// Properties, an object: terms of DCAT and Dublin Core with the prefixes `dcat:` and `dct:`.
    pub properties: Value,
    /// What it is part of.
    pub collections: BTreeSet<String>,
    distributions: Vec<DistributionBody>,
}

impl Described {
    /// Reads a stored row.
    ///
    /// # Errors
    /// `internal`, when the stored text is not such a body.
    pub(crate) fn of(row: &dataset::Model) -> ServiceResult<Self> {
        let body = DatasetBody::parse(&row.body)?;
        let mut properties: Map<String, Value> =
            body.properties.into_iter().map(|(name, value)| (prefixed(&name), value)).collect();
        let collections = PART_OF.iter().filter_map(|name| properties.get(*name)).flat_map(names);
        let collections = collections.map(str::to_owned).collect();
        properties.insert("dct:title".to_owned(), row.title.clone().into());
        if let Some(description) = body.description {
            properties.insert("dct:description".to_owned(), description.into());
        }
        if !body.keywords.is_empty() {
            properties.insert("dcat:keyword".to_owned(), body.keywords.into());
        }
        Ok(Self { properties: properties.into(), collections, distributions: body.distributions })
    }

    /// The media type in this format of transfer; without a format, what all distributions agree on.
    pub(crate) fn media_type(&self, format: Option<&str>) -> Option<&str> {
        let meant = |distribution: &&DistributionBody| format.is_none_or(|format| distribution.format == format);
        let mut found = self.distributions.iter().filter(meant).map(|distribution| distribution.media_type.as_deref());
        let first = found.next()??;
        found.all(|other| other == Some(first)).then_some(first)
    }
}

/// A name with the usual prefix of its vocabulary.
fn prefixed(name: &str) -> String {
    const NAMESPACES: [(&str, &str); 2] =
        [("http://www.w3.org/ns/dcat#", "dcat:"), ("http://purl.org/dc/terms/", "dct:")];
    let short = NAMESPACES.iter().find_map(|(from, to)| name.strip_prefix(from).map(|rest| format!("{to}{rest}")));
    short.unwrap_or_else(|| name.to_owned())
}

/// The names in a value: a text, a node, or a list of either.
fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(node) => node.get("@id").and_then(Value::as_str).into_iter().collect(),
        other => other.as_str().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described(body: &Value) -> Described {
        let mut whole = json!({
            "distributions": [{"format": "HttpData-PULL"}],
            "source": {"http": {"baseUrl": "http://127.0.0.1:1"}},
            "admission": {"methods": ["GET"], "paths": ["/**"]}
        });
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let row = dataset::Model {
            context: String::new(),
            id: "d".to_owned(),
            title: "Counts".to_owned(),
            body: whole.to_string(),
            created_at: 0,
            updated_at: 0,
        };
        Described::of(&row).unwrap()
    }

    #[test]
    fn what_the_catalog_says_is_told_under_usual_names() {
        let found = described(&json!({
            "keywords": ["traffic"],
            "properties": {
                "http://purl.org/dc/terms/isPartOf": [{"@id": "urn:col:a"}, "urn:col:b"],
                "dcat:inSeries": "urn:series",
                "dcat:theme": "urn:theme"
            }
        }));
        assert_eq!(found.collections, ["urn:col:a", "urn:col:b", "urn:series"].map(str::to_owned).into());
        assert_eq!(found.properties["dcat:theme"], "urn:theme");
        assert_eq!(found.properties["dct:title"], "Counts");
        assert_eq!(found.properties["dcat:keyword"], json!(["traffic"]));
    }

    #[test]
    fn the_media_type_is_that_of_the_transfers_format_or_the_one_of_all() {
        let one = |format: &str, media_type: Option<&str>| match media_type {
            Some(media_type) => json!({"format": format, "mediaType": media_type}),
            None => json!({"format": format}),
        };
        let table = [
            (vec![one("A", Some("text/csv"))], Some("A"), Some("text/csv")),
            (vec![one("A", Some("text/csv"))], Some("B"), None),
            (vec![one("A", Some("text/csv"))], None, Some("text/csv")),
            (vec![one("A", Some("text/csv")), one("B", Some("text/csv"))], None, Some("text/csv")),
            (vec![one("A", Some("text/csv")), one("B", Some("text/html"))], None, None),
            (vec![one("A", Some("text/csv")), one("B", None)], None, None),
            (vec![one("A", Some("text/csv")), one("B", Some("text/html"))], Some("B"), Some("text/html")),
            (vec![one("A", None)], None, None),
        ];
        for (distributions, format, expected) in table {
            let found = described(&json!({ "distributions": distributions }));
            assert_eq!(found.media_type(format), expected, "{distributions:?} {format:?}");
        }
    }
}

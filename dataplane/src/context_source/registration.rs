//! A registration as our broker gets it (ETSI GS CIM 009, 5.2.9): for exactly what the partner shows.

use ngsi_ld_filter::id_pattern;
use serde::Deserialize;
use serde_json::{Value, json};

/// Most types, patterns or attributes that a partner may name.
const MAX_ITEMS: usize = 1000;
/// Longest name, in bytes.
const MAX_NAME: usize = 2048;

/// What a flow shows, as the partner says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    /// Types.
    pub(super) types: Vec<String>,
    /// Patterns of ids; `*` stands for any characters. `None`: any id.
    #[serde(default)]
    ids: Option<Vec<String>>,
    /// Attributes. `None`: the partner does not say.
    #[serde(default)]
    attributes: Option<Vec<String>>,
}

impl Shown {
    /// Types alone, where no more is known.
    pub(super) fn of_types(types: Vec<String>) -> Option<Self> {
        Self { types, ids: None, attributes: None }.checked()
    }

    /// What a partner says, if it can be registered.
    pub(super) fn checked(self) -> Option<Self> {
        let names = |list: &[String]| {
            (1..=MAX_ITEMS).contains(&list.len())
                && list.iter().all(|name| {
                    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(|c| c.is_control() || c == '"')
                })
        };
        let optional = |list: &Option<Vec<String>>| list.as_deref().is_none_or(names);
        (names(&self.types) && optional(&self.ids) && optional(&self.attributes)).then_some(self)
    }
}

/// How our broker reaches the flow.
#[derive(Debug)]
pub(super) struct Way<'a> {
    /// Address of the flow on our local listener.
    pub(super) endpoint: &'a str,
    /// Value of `Authorization` that the listener wants.
    pub(super) authorization: Option<&'a str>,
    /// The context that the broker shall ask with.
    pub(super) context: &'a str,
}

/// The registration with this id. Only reading is registered.
pub(super) fn registration(id: &str, shown: &Shown, way: &Way<'_>) -> Value {
    // One id is named, patterns are a regular expression.
    let ids = match shown.ids.as_deref() {
        None => None,
        Some([one]) if !one.contains('*') => Some(("id", one.clone())),
        Some(several) => Some(("idPattern", id_pattern(several))),
    };
    let entities: Vec<Value> = shown
        .types
        .iter()
        .map(|kind| {
            let ids = ids.iter().map(|(member, value)| ((*member).to_owned(), json!(value)));
            Value::Object([("type".to_owned(), json!(kind))].into_iter().chain(ids).collect())
        })
        .collect();
    let information = match &shown.attributes {
        // Which of them are relationships the agreement does not say.
        Some(attributes) => {
            json!({"entities": entities, "propertyNames": attributes, "relationshipNames": attributes})
        }
        None => json!({"entities": entities}),
    };
    let mut told = vec![json!({"key": "jsonldContext", "value": way.context})];
    told.extend(way.authorization.map(|value| json!({"key": "Authorization", "value": value})));
    json!({
        "id": id,
        "type": "ContextSourceRegistration",
        "description": "registered by Hansa for as long as the agreement's transfer runs",
        "information": [information],
        "endpoint": way.endpoint,
        "mode": "inclusive",
        "operations": ["retrieveEntity", "queryEntity"],
        "contextSourceInfo": told,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAY: Way<'_> = Way { endpoint: "http://127.0.0.1:8292/flows/t", authorization: None, context: "https://c" };

    fn shown(text: Value) -> Option<Shown> {
        serde_json::from_value::<Shown>(text).ok().and_then(Shown::checked)
    }

    #[test]
    fn exactly_what_is_shown_is_registered() {
        for (text, entities, attributes) in [
            (json!({"types": ["A"]}), json!([{"type": "A"}]), Value::Null),
            (json!({"types": ["A", "B"], "attributes": ["x"]}), json!([{"type": "A"}, {"type": "B"}]), json!(["x"])),
            (json!({"types": ["A"], "ids": ["urn:a"]}), json!([{"type": "A", "id": "urn:a"}]), Value::Null),
            (
                json!({"types": ["A"], "ids": ["urn:a:*", "urn:b"]}),
                json!([{"type": "A", "idPattern": "^(urn:a:.*|urn:b)$"}]),
                Value::Null,
            ),
        ] {
            let made = registration("urn:r", &shown(text.clone()).unwrap(), &WAY);
            assert_eq!(made["information"][0]["entities"], entities, "{text}");
            assert_eq!(made["information"][0]["propertyNames"], attributes, "{text}");
            assert_eq!(made["information"][0]["relationshipNames"], attributes, "{text}");
            assert_eq!((&made["mode"], &made["endpoint"]), (&json!("inclusive"), &json!(WAY.endpoint)));
        }
        let secret = Way { authorization: Some("Bearer t"), ..WAY };
        let made = registration("urn:r", &Shown::of_types(vec!["A".into()]).unwrap(), &secret);
        assert_eq!(made["contextSourceInfo"][1], json!({"key": "Authorization", "value": "Bearer t"}));
    }

    #[test]
    fn what_cannot_be_registered_is_not() {
        for text in [
            json!({}),
            json!({"types": []}),
            json!({"types": "A"}),
            json!({"types": [""]}),
            json!({"types": ["A\n"]}),
            json!({"types": vec!["A"; 1001]}),
            json!({"types": ["A"], "ids": []}),
            json!({"types": ["A"], "attributes": [7]}),
        ] {
            assert!(shown(text.clone()).is_none(), "{text}");
        }
    }
}

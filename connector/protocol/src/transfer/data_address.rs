//! Where data is read or sent to.
//!
//! DSP 2025-1, "Transfer Request Message" and "Transfer Start Message": `dataAddress`.

use std::fmt;

use serde_json::{Map, Value};

use crate::error::MessageError;
use crate::member::{Node, put, put_list, put_some};

/// The namespace in which EDC names its endpoint properties.
pub const EDC_NAMESPACE: &str = "https://w3id.org/edc/v0.0.1/ns/";

/// A data address: a kind of endpoint, its address, and properties such as an access token.
///
/// `Debug` shows the names of the properties only, since their values are secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct DataAddress {
    /// Decides which properties are to be expected.
    pub endpoint_type: String,
    /// The address; EDC leaves it out for pull, see [`DataAddress::endpoint`].
    pub endpoint: Option<String>,
    /// Names and values, in order.
    pub properties: Vec<(String, String)>,
}

impl DataAddress {
    /// An HTTP address to read from with this token, readable by everybody: the standard's `endpoint` and plain
    /// properties, and the four properties in which EDC looks.
    #[must_use]
    pub fn for_http_pull(endpoint_type: &str, endpoint: &str, token: &str) -> Self {
        let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let edc = |name: &str, value: &str| (format!("{EDC_NAMESPACE}{name}"), value.to_owned());
        Self {
            endpoint_type: endpoint_type.to_owned(),
            endpoint: Some(endpoint.to_owned()),
            properties: vec![
                property("authorization", token),
                property("authType", "bearer"),
                edc("endpoint", endpoint),
                edc("endpointType", endpoint_type),
                edc("authType", "bearer"),
                edc("authorization", token),
            ],
        }
    }

    /// The value of a property: of the one with exactly this name, else of the first whose last path segment is it.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        let last = |full: &str| full.rsplit(['/', '#']).next() == Some(name);
        let exact = self.properties.iter().find(|(full, _)| full == name);
        exact.or_else(|| self.properties.iter().find(|(full, _)| last(full))).map(|(_, value)| value.as_str())
    }

    /// The address: the member `endpoint`, else the property of that name.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref().or_else(|| self.property("endpoint"))
    }

    /// Reads a compacted data address.
    ///
    /// # Errors
    /// [`MessageError`] naming the member at fault.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::new("dataAddress", value)?;
        let mut properties = Vec::new();
        for item in node.items("endpointProperties")? {
            let property = Node::new("endpointProperties", item)?;
            let value =
                property.optional_text("value")?.ok_or_else(|| MessageError::missing("endpointProperties", "value"))?;
            properties.push((property.text("name")?.to_owned(), value.to_owned()));
        }
        Ok(Self {
            endpoint_type: node.text("endpointType")?.to_owned(),
            endpoint: node.optional_address("endpoint")?,
            properties,
        })
    }

    /// The member `dataAddress` of a message.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "@type", "DataAddress");
        put(&mut map, "endpointType", &self.endpoint_type);
        put_some(&mut map, "endpoint", self.endpoint.as_ref());
        let properties = self.properties.iter().map(|(name, value)| {
            let mut property = Map::new();
            put(&mut property, "@type", "EndpointProperty");
            put(&mut property, "name", name);
            put(&mut property, "value", value);
            Value::Object(property)
        });
        put_list(&mut map, "endpointProperties", properties.collect());
        Value::Object(map)
    }
}

impl fmt::Debug for DataAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("DataAddress")
            .field("endpoint_type", &self.endpoint_type)
            .field("has_endpoint", &self.endpoint.is_some())
            .field("properties", &names)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn debug_hides_every_value() {
        let address = DataAddress::for_http_pull("t", "https://p.example/secret-path", "TOKEN");
        let text = format!("{address:?}");
        assert!(!text.contains("TOKEN") && !text.contains("secret-path"), "{text}");
        assert!(text.contains("authorization"), "{text}");
    }

    #[test]
    fn edc_form_and_standard_form_are_read_alike() {
        let ns = EDC_NAMESPACE;
        let edc =
            DataAddress::parse(&json!({"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP",
            "endpointProperties": [
                {"@type": "EndpointProperty", "name": format!("{ns}endpoint"), "value": "http://p/public"},
                {"@type": "EndpointProperty", "name": format!("{ns}authorization"), "value": "JWT"}]}))
            .unwrap();
        assert_eq!((edc.endpoint(), edc.property("authorization")), (Some("http://p/public"), Some("JWT")));
        let ours = DataAddress::for_http_pull("t", "http://p/public", "JWT");
        assert_eq!((ours.endpoint(), ours.property("authorization")), (Some("http://p/public"), Some("JWT")));
        assert_eq!(ours.property(&format!("{ns}endpointType")), Some("t"));
        assert_eq!(ours.property("refreshToken"), None);
        let written = ours.to_value();
        assert_eq!(written.get("endpointProperties").and_then(Value::as_array).map(Vec::len), Some(6));
    }

    #[test]
    fn an_empty_list_of_properties_is_left_out() {
        let address = DataAddress { endpoint_type: "t".to_owned(), endpoint: None, properties: Vec::new() };
        assert_eq!(address.to_value(), json!({"@type": "DataAddress", "endpointType": "t"}));
    }
}

//! DataAddress (DSP serialisation) in the two forms found on the wire: the standard's and EDC's.

use std::fmt;

use serde_json::{Value, json};

use crate::{SignalError, read};

/// Namespace of the property names that EDC writes and expects.
pub const EDC_NAMESPACE: &str = "https://w3id.org/edc/v0.0.1/ns/";

/// What an address says about renewing its token (DPS profiles, Token renewal).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Renewal<'a> {
    /// Bound to the consumer's DID; a secret.
    pub refresh_token: &'a str,
    /// Life of the access token, in seconds.
    pub expires_in_s: u64,
    /// Where a new token is asked for; the address itself when the provider names no other place.
    pub endpoint: &'a str,
}

impl fmt::Debug for Renewal<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Renewal")
            .field("expires_in_s", &self.expires_in_s)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Where data is read from or written to, with what one needs to do so. The values are secrets: `Debug` hides them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DataAddress {
    /// Kind of endpoint, usually the profile.
    pub endpoint_type: String,
    /// URL; read from the standard's member, else from EDC's property.
    pub endpoint: Option<String>,
    /// Whether `endpoint` came from the standard's member. EDC leaves it out.
    pub standard_endpoint: bool,
    /// Names and values in order.
    pub properties: Vec<(String, String)>,
}

impl DataAddress {
    /// Reads an address. `@type` members are not demanded; entries of `endpointProperties` without a text value are skipped.
    ///
    /// # Errors
    /// `not_an_object` or `wrong_type` for a body that is no data address.
    pub fn decode(value: &Value) -> Result<Self, SignalError> {
        let map = value
            .as_object()
            .ok_or_else(|| SignalError::new("not_an_object", "member `dataAddress` must be an object"))?;
        let endpoint_type = match map.get("endpointType") {
            // EDC from 0.18 writes an IRI node here.
            Some(Value::Object(node)) => read::optional(node, "@id")?,
            _ => read::optional(map, "endpointType")?,
        };
        let entries = match map.get("endpointProperties") {
            None | Some(Value::Null) => &[],
            Some(Value::Array(items)) => items.as_slice(),
            Some(single @ Value::Object(_)) => std::slice::from_ref(single),
            Some(_) => return Err(SignalError::new("wrong_type", "member `endpointProperties` must be an array")),
        };
        let properties = entries
            .iter()
            .filter_map(|entry| {
                Some((entry.get("name")?.as_str()?.to_owned(), entry.get("value")?.as_str()?.to_owned()))
            })
            .collect();
        let standard = read::optional(map, "endpoint")?.filter(|text| !text.is_empty());
        let mut address = Self {
            endpoint_type: endpoint_type.unwrap_or_default(),
            standard_endpoint: standard.is_some(),
            endpoint: standard,
            properties,
        };
        if address.endpoint.is_none() {
            // `baseUrl` is what EDC's push addresses carry.
            address.endpoint = address.property("endpoint").or_else(|| address.property("baseUrl")).map(str::to_owned);
        }
        Ok(address)
    }

    /// An address for a bearer-protected HTTP endpoint, in both forms: the standard's members and EDC's properties.
    pub fn bearer(profile: &str, endpoint: &str, token: &str, expires_in_seconds: Option<u64>) -> Self {
        let mut properties =
            vec![("authorization".to_owned(), token.to_owned()), ("authType".to_owned(), "bearer".to_owned())];
        if let Some(seconds) = expires_in_seconds {
            properties.push(("expiresIn".to_owned(), seconds.to_string()));
        }
        for (name, value) in
            [("endpoint", endpoint), ("authType", "bearer"), ("endpointType", profile), ("authorization", token)]
        {
            properties.push((format!("{EDC_NAMESPACE}{name}"), value.to_owned()));
        }
        Self {
            endpoint_type: profile.to_owned(),
            endpoint: Some(endpoint.to_owned()),
            standard_endpoint: true,
            properties,
        }
    }

    /// The value of a property: the full name counts first, then the last segment of a qualified name.
    pub fn property(&self, name: &str) -> Option<&str> {
        let exact = self.properties.iter().find(|(key, _)| key == name);
        let found = exact.or_else(|| {
            self.properties.iter().find(|(key, _)| key.rsplit(['/', '#', ':']).next().is_some_and(|last| last == name))
        });
        found.map(|(_, value)| value.as_str())
    }

    /// How the token is renewed: `refreshToken` and a number in `expiresIn` must be there, `refreshEndpoint` may be.
    pub fn renewal(&self) -> Option<Renewal<'_>> {
        Some(Renewal {
            refresh_token: self.property("refreshToken").filter(|token| !token.is_empty())?,
            expires_in_s: self.property("expiresIn")?.trim().parse().ok().filter(|seconds| *seconds > 0)?,
            endpoint: self.property("refreshEndpoint").or(self.endpoint.as_deref())?,
        })
    }

    /// The same address with a token that can be renewed. `expiresIn` must be there.
    #[must_use]
    pub fn renewable(mut self, refresh_token: &str, endpoint: &str) -> Self {
        self.put_property("refreshToken", refresh_token);
        self.put_property("refreshEndpoint", endpoint);
        self
    }

    /// Gives a property a new value under every name by which [`Self::property`] finds it; adds it when there is none.
    pub fn put_property(&mut self, name: &str, value: &str) {
        let mut found = false;
        for (key, old) in &mut self.properties {
            if key.rsplit(['/', '#', ':']).next().is_some_and(|last| last == name) {
                value.clone_into(old);
                found = true;
            }
        }
        if !found {
            self.properties.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Writes the address in the standard's form.
    pub fn encode(&self) -> Value {
        let properties: Vec<Value> = self
            .properties
            .iter()
            .map(|(name, value)| json!({"@type": "EndpointProperty", "name": name, "value": value}))
            .collect();
        let mut value = json!({"@type": "DataAddress", "endpointType": self.endpoint_type});
        if let Some(map) = value.as_object_mut() {
            read::put(map, "endpoint", self.endpoint.as_deref());
            map.insert("endpointProperties".to_owned(), Value::Array(properties));
        }
        value
    }
}

impl fmt::Debug for DataAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("DataAddress")
            .field("endpoint_type", &self.endpoint_type)
            .field("endpoint", &self.endpoint)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HTTP_PULL;

    #[test]
    fn both_forms_are_written_and_read_back() {
        let address = DataAddress::bearer(HTTP_PULL, "https://dp.example/flows/1", "T0KEN", Some(600));
        let value = address.encode();
        assert_eq!(value["endpoint"], "https://dp.example/flows/1");
        assert_eq!(value["@type"], "DataAddress");
        let names: Vec<&str> =
            value["endpointProperties"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        for name in ["authorization", "authType", "https://w3id.org/edc/v0.0.1/ns/endpoint"] {
            assert!(names.contains(&name), "{name}");
        }
        assert_eq!(DataAddress::decode(&value).unwrap(), address);
    }

    #[test]
    fn edc_form_has_its_endpoint_among_the_properties() {
        let value = json!({"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP", "endpointProperties": [
            {"name": "https://w3id.org/edc/v0.0.1/ns/endpoint", "value": "http://edc/public"},
            {"name": "https://w3id.org/edc/v0.0.1/ns/authorization", "value": "RAW"}]});
        let address = DataAddress::decode(&value).unwrap();
        assert_eq!(address.endpoint.as_deref(), Some("http://edc/public"));
        assert!(!address.standard_endpoint);
        assert_eq!(address.property("authorization"), Some("RAW"));
        assert_eq!(address.property("authType"), None);
    }

    #[test]
    fn edc_push_address_and_iri_node() {
        let value = json!({"endpointType": {"@id": "HttpData"}, "endpointProperties":
            {"name": "https://w3id.org/edc/v0.0.1/ns/baseUrl", "value": "http://sink"}});
        let address = DataAddress::decode(&value).unwrap();
        assert_eq!((address.endpoint_type.as_str(), address.endpoint.as_deref()), ("HttpData", Some("http://sink")));
    }

    #[test]
    fn renewal_needs_a_refresh_token_and_a_number_of_seconds() {
        let plain = DataAddress::bearer(HTTP_PULL, "https://dp.example/flows/1", "T", Some(60));
        assert_eq!(plain.renewal(), None);
        let full = plain.clone().renewable("R", "https://dp.example/token/1");
        let renewal = full.renewal().unwrap();
        assert_eq!((renewal.refresh_token, renewal.expires_in_s), ("R", 60));
        assert_eq!(renewal.endpoint, "https://dp.example/token/1");
        assert!(!format!("{renewal:?}").contains("\"R\""));
        for (name, value) in [("expiresIn", "soon"), ("expiresIn", "0"), ("refreshToken", "")] {
            let mut broken = full.clone();
            broken.put_property(name, value);
            assert_eq!(broken.renewal(), None, "{name}={value}");
        }
        let mut elsewhere = full;
        elsewhere.properties.retain(|(name, _)| name != "refreshEndpoint");
        assert_eq!(elsewhere.renewal().unwrap().endpoint, "https://dp.example/flows/1");
    }

    #[test]
    fn a_new_token_stands_under_both_names() {
        let mut address = DataAddress::bearer(HTTP_PULL, "https://dp.example/flows/1", "OLD", None);
        address.put_property("authorization", "NEW");
        assert!(!address.encode().to_string().contains("OLD"));
        assert_eq!(address.encode().to_string().matches("NEW").count(), 2);
    }

    #[test]
    fn debug_hides_values() {
        let address = DataAddress::bearer(HTTP_PULL, "https://dp.example/flows/1", "T0KEN", None);
        assert!(!format!("{address:?}").contains("T0KEN"));
    }

    #[test]
    fn bad_addresses_are_named() {
        for (value, code) in [
            (json!([]), "not_an_object"),
            (json!({"endpoint": 5}), "wrong_type"),
            (json!({"endpointProperties": "x"}), "wrong_type"),
        ] {
            assert_eq!(DataAddress::decode(&value).unwrap_err().code, code, "{value}");
        }
    }
}

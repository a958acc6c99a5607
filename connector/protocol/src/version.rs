//! The version document, `/.well-known/dspace-version`.
//!
//! DSP 2025-1, "Common: Exposure of Versions".

use serde_json::{Map, Value};

use crate::error::MessageError;
use crate::member::{Node, put, put_list, put_some};

/// The version that this crate implements.
pub const VERSION_2025_1: &str = "2025-1";

/// The path of the version document below the root of a connector.
pub const WELL_KNOWN_PATH: &str = "/.well-known/dspace-version";

/// The versions that a connector serves.
///
/// DSP 2025-1, "Common: Exposure of Versions".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionDocument {
    /// One entry for each endpoint.
    pub protocol_versions: Vec<ProtocolVersion>,
}

/// One version that a connector serves.
///
/// DSP 2025-1, "Common: Exposure of Versions".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolVersion {
    /// The version, such as `2025-1`.
    pub version: String,
    /// Where its endpoints are, relative to the root.
    pub path: String,
    /// The binding; only `HTTPS` exists.
    pub binding: String,
    /// Groups the endpoints of one service across versions.
    pub service_id: Option<String>,
    /// The kind of participant ids, such as `did:web`.
    pub identifier_type: Option<String>,
    /// How requests are authenticated.
    pub auth: Option<VersionAuth>,
}

/// The authentication of a version.
///
/// DSP 2025-1, "Common: Exposure of Versions".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionAuth {
    /// The protocol, such as `DCP`.
    pub protocol: String,
    /// Its version.
    pub version: String,
    /// Its profiles.
    pub profile: Vec<String>,
}

impl VersionDocument {
    /// The document of a connector that serves 2025-1 at this path.
    #[must_use]
    pub fn of_2025_1(path: &str) -> Self {
        Self { protocol_versions: vec![ProtocolVersion::new(VERSION_2025_1, path)] }
    }

    /// Reads a document. Entries without version or path are left out, unknown members are ignored; a missing binding
    /// counts as `HTTPS`.
    ///
    /// # Errors
    /// [`MessageError`] when there is no array `protocolVersions`.
    pub fn parse(value: &Value) -> Result<Self, MessageError> {
        let node = Node::new("version document", value)?;
        node.required("protocolVersions")?;
        let entries = node.items("protocolVersions")?;
        Ok(Self { protocol_versions: entries.iter().filter_map(ProtocolVersion::parse).collect() })
    }

    /// The whole document; it has neither `@context` nor `@type`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        let entries = self.protocol_versions.iter().map(ProtocolVersion::to_value).collect();
        map.insert("protocolVersions".to_owned(), Value::Array(entries));
        Value::Object(map)
    }

    /// The entry for 2025-1 over HTTPS. A client that finds none must stop.
    #[must_use]
    pub fn find_2025_1(&self) -> Option<&ProtocolVersion> {
        let fits = |entry: &&ProtocolVersion| {
            entry.version == VERSION_2025_1 && entry.binding.eq_ignore_ascii_case(ProtocolVersion::HTTPS)
        };
        self.protocol_versions.iter().find(fits)
    }
}

impl ProtocolVersion {
    /// The only binding.
    pub const HTTPS: &str = "HTTPS";

    /// A version at a path, without the optional members.
    #[must_use]
    pub fn new(version: &str, path: &str) -> Self {
        Self {
            version: version.to_owned(),
            path: path.to_owned(),
            binding: Self::HTTPS.to_owned(),
            service_id: None,
            identifier_type: None,
            auth: None,
        }
    }

    /// The base of all endpoints of this version: the root of the connector and the path, joined by one slash and
    /// without a slash at the end. The path can never change the host.
    #[must_use]
    pub fn base(&self, root: &str) -> String {
        let root = root.trim_end_matches('/');
        match self.path.trim_matches('/') {
            "" => root.to_owned(),
            path => format!("{root}/{path}"),
        }
    }

    fn parse(value: &Value) -> Option<Self> {
        let node = Node::new("protocolVersions", value).ok()?;
        let text = |name: &str| node.optional_text(name).ok().flatten().map(str::to_owned);
        let path = text("path").filter(|path| !path.chars().any(|c| c.is_whitespace() || c.is_control()))?;
        Some(Self {
            version: text("version")?,
            path,
            binding: text("binding").unwrap_or_else(|| Self::HTTPS.to_owned()),
            service_id: text("serviceId"),
            identifier_type: text("identifierType"),
            auth: node.get("auth").and_then(VersionAuth::parse),
        })
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "version", &self.version);
        put(&mut map, "path", &self.path);
        put(&mut map, "binding", &self.binding);
        put_some(&mut map, "serviceId", self.service_id.as_ref());
        put_some(&mut map, "identifierType", self.identifier_type.as_ref());
        if let Some(auth) = &self.auth {
            map.insert("auth".to_owned(), auth.to_value());
        }
        Value::Object(map)
    }
}

impl VersionAuth {
    fn parse(value: &Value) -> Option<Self> {
        let node = Node::new("auth", value).ok()?;
        let text = |name: &str| node.optional_text(name).ok().flatten().map(str::to_owned);
        let profile = match node.get("profile") {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(single)) => vec![single.clone()],
            _ => Vec::new(),
        };
        Some(Self { protocol: text("protocol")?, version: text("version")?, profile })
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        put(&mut map, "protocol", &self.protocol);
        put(&mut map, "version", &self.version);
        put_list(&mut map, "profile", self.profile.iter().map(String::as_str).map(Value::from).collect());
        Value::Object(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_document_of_edc_0_15_is_read() {
        let document = VersionDocument::parse(&json!({"protocolVersions": [
            {"version": "2024/1", "path": "/2024/1", "binding": "HTTPS"}, {"version": "v0.8", "path": "/"}, 7, {},
            {"version": "2025-1", "path": "/2025-1", "binding": "HTTPS"}]}))
        .unwrap();
        assert_eq!(document.protocol_versions.len(), 3);
        assert_eq!(document.find_2025_1().unwrap().base("http://h:1/protocol"), "http://h:1/protocol/2025-1");
        assert_eq!(document.find_2025_1().unwrap().base("http://h:1/protocol/"), "http://h:1/protocol/2025-1");
    }

    #[test]
    fn a_path_cannot_change_the_host() {
        for path in ["@evil.example", ".evil.example", ":80", "/@evil.example"] {
            let base = ProtocolVersion::new(VERSION_2025_1, path).base("https://good.example");
            assert!(base.starts_with("https://good.example/"), "{base}");
        }
        assert_eq!(ProtocolVersion::new(VERSION_2025_1, "/").base("https://h/"), "https://h");
    }

    #[test]
    fn what_is_no_version_document_is_refused() {
        for body in [json!([]), json!({}), json!({"protocolVersions": {}}), json!({"protocolVersions": null})] {
            assert!(VersionDocument::parse(&body).is_err(), "{body}");
        }
        let empty = VersionDocument::parse(&json!({"protocolVersions": []})).unwrap();
        assert_eq!(empty.find_2025_1(), None);
    }

    #[test]
    fn a_full_document_survives() {
        let mut document = VersionDocument::of_2025_1("/dsp/2025-1");
        document.protocol_versions[0].auth = Some(VersionAuth {
            protocol: "DCP".to_owned(),
            version: "1.0".to_owned(),
            profile: vec!["vc11-sl2021/jwt".to_owned()],
        });
        document.protocol_versions[0].service_id = Some("s".to_owned());
        document.protocol_versions[0].identifier_type = Some("did:web".to_owned());
        assert_eq!(VersionDocument::parse(&document.to_value()), Ok(document));
    }
}

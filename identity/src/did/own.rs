//! Our own DID document (DCP 1.0.1, 3.1 and 4.2; DID Core 1.0, 5).

use serde_json::{Map, Value, json};

use super::{Did, Relationship};
use crate::keys::{KeyError, KeyRing, KeyState};

/// A service that our document announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnService {
    /// `CredentialService`, `IssuerService` and so on; also the name of the entry.
    pub service_type: String,
    /// Base URL.
    pub endpoint: String,
}

/// The document that is published for `did`. The current key is listed for all uses; retired ones only verify the credentials
/// that they signed; revoked ones and those whose time is over at `now` are left out.
///
/// # Errors
/// `bad_key_store` when a key's name cannot be a fragment.
pub fn own_document(did: &Did, keys: &KeyRing, services: &[OwnService], now: i64) -> Result<Value, KeyError> {
    let mut methods = Vec::new();
    let mut listed: Map<String, Value> = Map::new();
    let mut list = |relationship: Relationship, id: &str| {
        if let Value::Array(ids) = listed.entry(relationship.name()).or_insert_with(|| json!([])) {
            ids.push(json!(id));
        }
    };
    for key in keys.keys() {
        let current = match key.state {
            KeyState::Current => true,
            KeyState::Retired { drop_after, .. } if drop_after > now => false,
            KeyState::Retired { .. } | KeyState::Revoked { .. } => continue,
        };
        let id = key.method(did)?.to_string();
        list(Relationship::AssertionMethod, &id);
        if current {
            list(Relationship::Authentication, &id);
            list(Relationship::CapabilityInvocation, &id);
        }
        methods.push(json!({
            "id": id,
            "type": "JsonWebKey2020",
            "controller": did.as_str(),
            "publicKeyJwk": key.public.jwk(),
        }));
    }
    let services: Vec<Value> = services
        .iter()
        .map(|service| {
            json!({
                "id": format!("{did}#{}", service.service_type),
                "type": service.service_type,
                "serviceEndpoint": service.endpoint,
            })
        })
        .collect();
    let mut document = json!({
        "@context": [
            "https://www.w3.org/ns/did/v1",
            "https://w3id.org/security/suites/jws-2020/v1",
            "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld",
        ],
        "id": did.as_str(),
        "verificationMethod": methods,
    });
    if let Value::Object(members) = &mut document {
        members.extend(listed);
        members.insert("service".to_owned(), Value::Array(services));
    }
    Ok(document)
}

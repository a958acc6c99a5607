//! The parts of a DID document that are used here (DID Core 1.0, 5), read leniently where forms differ and strictly where keys
//! are concerned.

use serde_json::Value;

use super::{Did, DidError, DidUrl, key_methods};
use crate::jose::PublicKey;

/// The most verification methods, and the most services, of one document.
const MAX_ENTRIES: usize = 64;

/// What a key may be used for (DID Core, 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relationship {
    /// Signs presentations.
    Authentication,
    /// Signs credentials.
    AssertionMethod,
    /// Signs self-issued ID tokens.
    CapabilityInvocation,
}

impl Relationship {
    /// Its member of the document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::AssertionMethod => "assertionMethod",
            Self::CapabilityInvocation => "capabilityInvocation",
        }
    }
}

/// Every verification relationship (DID Core, 5.3). A document with one of them says what its keys are for.
const RELATIONSHIPS: [&str; 5] =
    ["authentication", "assertionMethod", "capabilityInvocation", "capabilityDelegation", "keyAgreement"];

/// A key of a document.
#[derive(Clone, Debug)]
pub struct VerificationMethod {
    /// Its absolute id.
    pub id: DidUrl,
    /// The DID that controls it.
    pub controller: Did,
    /// The key; an error when the document holds one that is not supported here, which matters only to who needs it.
    pub key: Result<PublicKey, DidError>,
}

/// A service entry (DID Core, 5.4) whose endpoint is one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its id, as the document writes it.
    pub id: String,
    /// Its types: `CredentialService`, `IssuerService` and so on.
    pub types: Vec<String>,
    /// The endpoint.
    pub endpoint: String,
}

/// A DID document.
#[derive(Clone, Debug)]
pub struct DidDocument {
    /// Whose document it says that it is.
    pub id: Did,
    /// All keys, those embedded in a relationship included.
    pub methods: Vec<VerificationMethod>,
    /// The services.
    pub services: Vec<Service>,
    authentication: Vec<DidUrl>,
    assertion: Vec<DidUrl>,
    invocation: Vec<DidUrl>,
    /// Whether the document has no verification relationship at all.
    silent: bool,
}

impl DidDocument {
    /// Reads a document.
    ///
    /// # Errors
    /// `bad_did_document` when a member has the wrong form, two methods share an id, or there are too many entries.
    pub fn parse(document: &Value) -> Result<Self, DidError> {
        let bad = |what: &str| DidError::new("bad_did_document", format!("the DID document {what}"));
        let id: Did = document.get("id").and_then(Value::as_str).ok_or_else(|| bad("has no `id`"))?.parse()?;
        let mut methods: Vec<VerificationMethod> = Vec::new();
        let mut add = |entry: &Value| -> Result<DidUrl, DidError> {
            let method = read_method(&id, entry)?;
            if methods.len() >= MAX_ENTRIES {
                return Err(bad("has too many verification methods"));
            }
            if methods.iter().any(|known| known.id == method.id) {
                return Err(bad(&format!("has two verification methods `{}`", method.id)));
            }
            let method_id = method.id.clone();
            methods.push(method);
            Ok(method_id)
        };
        for entry in entries(document, "verificationMethod")? {
            add(entry)?;
        }
        let mut relationship = |relationship: Relationship| -> Result<Vec<DidUrl>, DidError> {
            entries(document, relationship.name())?
                .iter()
                .map(|entry| match entry {
                    Value::String(reference) => DidUrl::resolve(&id, reference),
                    embedded => add(embedded),
                })
                .collect()
        };
        let authentication = relationship(Relationship::Authentication)?;
        let assertion = relationship(Relationship::AssertionMethod)?;
        let invocation = relationship(Relationship::CapabilityInvocation)?;
        let silent = RELATIONSHIPS.iter().all(|name| document.get(name).is_none_or(Value::is_null));
        let services = entries(document, "service")?.iter().filter_map(read_service).collect();
        Ok(Self { id, methods, services, authentication, assertion, invocation, silent })
    }

    /// The verification method with this id.
    pub fn method(&self, id: &DidUrl) -> Option<&VerificationMethod> {
        self.methods.iter().find(|method| method.id == *id)
    }

    /// Whether the document lets this method be used so: it lists the method for that use, or it has no verification
    /// relationship at all and so tells no use of any of its keys. DCP 1.0.1 wants a listed key; documents that were made for
    /// earlier versions, those of the conformance kit among them, list none. One list, be it empty, ends the leniency.
    pub fn allows(&self, relationship: Relationship, id: &DidUrl) -> bool {
        let list = match relationship {
            Relationship::Authentication => &self.authentication,
            Relationship::AssertionMethod => &self.assertion,
            Relationship::CapabilityInvocation => &self.invocation,
        };
        list.contains(id) || (self.silent && self.method(id).is_some())
    }

    /// The endpoint of the first service of this type.
    pub fn endpoint(&self, service_type: &str) -> Option<&str> {
        let service = self.services.iter().find(|service| service.types.iter().any(|name| name == service_type))?;
        Some(&service.endpoint)
    }
}

fn entries<'a>(document: &'a Value, name: &str) -> Result<&'a [Value], DidError> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(entries)) if entries.len() <= MAX_ENTRIES => Ok(entries),
        // A context may compact a list of one.
        Some(single @ (Value::Object(_) | Value::String(_))) => Ok(std::slice::from_ref(single)),
        Some(_) => Err(DidError::new(
            "bad_did_document",
            format!("the DID document has a `{name}` that is not a list of at most {MAX_ENTRIES} entries"),
        )),
    }
}

fn read_method(document: &Did, entry: &Value) -> Result<VerificationMethod, DidError> {
    let bad = |what: &str| DidError::new("bad_did_document", format!("a verification method {what}"));
    let id = entry.get("id").and_then(Value::as_str).ok_or_else(|| bad("has no `id`"))?;
    let id = DidUrl::resolve(document, id)?;
    let controller = match entry.get("controller").and_then(Value::as_str) {
        Some(controller) => controller.parse()?,
        None => document.clone(),
    };
    // Some write the other form as null.
    let form = |name| entry.get(name).filter(|value| !value.is_null());
    let key = match (form("publicKeyJwk"), form("publicKeyMultibase")) {
        (Some(jwk), None) => read_key(&id, jwk),
        (None, Some(Value::String(encoded))) => {
            key_methods::jwk_of_multibase(encoded).and_then(|jwk| read_key(&id, &jwk))
        }
        // Two keys under one name could be two different ones.
        _ => Err(bad(&format!("`{id}` has not exactly one key, as `publicKeyJwk` or `publicKeyMultibase`"))),
    };
    Ok(VerificationMethod { id, controller, key })
}

fn read_key(id: &DidUrl, jwk: &Value) -> Result<PublicKey, DidError> {
    PublicKey::from_jwk(jwk)
        .map_err(|error| DidError::new("bad_did_document", format!("in the verification method `{id}` {error}")))
}

/// Entries that cannot be used here are passed over: endpoints may also be maps and lists.
fn read_service(entry: &Value) -> Option<Service> {
    let types = match entry.get("type")? {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => return None,
    };
    let endpoint = match entry.get("serviceEndpoint")? {
        Value::String(url) => url.clone(),
        Value::Array(many) => many.first()?.as_str()?.to_owned(),
        _ => return None,
    };
    let id = entry.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Service { id, types, endpoint })
}

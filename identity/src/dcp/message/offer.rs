//! What an issuer can issue, and its offers (DCP 1.0.1, 6.6).

use serde_json::{Map, Value, json};

use super::{DcpError, Reader, open, start};

/// `CredentialObject`: a credential that an issuer can make. In an offer everything but the id may be left to the issuer's
/// metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CredentialObject {
    /// Its id with this issuer.
    pub id: String,
    /// The credential type.
    pub credential_type: Option<String>,
    /// DID methods or the like that it can be bound to.
    pub binding_methods: Vec<String>,
    /// The schema that the credential keeps, a URL.
    pub credential_schema: Option<String>,
    /// The profile: `vc11-sl2021/jwt`, `vc20-bssl/jwt`.
    pub profile: Option<String>,
    /// What the holder has to present first: a presentation definition.
    pub issuance_policy: Option<Value>,
    /// Why it is offered: `reissue`, `proof-key-revocation` and so on.
    pub offer_reason: Option<String>,
}

impl CredentialObject {
    pub(super) fn read<'a>(message: &Reader<'a>, entry: &'a Value, member: &str) -> Result<Self, DcpError> {
        // An offer may name no more than the id.
        if let Value::String(id) = entry
            && !id.is_empty()
            && id.len() <= super::MAX_TEXT
        {
            return Ok(Self { id: id.clone(), ..Self::default() });
        }
        let reader = message.part(entry, member)?;
        let text = |name: &str| -> Result<Option<String>, DcpError> { Ok(reader.text(name)?.map(str::to_owned)) };
        let id = match text("id")? {
            Some(id) => id,
            None => text("@id")?.ok_or_else(|| reader.bad("id", "is missing"))?,
        };
        Ok(Self {
            id,
            credential_type: text("credentialType")?,
            binding_methods: reader.texts("bindingMethods")?.unwrap_or_default(),
            credential_schema: text("credentialSchema")?,
            profile: text("profile")?,
            issuance_policy: reader.get("issuancePolicy").cloned(),
            offer_reason: text("offerReason")?,
        })
    }

    /// The object, as it stands inside a message.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut member = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                object.insert(name.to_owned(), value);
            }
        };
        let text = |value: &Option<String>| value.as_ref().map(|text| json!(text));
        member("id", Some(json!(self.id)));
        member("type", Some(json!("CredentialObject")));
        member("credentialType", text(&self.credential_type));
        member("credentialSchema", text(&self.credential_schema));
        member("offerReason", text(&self.offer_reason));
        member("bindingMethods", (!self.binding_methods.is_empty()).then(|| json!(self.binding_methods)));
        member("profile", text(&self.profile));
        member("issuancePolicy", self.issuance_policy.clone());
        Value::Object(object)
    }

    /// What is missing here is taken from the issuer's own description of the same credential.
    #[must_use]
    pub fn completed_by(self, metadata: &Self) -> Self {
        let binding_methods =
            if self.binding_methods.is_empty() { metadata.binding_methods.clone() } else { self.binding_methods };
        Self {
            id: self.id,
            credential_type: self.credential_type.or_else(|| metadata.credential_type.clone()),
            binding_methods,
            credential_schema: self.credential_schema.or_else(|| metadata.credential_schema.clone()),
            profile: self.profile.or_else(|| metadata.profile.clone()),
            issuance_policy: self.issuance_policy.or_else(|| metadata.issuance_policy.clone()),
            offer_reason: self.offer_reason.or_else(|| metadata.offer_reason.clone()),
        }
    }
}

/// `CredentialOfferMessage`.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialOfferMessage {
    /// The issuer's DID.
    pub issuer: String,
    /// What is offered, at least one.
    pub credentials: Vec<CredentialObject>,
}

impl CredentialOfferMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// `malformed_message`.
    pub fn parse(message: &Value) -> Result<Self, DcpError> {
        let reader = open(message, "CredentialOfferMessage")?;
        let issuer = reader.needed_text("issuer")?.to_owned();
        let entries = reader.list("credentials")?.unwrap_or_default();
        if entries.is_empty() {
            return Err(reader.bad("credentials", "is missing or empty"));
        }
        let credentials = entries.iter().map(|entry| CredentialObject::read(&reader, entry, "credentials"));
        Ok(Self { issuer, credentials: credentials.collect::<Result<_, _>>()? })
    }

    /// The message.
    pub fn to_json(&self) -> Value {
        let mut message = start("CredentialOfferMessage");
        message.insert("issuer".to_owned(), json!(self.issuer));
        message.insert("credentials".to_owned(), self.credentials.iter().map(CredentialObject::to_json).collect());
        Value::Object(message)
    }
}

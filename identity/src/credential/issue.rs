//! Making credentials, of both JWT profiles (DCP 1.0.1, profiles `vc11-sl2021/jwt` and `vc20-bssl/jwt`).

use serde_json::{Map, Value, json};

use super::validity::instant;
use super::{CredentialError, Format, parse};
use crate::did::Did;
use crate::keys::Signer;

/// What a credential shall say.
#[derive(Clone, Copy, Debug)]
pub struct NewCredential<'a> {
    /// One of the two JWT forms.
    pub format: Format,
    /// Its id, a URL such as `urn:uuid:…`.
    pub id: &'a str,
    /// Who says it: the party of the signing key.
    pub issuer: &'a Did,
    /// Of whom it is said.
    pub subject: &'a Did,
    /// The types besides `VerifiableCredential`.
    pub types: &'a [String],
    /// Contexts besides that of the data model.
    pub contexts: &'a [String],
    /// What is said of the subject; a member `id` is not taken over.
    pub claims: &'a Map<String, Value>,
    /// Valid from, seconds since the epoch.
    pub valid_from: i64,
    /// Valid until, seconds since the epoch.
    pub valid_until: Option<i64>,
    /// The status entry, see [`StatusEntry::to_value`](crate::status::StatusEntry::to_value).
    pub status: Option<&'a Value>,
    /// The schema: an object with `id` and `type`.
    pub schema: Option<&'a Value>,
}

/// Makes and signs a credential.
///
/// # Errors
/// `unsupported_format` for [`Format::DataIntegrity`], `cannot_sign` when the key does not sign.
pub async fn issue(credential: &NewCredential<'_>, signer: &dyn Signer) -> Result<String, CredentialError> {
    let mut subject = Map::new();
    subject.insert("id".to_owned(), json!(credential.subject.as_str()));
    subject.extend(credential.claims.iter().filter(|(name, _)| *name != "id").map(|(n, v)| (n.clone(), v.clone())));
    sign(credential, Value::Object(subject), signer).await
}

/// As [`issue`], with the whole subject, whose id need not be a DID.
pub(crate) async fn sign(
    credential: &NewCredential<'_>,
    subject: Value,
    signer: &dyn Signer,
) -> Result<String, CredentialError> {
    let first = match credential.format {
        Format::Vc11Jwt => parse::CONTEXT_V1,
        Format::Vc20Jwt => parse::CONTEXT_V2,
        Format::DataIntegrity => return Err(unsupported()),
    };
    let mut document = Map::new();
    let mut add = |name: &str, value: Value| document.insert(name.to_owned(), value);
    let contexts: Vec<&str> = std::iter::once(first).chain(credential.contexts.iter().map(String::as_str)).collect();
    let types: Vec<&str> =
        std::iter::once("VerifiableCredential").chain(credential.types.iter().map(String::as_str)).collect();
    add("@context", json!(contexts));
    add("id", json!(credential.id));
    add("type", json!(types));
    add("issuer", json!(credential.issuer.as_str()));
    let (from, until) = match credential.format {
        Format::Vc20Jwt => ("validFrom", "validUntil"),
        _ => ("issuanceDate", "expirationDate"),
    };
    add(from, json!(instant(credential.valid_from)));
    if let Some(end) = credential.valid_until {
        add(until, json!(instant(end)));
    }
    let subject_id = subject.get("id").cloned();
    add("credentialSubject", subject);
    if let Some(status) = credential.status {
        add("credentialStatus", status.clone());
    }
    if let Some(schema) = credential.schema {
        add("credentialSchema", schema.clone());
    }
    let document = Value::Object(document);
    let (header, payload) = match credential.format {
        Format::Vc20Jwt => (json!({"typ": "vc+jwt", "cty": "vc"}), document),
        _ => {
            let mut claims = json!({
                "iss": credential.issuer.as_str(), "jti": credential.id, "nbf": credential.valid_from,
                "iat": credential.valid_from, "vc": document,
            });
            if let Value::Object(claims) = &mut claims {
                claims.extend(subject_id.map(|id| ("sub".to_owned(), id)));
                claims.extend(credential.valid_until.map(|end| ("exp".to_owned(), json!(end))));
            }
            (json!({"typ": "JWT"}), claims)
        }
    };
    signed(signer, &header, &payload).await
}

/// Signs; the signer adds the id of its key to the header.
pub(crate) async fn signed(signer: &dyn Signer, header: &Value, payload: &Value) -> Result<String, CredentialError> {
    signer.sign_compact(header, payload).await.map_err(|error| CredentialError::ours(error.code(), error.to_string()))
}

/// For what can be verified but not made.
pub(crate) fn unsupported() -> CredentialError {
    CredentialError::ours("unsupported_format", "JSON-LD proofs are verified here, not made")
}

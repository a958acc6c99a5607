//! Publishing a list of our own.

use serde_json::json;
use url::Url;

use super::{StatusBits, StatusKind};
use crate::credential::{CredentialError, Format, NewCredential, issue};
use crate::did::Did;
use crate::keys::Signer;

/// Context of StatusList2021.
const CONTEXT_2021: &str = "https://w3id.org/vc/status-list/2021/v1";

/// A list that shall be published.
#[derive(Clone, Copy, Debug)]
pub struct NewStatusList<'a> {
    /// The standard, and with it the data model: 2.0 for Bitstring Status List, 1.1 for StatusList2021.
    pub kind: StatusKind,
    /// Who issues it: the party of the signing key.
    pub issuer: &'a Did,
    /// Where it is published, as `statusListCredential` of the entries says.
    pub url: &'a Url,
    /// `revocation` or `suspension`.
    pub purpose: &'a str,
    /// The bits.
    pub bits: &'a StatusBits,
    /// Valid from, seconds since the epoch.
    pub valid_from: i64,
    /// Valid until, seconds since the epoch: verifiers read it again by then.
    pub valid_until: i64,
}

/// Makes and signs the credential that holds a list, as JWT.
///
/// # Errors
/// `cannot_sign` when the key does not sign, `bad_status_list` when the list cannot be packed.
pub async fn publish(list: &NewStatusList<'_>, signer: &dyn Signer) -> Result<String, CredentialError> {
    let subject = json!({
        "id": format!("{}#list", list.url),
        "type": list.kind.subject_type(),
        "statusPurpose": list.purpose,
        "encodedList": list.bits.encode(list.kind)?,
    });
    let (format, contexts) = match list.kind {
        StatusKind::Bitstring => (Format::Vc20Jwt, Vec::new()),
        StatusKind::StatusList2021 => (Format::Vc11Jwt, vec![CONTEXT_2021.to_owned()]),
    };
    let credential = NewCredential {
        format,
        id: list.url.as_str(),
        issuer: list.issuer,
        // Replaced by the subject above, which is the list.
        subject: list.issuer,
        types: &[list.kind.credential_type().to_owned()],
        contexts: &contexts,
        claims: &serde_json::Map::new(),
        valid_from: list.valid_from,
        valid_until: Some(list.valid_until),
        status: None,
        schema: None,
    };
    issue::sign(&credential, subject, signer).await
}

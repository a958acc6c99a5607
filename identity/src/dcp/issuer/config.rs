//! What an issuer is configured with: which credentials, for whom, with which claims.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::credential::Format;
use crate::did::Did;

/// A profile of the protocol that credentials are issued in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// VC 1.1 with StatusList2021.
    #[default]
    #[serde(rename = "vc11-sl2021/jwt")]
    Vc11,
    /// VC 2.0 with Bitstring Status List.
    #[serde(rename = "vc20-bssl/jwt")]
    Vc20,
}

impl Profile {
    /// Its alias.
    pub fn alias(self) -> &'static str {
        match self {
            Self::Vc11 => "vc11-sl2021/jwt",
            Self::Vc20 => "vc20-bssl/jwt",
        }
    }

    /// The form of its credentials.
    pub fn format(self) -> Format {
        match self {
            Self::Vc11 => Format::Vc11Jwt,
            Self::Vc20 => Format::Vc20Jwt,
        }
    }

    /// The name of that form in a CredentialMessage. DCP leaves the names open; every holder in the field takes these, only
    /// newer ones take the alias.
    pub fn format_name(self) -> &'static str {
        match self {
            Self::Vc11 => "VC1_0_JWT",
            Self::Vc20 => "VC2_0_JOSE",
        }
    }
}

/// Who decides about a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It is granted at once.
    Automatic,
    /// An operator.
    #[default]
    Manual,
}

/// A partner that may have a credential.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerRule {
    /// Its DID, or `*` for everybody who has no rule of its own.
    pub holder: String,
    /// Who decides.
    #[serde(default)]
    pub decision: Decision,
    /// What is said of it; goes before the claims of the credential type.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

/// A credential type that can be issued.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuableCredential {
    /// Its id in the metadata.
    pub id: String,
    /// The credential type.
    #[serde(rename = "type")]
    pub credential_type: String,
    /// The profile.
    #[serde(default)]
    pub profile: Profile,
    /// How long a credential is valid, in seconds.
    pub validity_s: i64,
    /// JSON-LD contexts besides that of the data model.
    #[serde(default)]
    pub contexts: Vec<String>,
    /// The `credentialSchema`: an object with `id` and `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// What is said of every holder.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// Who may have one.
    #[serde(default)]
    pub partners: Vec<PartnerRule>,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the credentials to be issued: {0}")]
pub struct IssuerConfigError(pub(super) String);

impl IssuableCredential {
    /// The rule for a holder: its own one before the one for everybody.
    pub(super) fn rule(&self, holder: &Did) -> Option<&PartnerRule> {
        let of = |name: &str| self.partners.iter().find(|rule| rule.holder == name);
        of(holder.as_str()).or_else(|| of("*"))
    }
}

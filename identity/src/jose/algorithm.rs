//! The algorithms that are allowed: asymmetric ones only, no `none`, no HMAC (RFC 7518, 3.1; RFC 8037).

use std::fmt;
use std::str::FromStr;

use super::JoseError;

/// A JWS algorithm of the allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256: what we make by default.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256: verified only.
    Rs256,
    /// RSASSA-PSS with SHA-256: verified only.
    Ps256,
}

impl Algorithm {
    /// The `alg` header parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = JoseError;

    fn from_str(name: &str) -> Result<Self, JoseError> {
        // `Ed25519` is the fully specified name of the same (RFC 9864).
        Ok(match name {
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            "RS256" => Self::Rs256,
            "PS256" => Self::Ps256,
            other => {
                let shown: String = other.chars().take(20).filter(char::is_ascii_graphic).collect();
                let text =
                    format!("the algorithm `{shown}` is not allowed; allowed are ES256, ES384, EdDSA, RS256, PS256");
                return Err(JoseError::new("unsupported_algorithm", text));
            }
        })
    }
}

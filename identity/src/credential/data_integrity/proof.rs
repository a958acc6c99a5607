//! The proof: what it says about itself, and where its signature is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::CredentialError;
use crate::did::DidUrl;
use crate::jose::{Algorithm, PublicKey};

/// How far `created` may be ahead of us, in seconds.
const LEEWAY_S: i64 = 60;
/// Longest signature and longest detached JWS, in characters; base58 takes time by the square of it.
const MAX_SIGNATURE: usize = 2048;
/// What a proof may say. A member that we do not know could mean that the signature is not what it seems.
const KNOWN: [&str; 13] = [
    "@context",
    "id",
    "type",
    "cryptosuite",
    "created",
    "expires",
    "verificationMethod",
    "proofPurpose",
    "proofValue",
    "jws",
    "domain",
    "challenge",
    "nonce",
];

/// How the signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suite {
    /// `DataIntegrityProof` with `eddsa-rdfc-2022` (vc-di-eddsa, 3.2).
    EdDsaRdfc2022,
    /// `DataIntegrityProof` with `ecdsa-rdfc-2019` (vc-di-ecdsa, 3.2).
    EcdsaRdfc2019,
    /// `Ed25519Signature2020` (vc-di-eddsa, A).
    Ed25519Signature2020,
    /// `JsonWebSignature2020` (lds-jws2020): a detached JWS (RFC 7797).
    JsonWebSignature2020,
}

/// A proof that was read.
#[derive(Debug)]
pub(super) struct Proof<'a> {
    pub(super) members: &'a Map<String, Value>,
    pub(super) suite: Suite,
    pub(super) method: DidUrl,
    pub(super) purpose: String,
    pub(super) signature: Vec<u8>,
    /// The protected header of a detached JWS, as it was signed, and its algorithm.
    pub(super) jws: Option<(&'a str, Algorithm)>,
}

impl<'a> Proof<'a> {
    /// Reads a proof.
    ///
    /// # Errors
    /// `bad_proof`, `unsupported_proof`, `malformed_did`, `unsupported_algorithm`.
    pub(super) fn read(members: &'a Map<String, Value>) -> Result<Self, CredentialError> {
        if let Some(name) = members.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(bad(&format!("has a member `{}` that is not known here", crate::printable(name))));
        }
        let suite = suite(members)?;
        let method = text(members, "verificationMethod")?;
        let method = DidUrl::parse(method).map_err(super::unresolved)?;
        let purpose = text(members, "proofPurpose")?.to_owned();
        let (signature, jws) = match suite {
            Suite::JsonWebSignature2020 => {
                let (header, algorithm, signature) = detached(text(members, "jws")?)?;
                (signature, Some((header, algorithm)))
            }
            _ => (base58(text(members, "proofValue")?)?, None),
        };
        let other = if jws.is_some() { "proofValue" } else { "jws" };
        if members.contains_key(other) {
            return Err(bad("has two signatures"));
        }
        Ok(Self { members, suite, method, purpose, signature, jws })
    }

    /// The proof's members that are signed, in the context of the document (and then of its own).
    pub(super) fn options(&self, context: Value) -> Map<String, Value> {
        let list = |value: Value| match value {
            Value::Array(names) => names,
            Value::Null => Vec::new(),
            name => vec![name],
        };
        let mut names = list(context);
        names.extend(self.members.get("@context").cloned().map(list).unwrap_or_default());
        let mut options = self.members.clone();
        for name in ["proofValue", "jws", "@context"] {
            options.remove(name);
        }
        options.insert("@context".to_owned(), Value::Array(names));
        options
    }

    /// # Errors
    /// `not_yet_valid`, `expired`, `bad_proof` when a time is not one.
    pub(super) fn check_time(&self, now: i64) -> Result<(), CredentialError> {
        let time = |name: &str| -> Result<Option<i64>, CredentialError> {
            let Some(value) = self.members.get(name) else { return Ok(None) };
            let parsed = value.as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
            parsed
                .map(|time| Some(time.unix_timestamp()))
                .ok_or_else(|| bad(&format!("has a `{name}` that is no time")))
        };
        if time("created")?.is_some_and(|created| created > now.saturating_add(LEEWAY_S)) {
            return Err(CredentialError::refused("not_yet_valid", "the proof was made in the future"));
        }
        if time("expires")?.is_some_and(|expires| expires <= now) {
            return Err(CredentialError::refused("expired", "the proof has expired"));
        }
        Ok(())
    }

    /// The algorithm of the signature: that of the suite, where the key is one for it.
    ///
    /// # Errors
    /// `unsupported_algorithm`.
    pub(super) fn algorithm(&self, key: &PublicKey) -> Result<Algorithm, CredentialError> {
        let fits = |algorithm: &Algorithm| match self.suite {
            Suite::EdDsaRdfc2022 | Suite::Ed25519Signature2020 => *algorithm == Algorithm::EdDsa,
            Suite::EcdsaRdfc2019 => matches!(algorithm, Algorithm::Es256 | Algorithm::Es384),
            Suite::JsonWebSignature2020 => self.jws.is_some_and(|(_, named)| named == *algorithm),
        };
        key.algorithms().find(fits).ok_or_else(|| {
            let text = format!("the key `{}` is not one for the proof", self.method);
            CredentialError::refused("unsupported_algorithm", text)
        })
    }

    /// What the signature is over.
    pub(super) fn signed(&self, hash: &[u8]) -> Vec<u8> {
        match self.jws {
            Some((header, _)) => [header.as_bytes(), b".", hash].concat(),
            None => hash.to_vec(),
        }
    }
}

fn suite(members: &Map<String, Value>) -> Result<Suite, CredentialError> {
    let name = text(members, "type")?;
    let cryptosuite = members.get("cryptosuite").map(|_| text(members, "cryptosuite")).transpose()?;
    Ok(match (name, cryptosuite) {
        ("DataIntegrityProof", Some("eddsa-rdfc-2022")) => Suite::EdDsaRdfc2022,
        ("DataIntegrityProof", Some("ecdsa-rdfc-2019")) => Suite::EcdsaRdfc2019,
        ("Ed25519Signature2020", None) => Suite::Ed25519Signature2020,
        ("JsonWebSignature2020", None) => Suite::JsonWebSignature2020,
        _ => {
            let shown = crate::printable(cryptosuite.unwrap_or(name));
            return Err(CredentialError::refused(
                "unsupported_proof",
                format!("proofs by `{shown}` are not supported"),
            ));
        }
    })
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a str, CredentialError> {
    members.get(name).and_then(Value::as_str).ok_or_else(|| bad(&format!("has no text `{name}`")))
}

fn base58(encoded: &str) -> Result<Vec<u8>, CredentialError> {
    let decoded = (encoded.len() <= MAX_SIGNATURE).then(|| multibase::decode(encoded).ok()).flatten();
    match decoded {
        Some((multibase::Base::Base58Btc, bytes)) => Ok(bytes),
        _ => Err(bad("has a `proofValue` that is not in base58")),
    }
}

/// Header, algorithm and signature of `HEADER..SIGNATURE`. The header must say that the content is not encoded, and no other
/// extension (RFC 7797, 3 and 6).
fn detached(jws: &str) -> Result<(&str, Algorithm, Vec<u8>), CredentialError> {
    let malformed = || bad("has a `jws` that is not detached and unencoded");
    let (header, signature) = jws.split_once("..").filter(|_| jws.len() <= MAX_SIGNATURE).ok_or_else(malformed)?;
    let members = URL_SAFE_NO_PAD.decode(header).map_err(|_error| malformed())?;
    let members: Map<String, Value> = serde_json::from_slice(&members).map_err(|_error| malformed())?;
    let unencoded = members.get("b64") == Some(&Value::Bool(false))
        && members
            .get("crit")
            .and_then(Value::as_array)
            .is_some_and(|names| names.len() == 1 && names.contains(&"b64".into()));
    if !unencoded {
        return Err(malformed());
    }
    let algorithm = members.get("alg").and_then(Value::as_str).ok_or_else(malformed)?;
    let algorithm = algorithm.parse().map_err(super::unsigned)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_error| malformed())?;
    Ok((header, algorithm, signature))
}

fn bad(what: &str) -> CredentialError {
    CredentialError::refused("bad_proof", format!("the proof {what}"))
}

//! Plans as compact JWS (RFC 7515), signed with Ed25519 (RFC 8037).

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{EnforcementPlan, PseudonymKey};

/// The `typ` of a plan's header; a JWS made for anything else is refused.
pub const PLAN_TYPE: &str = "hansa-plan+jwt";
/// The longest compact JWS that is looked at, in bytes.
pub const MAX_PLAN_BYTES: usize = 256 * 1024;

const ED25519_KEY_BYTES: usize = 32;

/// Why a plan, or a key for plans, is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The key cannot be read or made.
    #[error("the plan key is not usable: {0}")]
    Key(String),
    /// Not a compact JWS with the header of a plan.
    #[error("the plan's envelope is not acceptable: {0}")]
    Envelope(String),
    /// Signed with a key that is not known here.
    #[error("the plan is signed with a key that is not known here")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the plan's signature does not fit")]
    Signature,
    /// The signature fits, but the content is not a plan that this version understands.
    #[error("the plan's content is not understood: {0}")]
    Content(String),
}

impl PlanError {
    /// Stable code in snake case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Key(_) => "plan_key",
            Self::Envelope(_) => "plan_envelope",
            Self::UnknownKey => "plan_unknown_key",
            Self::Signature => "plan_signature",
            Self::Content(_) => "plan_content",
        }
    }
}

/// The control plane's Ed25519 key for plans.
pub struct PlanSigner {
    pkcs8: Vec<u8>,
    public: String,
    kid: String,
}

impl std::fmt::Debug for PlanSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanSigner").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl PlanSigner {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// [`PlanError::Key`] when the operating system gives no randomness.
    pub fn generate() -> Result<Self, PlanError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| PlanError::Key("no key could be generated".to_owned()))?;
        Self::from_pkcs8(document.as_ref())
    }

    /// Reads a key that [`to_pkcs8`](Self::to_pkcs8) gave.
    ///
    /// # Errors
    ///
    /// [`PlanError::Key`] when the bytes are not an Ed25519 private key in PKCS#8 (RFC 8410).
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, PlanError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8)
            .map_err(|_| PlanError::Key("not an Ed25519 private key in PKCS#8".to_owned()))?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let kid = thumbprint(&public);
        Ok(Self { pkcs8: pkcs8.to_vec(), public, kid })
    }

    /// The private key in PKCS#8, for keeping. Secret.
    #[must_use]
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The key's id: its RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key of an agreement's pseudonyms: the same as long as the signer is the same, and of use for no other agreement.
    #[must_use]
    pub fn pseudonym_key(&self, agreement_id: &str) -> PseudonymKey {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &self.pkcs8);
        let mut context = hmac::Context::with_key(&secret);
        context.update(b"hansa pseudonyms of the agreement\0");
        context.update(agreement_id.as_bytes());
        let mut bytes = [0_u8; 32];
        for (place, byte) in bytes.iter_mut().zip(context.sign().as_ref()) {
            *place = *byte;
        }
        PseudonymKey::new(bytes)
    }

    /// The public key as a JWK set (RFC 7517), for [`PlanVerifier::from_jwks`].
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "x": self.public, "kid": self.kid, "use": "sig", "alg": "EdDSA",
        }]})
    }
}

/// The keys that a data plane accepts plans from.
#[derive(Clone, Debug)]
pub struct PlanVerifier {
    keys: Vec<(String, DecodingKey)>,
}

impl PlanVerifier {
    /// Takes the Ed25519 keys of a JWK set (RFC 7517, RFC 8037); keys of other kinds are passed over.
    ///
    /// A key is known by its RFC 7638 thumbprint, whatever `kid` the set gives it.
    ///
    /// # Errors
    ///
    /// [`PlanError::Key`] when the set holds no Ed25519 key, or one that cannot be read.
    pub fn from_jwks(jwks: &Value) -> Result<Self, PlanError> {
        let keys = jwks
            .get("keys")
            .and_then(Value::as_array)
            .ok_or_else(|| PlanError::Key("a JWK set has the member `keys` with a list".to_owned()))?
            .iter()
            .filter(|key| text(key, "kty") == Some("OKP") && text(key, "crv") == Some("Ed25519"))
            .map(public_key)
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(PlanError::Key("the JWK set holds no Ed25519 key".to_owned()));
        }
        Ok(Self { keys })
    }
}

fn text<'a>(object: &'a Value, member: &str) -> Option<&'a str> {
    object.get(member).and_then(Value::as_str)
}

fn public_key(jwk: &Value) -> Result<(String, DecodingKey), PlanError> {
    let x = text(jwk, "x").ok_or_else(|| PlanError::Key("an Ed25519 key has the member `x`".to_owned()))?;
    let bytes = URL_SAFE_NO_PAD.decode(x).map_err(|_| PlanError::Key("`x` is not base64url".to_owned()))?;
    if bytes.len() != ED25519_KEY_BYTES {
        return Err(PlanError::Key("`x` is not 32 bytes long".to_owned()));
    }
    Ok((thumbprint(x), DecodingKey::from_ed_der(&bytes)))
}

/// RFC 7638: SHA-256 over the required members in lexical order.
fn thumbprint(x: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

/// Signs a plan: compact JWS, `alg` EdDSA, `typ` [`PLAN_TYPE`], `kid` the key's thumbprint.
///
/// # Errors
///
/// [`PlanError::Content`] when the plan is longer than [`MAX_PLAN_BYTES`], [`PlanError::Key`] when the key fails.
pub fn sign(plan: &EnforcementPlan, signer: &PlanSigner) -> Result<String, PlanError> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(PLAN_TYPE.to_owned());
    header.kid = Some(signer.kid.clone());
    let jws = jsonwebtoken::encode(&header, plan, &EncodingKey::from_ed_der(&signer.pkcs8))
        .map_err(|error| PlanError::Key(error.to_string()))?;
    if jws.len() > MAX_PLAN_BYTES {
        return Err(PlanError::Content("the plan is too long".to_owned()));
    }
    Ok(jws)
}

/// Checks the envelope and the signature, then reads the plan.
///
/// The caller still has to compare `process_id` with the flow that the plan came for.
///
/// # Errors
///
/// A [`PlanError`] that says which step failed; nothing of the content is read before the signature fits.
pub fn verify(jws: &str, verifier: &PlanVerifier) -> Result<EnforcementPlan, PlanError> {
    let envelope = |what: &str| PlanError::Envelope(what.to_owned());
    if jws.len() > MAX_PLAN_BYTES {
        return Err(envelope("it is too long"));
    }
    let header =
        jsonwebtoken::decode_header(jws).map_err(|_| envelope("it is not a compact JWS with a known `alg`"))?;
    if header.alg != Algorithm::EdDSA {
        return Err(envelope("`alg` is not EdDSA"));
    }
    if header.typ.as_deref() != Some(PLAN_TYPE) {
        return Err(envelope("`typ` is not that of a plan"));
    }
    if header.crit.is_some()
        || header.enc.is_some()
        || header.zip.is_some()
        || header.extras.inner().contains_key("b64")
    {
        return Err(envelope("the header asks for an extension"));
    }
    let kid = header.kid.as_deref().ok_or_else(|| envelope("`kid` is missing"))?;
    let (_, key) = verifier.keys.iter().find(|(known, _)| known == kid).ok_or(PlanError::UnknownKey)?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<EnforcementPlan>(jws, key, &validation).map(|data| data.claims).map_err(|error| match error
        .kind()
    {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => PlanError::Signature,
        _ => PlanError::Content(error.to_string()),
    })
}

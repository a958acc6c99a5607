//! Checking tokens.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{ClientToken, MAX_TOKEN_BYTES, ReplayMemory, SelfIssued, TokenUse};
use crate::did::{Did, DidResolver, DidUrl, Relationship};
use crate::jose::{JoseError, Jws};
use crate::{Clock, IdentityError, printable};

/// How far clocks may be apart, in seconds, when nothing else is set.
pub const DEFAULT_LEEWAY_S: i64 = 30;
/// How long a token may be valid, in seconds, when nothing else is set. It bounds what has to be remembered.
pub const DEFAULT_MAX_LIFETIME_S: i64 = 3600;

/// Longest `jti`, in bytes.
const MAX_JTI: usize = 512;
/// The most audiences of a token.
const MAX_AUDIENCES: usize = 16;

/// Checks self-issued ID tokens by every rule of DCP 1.0.1, 4.3.3, and remembers which were used.
pub struct TokenValidator {
    resolver: Arc<DidResolver>,
    clock: Arc<dyn Clock>,
    replay: Arc<ReplayMemory>,
    leeway_s: i64,
    max_lifetime_s: i64,
}

impl TokenValidator {
    /// With the leeway and the longest lifetime that are the default.
    pub fn new(resolver: Arc<DidResolver>, clock: Arc<dyn Clock>, replay: Arc<ReplayMemory>) -> Self {
        Self { resolver, clock, replay, leeway_s: DEFAULT_LEEWAY_S, max_lifetime_s: DEFAULT_MAX_LIFETIME_S }
    }

    /// With another leeway and another longest lifetime, both in seconds.
    #[must_use]
    pub fn with_limits(mut self, leeway_s: i64, max_lifetime_s: i64) -> Self {
        self.leeway_s = leeway_s;
        self.max_lifetime_s = max_lifetime_s;
        self
    }

    /// Checks a token that was sent to `audience`, and notes its use.
    ///
    /// # Errors
    /// The rule that it does not keep: `malformed_token`, `unsupported_algorithm`, `missing_claim`, `issuer_not_subject`,
    /// `malformed_did`, `wrong_audience`, `token_expired`, `token_not_yet_valid`, `token_issued_in_future`,
    /// `token_too_long_lived`, `key_of_another`, `unknown_key`, `key_not_allowed`, `bad_signature`, `token_replayed`,
    /// `too_many_tokens`, and those of [`DidResolver`] (`ambiguous_key` when a token without `kid` could be by several keys).
    pub async fn validate(&self, token: &str, audience: &Did) -> Result<SelfIssued, IdentityError> {
        if token.len() > MAX_TOKEN_BYTES {
            let message = format!("the ID token is larger than {MAX_TOKEN_BYTES} bytes");
            return Err(IdentityError::caller("malformed_token", message));
        }
        let jws = Jws::parse(token).map_err(|error| of_token(&error))?;
        let claims = Claims(jws.payload());
        let did = claims.party(audience)?;
        let (issued, expires) = self.times(&claims)?;
        let jti = claims.jti()?;
        let access_token = claims.secret("token")?;
        let pre_authorized_code = claims.secret("pre-authorized_code")?;
        self.signature(&jws, &did, Relationship::CapabilityInvocation).await?;

        // Last, so that only who signed for an identity fills the memory.
        let token_use = self.used(&did, jti, expires);
        self.replay.remember(&token_use, self.clock.now())?;
        let mut extra = jws.into_payload();
        extra.retain(|name, _value| !KNOWN.contains(&name.as_str()));
        Ok(SelfIssued { did, issued, expires, token: access_token, pre_authorized_code, token_use, extra })
    }

    /// Checks the JWT by which a consumer proves at a refresh endpoint that it is `holder` (DPS profiles, Token renewal), and notes
    /// its use. It is a self-issued token for `audience` with the present access token in `token`; the profile asks for
    /// neither `jti` nor `iat`, and lets any key of the document sign that stands for its subject.
    ///
    /// # Errors
    /// Those of [`TokenValidator::validate`], and `wrong_holder` when it speaks for somebody else.
    pub async fn validate_client(
        &self,
        token: &str,
        audience: &Did,
        holder: &str,
    ) -> Result<ClientToken, IdentityError> {
        if token.len() > MAX_TOKEN_BYTES {
            let message = format!("the client's token is larger than {MAX_TOKEN_BYTES} bytes");
            return Err(IdentityError::caller("malformed_token", message));
        }
        let jws = Jws::parse(token).map_err(|error| of_token(&error))?;
        let claims = Claims(jws.payload());
        let did = claims.party(audience)?;
        if did.as_str() != holder {
            let message = format!("the client's token is of `{did}` and not of whom the refresh token was given to");
            return Err(IdentityError::caller("wrong_holder", message));
        }
        let expires = self.end(&claims)?;
        if let Some(issued) = claims.seconds("iat")? {
            self.begin(issued, expires)?;
        }
        let access_token = claims.secret("token")?.ok_or_else(|| missing("token"))?;
        // Without an id the token itself is what must not come twice.
        let jti = match claims.0.get("jti") {
            None | Some(Value::Null) => URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes())),
            Some(_) => claims.jti()?.to_owned(),
        };
        match self.signature(&jws, &did, Relationship::CapabilityInvocation).await {
            Err(error) if error.code() == "key_not_allowed" => {
                self.signature(&jws, &did, Relationship::Authentication).await?;
            }
            checked => checked?,
        }
        let latest = self.clock.now().saturating_add(self.leeway_s).saturating_add(self.max_lifetime_s);
        if expires > latest {
            let most = self.max_lifetime_s;
            let message = format!("the client's token is valid for longer than {most} s from now");
            return Err(IdentityError::caller("token_too_long_lived", message));
        }
        let token_use = self.used(&did, &jti, expires);
        self.replay.remember(&token_use, self.clock.now())?;
        Ok(ClientToken { access_token, token_use })
    }

    fn used(&self, did: &Did, jti: &str, expires: i64) -> TokenUse {
        TokenUse {
            issuer: did.as_str().to_owned(),
            jti: jti.to_owned(),
            expires: expires.saturating_add(self.leeway_s).saturating_add(1),
        }
    }

    /// Notes that this party has presented a credential that was accepted: others cannot crowd out its tokens any more.
    pub fn prove(&self, did: &Did) {
        self.replay.prove(did.as_str());
    }

    fn times(&self, claims: &Claims<'_>) -> Result<(i64, i64), IdentityError> {
        let expires = self.end(claims)?;
        let issued = claims.seconds("iat")?.ok_or_else(|| missing("iat"))?;
        self.begin(issued, expires)?;
        Ok((issued, expires))
    }

    fn end(&self, claims: &Claims<'_>) -> Result<i64, IdentityError> {
        let now = self.clock.now();
        let expires = claims.seconds("exp")?.ok_or_else(|| missing("exp"))?;
        if expires.saturating_add(self.leeway_s) <= now {
            let message = format!("the ID token expired {} s ago", now.saturating_sub(expires));
            return Err(IdentityError::caller("token_expired", message));
        }
        if let Some(from) = claims.seconds("nbf")?
            && from > now.saturating_add(self.leeway_s)
        {
            let message = format!("the ID token is not valid for another {} s", from.saturating_sub(now));
            return Err(IdentityError::caller("token_not_yet_valid", message));
        }
        Ok(expires)
    }

    fn begin(&self, issued: i64, expires: i64) -> Result<(), IdentityError> {
        let now = self.clock.now();
        if issued > now.saturating_add(self.leeway_s) {
            let message = format!("the ID token was issued {} s in the future", issued.saturating_sub(now));
            return Err(IdentityError::caller("token_issued_in_future", message));
        }
        if expires.saturating_sub(issued) > self.max_lifetime_s {
            let message = format!("the ID token is valid for longer than {} s", self.max_lifetime_s);
            return Err(IdentityError::caller("token_too_long_lived", message));
        }
        Ok(())
    }

    async fn signature(&self, jws: &Jws<'_>, did: &Did, use_of: Relationship) -> Result<(), IdentityError> {
        let key = match jws.header().get("kid") {
            Some(Value::String(kid)) => {
                let method = DidUrl::resolve(did, kid)?;
                if method.did() != did {
                    let message = format!("the ID token of `{did}` names a key of another DID");
                    return Err(IdentityError::caller("key_of_another", message));
                }
                self.resolver.key(&method, use_of).await?
            }
            Some(_) => {
                return Err(IdentityError::caller("malformed_token", "the `kid` of the ID token is not a string"));
            }
            None => self.resolver.sole_key(did, use_of).await?.1,
        };
        jws.verify(&key).map_err(|error| of_token(&error))
    }
}

/// The names that [`SelfIssued`] has members for.
const KNOWN: [&str; 9] = ["iss", "sub", "aud", "jti", "iat", "exp", "nbf", "token", "pre-authorized_code"];

struct Claims<'a>(&'a Map<String, Value>);

impl Claims<'_> {
    fn text(&self, name: &str) -> Result<&str, IdentityError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Err(missing(name)),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(wrong_form(name, "a string")),
        }
    }

    /// The DID that speaks, if it speaks to us.
    fn party(&self, audience: &Did) -> Result<Did, IdentityError> {
        let (issuer, subject) = (self.text("iss")?, self.text("sub")?);
        if issuer != subject {
            let message = format!(
                "the issuer `{}` of the ID token is not its subject `{}`",
                printable(issuer),
                printable(subject)
            );
            return Err(IdentityError::caller("issuer_not_subject", message));
        }
        let did = subject.parse()?;
        let is_ours = |value: &Value| value.as_str() == Some(audience.as_str());
        let meant = match self.0.get("aud") {
            None | Some(Value::Null) => return Err(missing("aud")),
            Some(Value::Array(many)) => many.len() <= MAX_AUDIENCES && many.iter().any(is_ours),
            Some(one) => is_ours(one),
        };
        if !meant {
            let message = format!("the ID token is for another audience than `{audience}`");
            return Err(IdentityError::caller("wrong_audience", message));
        }
        Ok(did)
    }

    fn jti(&self) -> Result<&str, IdentityError> {
        let jti = self.text("jti")?;
        if jti.is_empty() || jti.len() > MAX_JTI {
            return Err(wrong_form("jti", &format!("a string of 1 to {MAX_JTI} bytes")));
        }
        Ok(jti)
    }

    /// A NumericDate (RFC 7519, 2); fractions are cut off.
    fn seconds(&self, name: &str) -> Result<Option<i64>, IdentityError> {
        /// Far beyond all times that make sense, and exact as a float.
        const MOST: f64 = 253_402_300_800.0;
        let number = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number,
            Some(_) => return Err(wrong_form(name, "a number")),
        };
        let whole = number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|float| (0.0..MOST).contains(float))?;
            #[expect(clippy::cast_possible_truncation, reason = "in range, and the fraction shall go")]
            Some(float as i64)
        });
        match whole {
            Some(seconds) if seconds >= 0 => Ok(Some(seconds)),
            _ => Err(wrong_form(name, "a time in seconds since the epoch")),
        }
    }

    fn secret(&self, name: &str) -> Result<Option<SecretString>, IdentityError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(SecretString::from(text.as_str()))),
            Some(_) => Err(wrong_form(name, "a string that is not empty")),
        }
    }
}

fn missing(name: &str) -> IdentityError {
    IdentityError::caller("missing_claim", format!("the ID token has no `{name}`"))
}

fn wrong_form(name: &str, form: &str) -> IdentityError {
    IdentityError::caller("malformed_token", format!("the `{name}` of the ID token is not {form}"))
}

fn of_token(error: &JoseError) -> IdentityError {
    let code = if error.code() == "malformed_jws" { "malformed_token" } else { error.code() };
    IdentityError::caller(code, format!("the ID token cannot be accepted: {error}"))
}

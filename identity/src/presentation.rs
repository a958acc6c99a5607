//! Presentations of credentials: verifying them (DCP 1.0.1, 5) and making them.

mod make;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value};

pub use make::{make_vp_jwt, present};

use crate::Clock;
use crate::credential::parse::{self, Model, Secured};
use crate::credential::validity::{self, Period};
use crate::credential::{CredentialError, CredentialVerifier, Format, VerifiedCredential, jwt};
use crate::did::{Did, DidResolver, Relationship};
use crate::jose::Jws;

/// Most presentations of one answer.
pub const MAX_PRESENTATIONS: usize = 16;
/// Most credentials of one answer.
pub const MAX_CREDENTIALS: usize = 64;

/// Verifies presentations and everything in them.
pub struct PresentationVerifier {
    credentials: Arc<CredentialVerifier>,
    resolver: Arc<DidResolver>,
    clock: Arc<dyn Clock>,
    leeway: i64,
}

/// What one presentation holds, after its own signature was verified.
struct Opened<'a> {
    format: Format,
    model: Option<Model>,
    credentials: std::borrow::Cow<'a, [Value]>,
}

impl PresentationVerifier {
    /// `leeway` is how many seconds clocks may differ.
    pub fn new(
        credentials: Arc<CredentialVerifier>,
        resolver: Arc<DidResolver>,
        clock: Arc<dyn Clock>,
        leeway: i64,
    ) -> Self {
        Self { credentials, resolver, clock, leeway }
    }

    /// Verifies all presentations of an answer and answers their credentials: each presentation signed by `holder` for `audience`,
    /// each credential valid (see [`CredentialVerifier::verify`]) and issued to `holder`. One failure fails the whole.
    ///
    /// # Errors
    /// `empty_presentation`, `too_many_presentations`, `too_many_credentials`, `bad_presentation`, `holder_mismatch`,
    /// `wrong_audience`, `mixed_formats`, `not_yet_valid`, `expired`, `key_not_allowed`, `bad_signature`, and those of credentials.
    pub async fn verify(
        &self,
        presentations: &[Value],
        holder: &Did,
        audience: &Did,
    ) -> Result<Vec<VerifiedCredential>, CredentialError> {
        if presentations.len() > MAX_PRESENTATIONS {
            let text = format!("the answer holds more than {MAX_PRESENTATIONS} presentations");
            return Err(CredentialError::refused("too_many_presentations", text));
        }
        let mut all = Vec::new();
        for (position, presentation) in presentations.iter().enumerate() {
            let name = format!("presentation {}", position.saturating_add(1));
            let opened = self.open(presentation, holder, audience).await.map_err(|error| error.within(&name))?;
            if all.len().saturating_add(opened.credentials.len()) > MAX_CREDENTIALS {
                let text = format!("the answer holds more than {MAX_CREDENTIALS} credentials");
                return Err(CredentialError::refused("too_many_credentials", text));
            }
            for credential in opened.credentials.iter() {
                all.push(self.credential(credential, &opened, holder).await.map_err(|error| error.within(&name))?);
            }
        }
        if all.is_empty() {
            return Err(CredentialError::refused("empty_presentation", "the answer presents no credential"));
        }
        Ok(all)
    }

    async fn credential(
        &self,
        raw: &Value,
        within: &Opened<'_>,
        holder: &Did,
    ) -> Result<VerifiedCredential, CredentialError> {
        if within.format == Format::Vc20Jwt && raw.is_string() {
            return Err(bad("holds a credential that is not enveloped, as data model 2.0 has it"));
        }
        let verified = self.credentials.verify(raw).await?;
        let credential = &verified.credential;
        let model = credential.document.as_object().and_then(parse::model);
        // The model matters to embedded proofs only; for JWTs the format says it.
        let same_model = within.format != Format::DataIntegrity || model == within.model;
        if credential.format != within.format || !same_model {
            let text = format!("{} has another form than its presentation", credential.describe());
            return Err(CredentialError::refused("mixed_formats", text));
        }
        verified.bound_to(holder)?;
        Ok(verified)
    }

    async fn open<'a>(
        &self,
        presentation: &'a Value,
        holder: &Did,
        audience: &Did,
    ) -> Result<Opened<'a>, CredentialError> {
        let now = self.clock.now();
        match parse::open(presentation, &parse::PRESENTATION)? {
            Secured::Jws(token) => {
                let jws = Jws::parse(token).map_err(jwt::unsigned)?;
                self.addressed(jws.payload(), holder, audience, now)?;
                let format = form(jws.payload())?;
                jwt::verify(&jws, holder, Relationship::Authentication, &self.resolver, "holder_mismatch").await?;
                let mut payload = jws.into_payload();
                let document = match payload.remove("vp") {
                    Some(Value::Object(vp)) => vp,
                    Some(_) => return Err(bad("has a claim `vp` that is not an object")),
                    None => payload,
                };
                let credentials = contents(&document, holder)?.to_vec();
                Ok(Opened { format, model: None, credentials: credentials.into() })
            }
            Secured::Embedded(document) => {
                let Value::Object(members) = document else { return Err(bad("is not an object")) };
                let credentials = contents(members, holder)?;
                validity::members(members)?.check(now, self.leeway)?;
                for_us(members.get("proof"), audience)?;
                let method = crate::credential::data_integrity::verify(document, &self.resolver, now).await?;
                if method.did() != holder {
                    let text = format!("the presentation was signed by `{}`, not by `{holder}`", method.did());
                    return Err(CredentialError::refused("holder_mismatch", text));
                }
                let model = parse::model(members);
                Ok(Opened { format: Format::DataIntegrity, model, credentials: credentials.into() })
            }
        }
    }

    /// The claims that say by whom, for whom and when.
    fn addressed(
        &self,
        claims: &Map<String, Value>,
        holder: &Did,
        audience: &Did,
        now: i64,
    ) -> Result<(), CredentialError> {
        // A payload that is the presentation itself may say this by `holder`.
        let needed = claims.contains_key("vp");
        match claims.get("iss") {
            Some(issuer) if issuer.as_str() != Some(holder.as_str()) => return Err(foreign("iss", holder)),
            None if needed => return Err(foreign("iss", holder)),
            _ => {}
        }
        let period = validity::claims(claims)?;
        let issued = claims.get("iat").and_then(Value::as_i64);
        period.and(Period { from: issued, until: None }).check(now, self.leeway)?;
        if parse::names(claims.get("aud")).contains(&audience.as_str()) {
            return Ok(());
        }
        let text = format!("the presentation was not made for `{audience}` (`aud`)");
        Err(CredentialError::refused("wrong_audience", text))
    }
}

/// The form of a JWT presentation. What has a claim `vp` must not be a presentation or a credential itself, and the other way round.
fn form(payload: &Map<String, Value>) -> Result<Format, CredentialError> {
    if payload.contains_key("vc") {
        return Err(bad("holds the claim `vc`: it is a credential"));
    }
    if let Some(vp) = payload.get("vp") {
        // A context may be missing: the claim `vp` says what it is, and there are holders that leave it out.
        let contextless = vp.get("@context").is_none();
        if contextless || vp.as_object().and_then(parse::model) == Some(Model::V1) {
            return Ok(Format::Vc11Jwt);
        }
    } else if parse::model(payload) == Some(Model::V2) {
        return Ok(Format::Vc20Jwt);
    }
    Err(bad("has not the context of its data model in first place"))
}

/// The credentials of a presentation of `holder`.
fn contents<'a>(presentation: &'a Map<String, Value>, holder: &Did) -> Result<&'a [Value], CredentialError> {
    if !parse::names(presentation.get("type")).contains(&"VerifiablePresentation") {
        return Err(bad("has not the type `VerifiablePresentation`"));
    }
    if presentation.contains_key("holder") && parse::identifier(presentation.get("holder")) != Some(holder.as_str()) {
        return Err(foreign("holder", holder));
    }
    match presentation.get("verifiableCredential") {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(many)) => Ok(many),
        Some(one @ (Value::Object(_) | Value::String(_))) => Ok(std::slice::from_ref(one)),
        Some(_) => Err(bad("has a `verifiableCredential` that is no list")),
    }
}

/// A proof may name whom it is for (Data Integrity 1.0, `domain`). Holders need not, and the answer came from the holder's own
/// service over TLS for a request of ours; but what was made for another is refused.
fn for_us(proof: Option<&Value>, audience: &Did) -> Result<(), CredentialError> {
    let proofs: &[Value] = match proof {
        Some(Value::Array(many)) => many,
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let fits = |proof: &Value| match proof.get("domain") {
        None => true,
        domain => parse::names(domain).contains(&audience.as_str()),
    };
    if proofs.iter().all(fits) {
        return Ok(());
    }
    let text = format!("the presentation was not made for `{audience}` (`domain`)");
    Err(CredentialError::refused("wrong_audience", text))
}

fn foreign(member: &str, holder: &Did) -> CredentialError {
    CredentialError::refused("holder_mismatch", format!("the presentation is not one of `{holder}` (`{member}`)"))
}

fn bad(what: &str) -> CredentialError {
    CredentialError::refused("bad_presentation", format!("the presentation {what}"))
}

//! The credential service: presents, stores, and takes offers (DCP 1.0.1, 5.4, 6.5 and 6.6).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::access_token::AccessTokens;
use super::message::{
    CredentialMessage, CredentialObject, CredentialOfferMessage, Outcome, PresentationQueryMessage,
    PresentationResponseMessage,
};
use super::{DcpError, Refusal};
use crate::credential::parse::{self, Secured};
use crate::credential::{Credential, CredentialError, CredentialVerifier, Format, VerifiedCredential, jwt};
use crate::did::{Did, DidResolver};
use crate::jose::Jws;
use crate::keys::Signer;
use crate::presentation::{MAX_CREDENTIALS, present};
use crate::scope::{Operation, Scopes, Selector};
use crate::token::SelfIssued;
use crate::trust::TrustedIssuers;
use crate::{Clock, IdentityError};

/// What becomes of credentials that nobody asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsolicited {
    /// They are refused.
    #[default]
    Refuse,
    /// Those of trusted issuers wait for an operator.
    Hold,
}

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderSettings {
    /// Refuses a query for more than was granted (403). Otherwise it is answered with what was granted.
    pub strict_scopes: bool,
    /// How long presentations are valid, in seconds.
    pub presentation_lifetime_s: i64,
    /// The values of `holderPid` under which credentials of trusted issuers are stored though there was no request.
    pub accepted_holder_pids: BTreeSet<String>,
    /// What becomes of other credentials that nobody asked for.
    pub unsolicited: Unsolicited,
}

impl Default for HolderSettings {
    fn default() -> Self {
        Self {
            strict_scopes: true,
            presentation_lifetime_s: 300,
            accepted_holder_pids: BTreeSet::new(),
            unsolicited: Unsolicited::Refuse,
        }
    }
}

/// A credential of ours, as it was stored after it had been verified.
#[derive(Clone, PartialEq)]
pub struct StoredCredential {
    /// As it was received: a JWT as a string, JSON-LD as an object.
    pub raw: Value,
    /// What it says.
    pub credential: Credential,
    /// Whether it is known to be revoked or suspended.
    pub revoked: bool,
}

impl StoredCredential {
    /// Reads a credential from the store. Nothing is verified: that was done before it was stored.
    ///
    /// # Errors
    /// `bad_credential`, `malformed_jws` and the like.
    pub fn read(raw: Value, revoked: bool) -> Result<Self, CredentialError> {
        let credential = match parse::open(&raw, &parse::CREDENTIAL)? {
            Secured::Jws(token) => parse::from_jwt(Jws::parse(token).map_err(jwt::unsigned)?.into_payload())?,
            Secured::Embedded(document) => parse::from_document(document)?,
        };
        Ok(Self { raw, credential, revoked })
    }

    fn is_valid(&self, now: i64) -> bool {
        let (from, until) = (self.credential.valid_from, self.credential.valid_until);
        !self.revoked && from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until)
    }

    /// Whether both say the same, as the first and the second issue of a credential do.
    fn repeats(&self, other: &Self) -> bool {
        let (one, two) = (&self.credential, &other.credential);
        (&one.issuer, one.format) == (&two.issuer, two.format) && one.types == two.types && one.subjects == two.subjects
    }
}

/// A credential is personal data.
impl fmt::Debug for StoredCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StoredCredential").field("types", &self.credential.types).finish_non_exhaustive()
    }
}

/// A request of ours to an issuer that has not been answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// The issuer.
    pub issuer: Did,
    /// The credential types that were asked for.
    pub types: Vec<String>,
}

/// What to do after a [`CredentialMessage`].
#[derive(Clone, Debug, PartialEq)]
pub enum Intake {
    /// Store these; the request, if there was one, is fulfilled.
    Store(Vec<Received>),
    /// Keep these apart until an operator has decided.
    Hold(Vec<Received>),
    /// The issuer refused the request, for this reason.
    Rejected(Option<String>),
}

/// A verified credential to be stored.
#[derive(Clone, PartialEq)]
pub struct Received {
    /// As it was received.
    pub raw: Value,
    /// What it says.
    pub verified: VerifiedCredential,
}

/// A credential is personal data.
impl fmt::Debug for Received {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Received").field("types", &self.verified.credential.types).finish_non_exhaustive()
    }
}

/// The credential service of one holder.
pub struct Holder {
    own: Did,
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    access_tokens: AccessTokens,
    settings: HolderSettings,
}

impl Holder {
    /// The credential service of `own`.
    pub fn new(
        own: Did,
        signer: Arc<dyn Signer>,
        resolver: Arc<DidResolver>,
        clock: Arc<dyn Clock>,
        settings: HolderSettings,
    ) -> Self {
        let access_tokens = AccessTokens::new(own.clone(), resolver, Arc::clone(&clock));
        Self { own, signer, clock, access_tokens, settings }
    }

    /// Answers a query out of what is stored: one presentation for each form of credential, without what has expired, is not yet
    /// valid or was revoked. `caller` is the verifier by its ID token.
    ///
    /// # Errors
    /// 501 `unsupported_query`; 401 `no_access_token` and those of [`AccessTokens::validate`]; 403 `scope_not_granted`.
    pub async fn answer(
        &self,
        caller: &SelfIssued,
        query: &PresentationQueryMessage,
        stored: &[StoredCredential],
    ) -> Result<PresentationResponseMessage, DcpError> {
        use secrecy::ExposeSecret as _;
        let asked = query.scopes()?;
        let token = caller.token.as_ref().ok_or_else(|| {
            let text = "the ID token has no access token (claim `token`) of this credential service";
            DcpError::new(Refusal::Unauthorized, "no_access_token", text)
        })?;
        let grant = self.access_tokens.validate(token.expose_secret(), &caller.did).await?;
        if self.settings.strict_scopes {
            within_grant(asked, &grant.scopes, stored)?;
        }
        let now = self.clock.now();
        let mut chosen: Vec<&StoredCredential> = Vec::new();
        for candidate in stored.iter().filter(|candidate| candidate.is_valid(now)) {
            let credential = &candidate.credential;
            if !asked.select(credential, Operation::Read) || !grant.scopes.select(credential, Operation::Read) {
                continue;
            }
            match chosen.iter_mut().find(|known| known.repeats(candidate)) {
                Some(known) if known.credential.valid_from <= credential.valid_from => *known = candidate,
                Some(_) => {}
                None => chosen.push(candidate),
            }
        }
        let tokens: Vec<(Format, String)> = chosen
            .iter()
            .filter_map(|stored| Some((stored.credential.format, stored.raw.as_str()?.to_owned())))
            .take(MAX_CREDENTIALS)
            .collect();
        let lifetime_s = self.settings.presentation_lifetime_s;
        let made = present(&*self.signer, &self.own, &caller.did, &tokens, now, lifetime_s)
            .await
            .map_err(|error| DcpError::from(IdentityError::from(error)))?;
        let presentation = made.into_iter().map(Value::from).collect();
        Ok(PresentationResponseMessage { presentation, presentation_submission: None })
    }

    /// Decides about credentials that `sender` brings. `request` is the open request with the message's `holderPid`, if there is
    /// one. One credential that cannot be accepted refuses all.
    ///
    /// # Errors
    /// 403 `unsolicited`, `wrong_issuer`, `holder_mismatch`, `untrusted_issuer`; 400 `unexpected_credential` and the reason why a
    /// credential cannot be verified; 503 when it cannot be verified now.
    pub async fn receive(
        &self,
        sender: &Did,
        message: &CredentialMessage,
        request: Option<&OpenRequest>,
        verifier: &CredentialVerifier,
    ) -> Result<Intake, DcpError> {
        let accepted = message.holder_pid.as_ref().is_some_and(|pid| self.settings.accepted_holder_pids.contains(pid));
        let hold = match request {
            Some(request) if request.issuer != *sender => {
                let text = format!("the request was made to another issuer than `{sender}`");
                return Err(DcpError::forbidden("wrong_issuer", text));
            }
            Some(_) => false,
            None if accepted => false,
            None if self.settings.unsolicited == Unsolicited::Hold && message.outcome == Outcome::Issued => true,
            None => {
                return Err(DcpError::forbidden("unsolicited", "no request is open here with that `holderPid`"));
            }
        };
        if message.outcome == Outcome::Rejected {
            return Ok(Intake::Rejected(message.rejection_reason.clone()));
        }
        let mut received = Vec::with_capacity(message.credentials.len());
        for container in &message.credentials {
            let verified = verifier.verify(&container.payload).await.map_err(|error| unacceptable(&error))?;
            let credential = &verified.credential;
            if credential.issuer != sender.as_str() {
                let text = format!("{} was brought by `{sender}`", credential.describe());
                return Err(DcpError::forbidden("wrong_issuer", text));
            }
            verified.bound_to(&self.own).map_err(|error| unacceptable(&error))?;
            let expected = |request: &OpenRequest| {
                request.types.is_empty() || request.types.iter().any(|name| credential.types.contains(name))
            };
            if !request.is_none_or(expected) {
                let text = format!("{} was not asked for", credential.describe());
                return Err(DcpError::bad("unexpected_credential", text));
            }
            received.push(Received { raw: container.payload.clone(), verified });
        }
        Ok(if hold { Intake::Hold(received) } else { Intake::Store(received) })
    }

    /// Decides about an offer. Entries may be sparse: the rest is in the issuer's metadata, see
    /// [`CredentialObject::completed_by`].
    ///
    /// # Errors
    /// 403 `wrong_issuer` when another one offers, `untrusted_issuer` when it is not trusted for a type that the offer names.
    pub async fn offered(
        &self,
        sender: &Did,
        message: &CredentialOfferMessage,
        trust: &dyn TrustedIssuers,
    ) -> Result<Vec<CredentialObject>, DcpError> {
        if message.issuer != sender.as_str() {
            let text = format!("`{sender}` offers credentials of another issuer");
            return Err(DcpError::forbidden("wrong_issuer", text));
        }
        for object in &message.credentials {
            if let Some(name) = &object.credential_type {
                trust.check(sender.as_str(), std::slice::from_ref(name)).await.map_err(|error| unacceptable(&error))?;
            }
        }
        Ok(message.credentials.clone())
    }
}

/// A scope by id is within a grant by type when the credential with this id is.
fn within_grant(asked: &Scopes, granted: &Scopes, stored: &[StoredCredential]) -> Result<(), DcpError> {
    for scope in asked.without(granted).iter() {
        let is_granted = matches!(scope.selector(), Selector::Id(_))
            && stored
                .iter()
                .any(|one| scope.selects(&one.credential) && granted.select(&one.credential, scope.operation()));
        if !is_granted {
            let shown = crate::printable(scope.as_str());
            let text = format!("the access token does not grant the scope `{shown}`");
            return Err(DcpError::forbidden("scope_not_granted", text));
        }
    }
    Ok(())
}

fn unacceptable(error: &CredentialError) -> DcpError {
    let refusal = match error.code() {
        _ if error.is_temporary() => Refusal::Unavailable,
        "untrusted_issuer" | "holder_mismatch" => Refusal::Forbidden,
        _ => Refusal::BadRequest,
    };
    DcpError::new(refusal, error.code(), error.to_string())
}

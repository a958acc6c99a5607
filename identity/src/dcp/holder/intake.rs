//! Credentials and offers that issuers bring (DCP 1.0.1, 6.5 and 6.6).

use std::fmt;

use serde_json::Value;

use super::Holder;
use crate::credential::parse::{self, Secured};
use crate::credential::{CredentialError, CredentialVerifier, VerifiedCredential};
use crate::dcp::message::{CredentialMessage, CredentialObject, CredentialOfferMessage, Outcome};
use crate::dcp::{DcpError, Refusal};
use crate::did::Did;
use crate::trust::TrustedIssuers;

/// What becomes of credentials that nobody asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsolicited {
    /// They are refused.
    #[default]
    Refuse,
    /// Those of trusted issuers wait for an operator.
    Hold,
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

impl Holder {
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
            // A message that names no request could never be told from one that went astray.
            None if message.holder_pid.is_none() => {
                return Err(DcpError::forbidden(
                    "unsolicited",
                    "the CredentialMessage names no request by `holderPid`",
                ));
            }
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
            // An envelope is for presentations; what is stored is the JWT in it.
            let raw = match parse::open(&container.payload, &parse::CREDENTIAL) {
                Ok(Secured::Jws(token)) => Value::from(token),
                _ => container.payload.clone(),
            };
            received.push(Received { raw, verified });
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

fn unacceptable(error: &CredentialError) -> DcpError {
    let refusal = match error.code() {
        _ if error.is_temporary() => Refusal::Unavailable,
        "untrusted_issuer" | "holder_mismatch" => Refusal::Forbidden,
        _ => Refusal::BadRequest,
    };
    DcpError::new(refusal, error.code(), error.to_string())
}

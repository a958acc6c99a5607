//! The issuer service: what can be asked for, by whom, and what it gets (DCP 1.0.1, 6).

mod config;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use config::{Decision, IssuableCredential, IssuerConfigError, PartnerRule, Profile};

use serde_json::{Value, json};
use uuid::Uuid;

use super::message::{
    CredentialContainer, CredentialMessage, CredentialObject, CredentialRequestMessage, CredentialStatus,
    IssuerMetadata, MAX_ENTRIES, Outcome, RequestStatus,
};
use super::{DcpError, Refusal};
use crate::credential::{CredentialError, NewCredential, issue};
use crate::did::Did;
use crate::keys::Signer;
use crate::token::SelfIssued;
use crate::{Clock, printable};

/// A request that can be granted, to be stored and answered with 201.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedRequest {
    /// Who asks.
    pub holder: Did,
    /// Its id of the request.
    pub holder_pid: String,
    /// Our id of the request, new.
    pub issuer_pid: String,
    /// The ids of the credentials wanted, each once.
    pub credentials: Vec<String>,
    /// Who decides: an operator as soon as one of the credentials needs one.
    pub decision: Decision,
}

/// A request as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRequest {
    /// Who asked.
    pub holder: String,
    /// Its id of the request.
    pub holder_pid: String,
    /// Our id of the request.
    pub issuer_pid: String,
    /// Where it is.
    pub status: RequestStatus,
}

/// A credential that is going to be made. Whoever keeps the status lists sets its entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Its id: `urn:uuid:…`.
    pub id: String,
    /// Which of the credentials that can be issued.
    pub object: String,
    /// Its profile, by which the kind of its status list is chosen.
    pub profile: Profile,
    /// Valid until, seconds since the epoch.
    pub valid_until: i64,
    /// The status entry; without one it cannot be revoked.
    pub status: Option<Value>,
}

/// The issuer service of one issuer.
pub struct Issuer {
    own: Did,
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    supported: BTreeMap<String, IssuableCredential>,
}

impl Issuer {
    /// The issuer service of `own` for these credentials.
    ///
    /// # Errors
    /// When an id or type is empty, an id stands there twice, a validity is not positive, a partner is not a DID or has two rules.
    pub fn new(
        own: Did,
        signer: Arc<dyn Signer>,
        clock: Arc<dyn Clock>,
        credentials: Vec<IssuableCredential>,
    ) -> Result<Self, IssuerConfigError> {
        if credentials.len() > MAX_ENTRIES {
            return Err(IssuerConfigError(format!("more than {MAX_ENTRIES}")));
        }
        let mut supported = BTreeMap::new();
        for credential in credentials {
            let shown = printable(&credential.id);
            let bad = |what: &str| Err(IssuerConfigError(format!("`{shown}` {what}")));
            if credential.id.is_empty() || credential.credential_type.is_empty() {
                return bad("has an empty id or type");
            }
            if credential.validity_s <= 0 {
                return bad("has a validity that is not positive");
            }
            let mut holders = BTreeSet::new();
            for rule in &credential.partners {
                if rule.holder != "*" && rule.holder.parse::<Did>().is_err() {
                    return bad(&format!("has a rule for `{}`, which is not a DID", printable(&rule.holder)));
                }
                if !holders.insert(rule.holder.as_str()) {
                    return bad(&format!("has two rules for `{}`", printable(&rule.holder)));
                }
            }
            if supported.insert(credential.id.clone(), credential).is_some() {
                return bad("stands there twice");
            }
        }
        Ok(Self { own, signer, clock, supported })
    }

    /// What can be asked for.
    pub fn metadata(&self) -> IssuerMetadata {
        let object = |credential: &IssuableCredential| CredentialObject {
            id: credential.id.clone(),
            credential_type: Some(credential.credential_type.clone()),
            binding_methods: vec!["did:web".to_owned()],
            credential_schema: credential.schema.as_ref().and_then(|it| it.get("id")?.as_str().map(str::to_owned)),
            profile: Some(credential.profile.alias().to_owned()),
            issuance_policy: None,
            // The schema wants one; a holder that has no such credential yet may still ask.
            offer_reason: Some("reissue".to_owned()),
        };
        IssuerMetadata {
            issuer: self.own.as_str().to_owned(),
            credentials_supported: self.supported.values().map(object).collect(),
        }
    }

    /// Checks a request. `caller` is who asks by its ID token.
    ///
    /// # Errors
    /// 400 `unknown_credential` when the metadata has no such id; 403 `not_entitled` when no rule is for this partner.
    pub fn accept(&self, caller: &SelfIssued, message: &CredentialRequestMessage) -> Result<AcceptedRequest, DcpError> {
        let mut decision = Decision::Automatic;
        let mut credentials: Vec<String> = Vec::new();
        for id in &message.credentials {
            let shown = printable(id);
            let credential = self.supported.get(id).ok_or_else(|| {
                DcpError::bad("unknown_credential", format!("there is no credential `{shown}` in the metadata"))
            })?;
            let rule = credential.rule(&caller.did).ok_or_else(|| {
                let text = format!("the credential `{shown}` is not for `{}`", caller.did);
                DcpError::forbidden("not_entitled", text)
            })?;
            if rule.decision == Decision::Manual {
                decision = Decision::Manual;
            }
            if !credentials.contains(id) {
                credentials.push(id.clone());
            }
        }
        Ok(AcceptedRequest {
            holder: caller.did.clone(),
            holder_pid: message.holder_pid.clone(),
            issuer_pid: Uuid::new_v4().to_string(),
            credentials,
            decision,
        })
    }

    /// The status of a request, for who made it and nobody else.
    ///
    /// # Errors
    /// 404 `unknown_request` when there is none or it is another one's.
    pub fn status(&self, caller: &SelfIssued, request: Option<&StoredRequest>) -> Result<CredentialStatus, DcpError> {
        let request = request
            .filter(|request| request.holder == caller.did.as_str())
            .ok_or_else(|| DcpError::new(Refusal::NotFound, "unknown_request", "there is no such request of yours"))?;
        Ok(CredentialStatus {
            issuer_pid: request.issuer_pid.clone(),
            holder_pid: request.holder_pid.clone(),
            status: request.status,
        })
    }

    /// The credentials that a granted request leads to, still without status entries. Those that are no longer in the
    /// configuration are left out.
    pub fn plan(&self, credentials: &[String]) -> Vec<Planned> {
        let now = self.clock.now();
        credentials
            .iter()
            .filter_map(|id| self.supported.get(id))
            .map(|credential| Planned {
                id: format!("urn:uuid:{}", Uuid::new_v4()),
                object: credential.id.clone(),
                profile: credential.profile,
                valid_until: now.saturating_add(credential.validity_s),
                status: None,
            })
            .collect()
    }

    /// Makes the credentials and the message that brings them.
    ///
    /// # Errors
    /// `unknown_credential` when the configuration has one no longer; `not_entitled` when it has no rule for the holder any more;
    /// `cannot_sign`.
    pub async fn issue(
        &self,
        holder: &Did,
        holder_pid: &str,
        issuer_pid: &str,
        planned: &[Planned],
    ) -> Result<CredentialMessage, CredentialError> {
        let mut credentials = Vec::with_capacity(planned.len());
        for planned in planned {
            let shown = printable(&planned.object);
            let credential = self.supported.get(&planned.object).ok_or_else(|| {
                CredentialError::ours("unknown_credential", format!("`{shown}` is not in the configuration any more"))
            })?;
            let rule = credential.rule(holder).ok_or_else(|| {
                CredentialError::ours("not_entitled", format!("the credential `{shown}` is not for `{holder}`"))
            })?;
            let mut claims = credential.claims.clone();
            claims.extend(rule.claims.clone());
            let new = NewCredential {
                format: credential.profile.format(),
                id: &planned.id,
                issuer: &self.own,
                subject: holder,
                types: std::slice::from_ref(&credential.credential_type),
                contexts: &credential.contexts,
                claims: &claims,
                valid_from: self.clock.now(),
                valid_until: Some(planned.valid_until),
                status: planned.status.as_ref(),
                schema: credential.schema.as_ref(),
            };
            credentials.push(CredentialContainer {
                credential_type: credential.credential_type.clone(),
                payload: json!(issue(&new, &*self.signer).await?),
                format: credential.profile.format_name().to_owned(),
            });
        }
        Ok(CredentialMessage {
            issuer_pid: Some(issuer_pid.to_owned()),
            holder_pid: Some(holder_pid.to_owned()),
            outcome: Outcome::Issued,
            credentials,
            rejection_reason: None,
        })
    }

    /// The message that a request was decided against.
    pub fn reject(&self, holder_pid: &str, issuer_pid: &str, reason: Option<String>) -> CredentialMessage {
        CredentialMessage {
            issuer_pid: Some(issuer_pid.to_owned()),
            holder_pid: Some(holder_pid.to_owned()),
            outcome: Outcome::Rejected,
            credentials: Vec::new(),
            rejection_reason: reason,
        }
    }
}

//! The credential service: presents, stores, and takes offers (DCP 1.0.1, 5.4, 6.5 and 6.6).

mod definition;
mod intake;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub use intake::{Intake, OpenRequest, Received, Unsolicited};

use definition::Definition;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::access_token::AccessTokens;
use super::message::{PresentationQuery, PresentationQueryMessage, PresentationResponseMessage};
use super::{DcpError, Refusal};
use crate::credential::parse::{self, Secured};
use crate::credential::{Credential, CredentialError, Format, jwt};
use crate::did::{Did, DidResolver};
use crate::jose::Jws;
use crate::keys::Signer;
use crate::presentation::{MAX_CREDENTIALS, present};
use crate::scope::{Operation, Scopes, Selector};
use crate::token::SelfIssued;
use crate::{Clock, IdentityError};

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
    /// valid or was revoked. `caller` is the verifier by its ID token. Presentation definitions are answered as far as they ask
    /// for credential types.
    ///
    /// # Errors
    /// 400 `bad_definition`; 501 `unsupported_query`; 401 `no_access_token` and those of [`AccessTokens::validate`]; 403 `scope_not_granted`.
    pub async fn answer(
        &self,
        caller: &SelfIssued,
        query: &PresentationQueryMessage,
        stored: &[StoredCredential],
    ) -> Result<PresentationResponseMessage, DcpError> {
        let definition = match &query.query {
            PresentationQuery::Scopes(_) => None,
            PresentationQuery::Definition(definition) => Some(Definition::read(definition)?),
        };
        let asked = match &definition {
            Some(definition) => &definition.scopes()?,
            None => query.scopes()?,
        };
        let token = caller.token.as_ref().ok_or_else(|| {
            let text = "the ID token has no access token (claim `token`) of this credential service";
            DcpError::new(Refusal::Unauthorized, "no_access_token", text)
        })?;
        let grant = self.access_tokens.validate(token.expose_secret(), &caller.did).await?;
        if self.settings.strict_scopes {
            within_grant(asked, &grant.scopes, stored)?;
        }
        let now = self.clock.now();
        let chosen = choose(stored, asked, &grant.scopes, now);
        let token = |stored: &&StoredCredential| Some((stored.credential.format, stored.raw.as_str()?.to_owned()));
        let tokens: Vec<(Format, String)> = chosen.iter().filter_map(token).collect();
        let lifetime_s = self.settings.presentation_lifetime_s;
        let made = present(&*self.signer, &self.own, &caller.did, &tokens, now, lifetime_s)
            .await
            .map_err(|error| DcpError::from(IdentityError::from(error)))?;
        let presentation = made.into_iter().map(Value::from).collect();
        let presentation_submission = definition.map(|definition| definition.submission(&chosen));
        Ok(PresentationResponseMessage { presentation, presentation_submission })
    }
}

/// The credentials to be presented: valid, asked for, granted, and of those that say the same the latest.
fn choose<'a>(stored: &'a [StoredCredential], asked: &Scopes, granted: &Scopes, now: i64) -> Vec<&'a StoredCredential> {
    let mut chosen: Vec<&StoredCredential> = Vec::new();
    // Presentations are made of JWTs only.
    for candidate in stored.iter().filter(|candidate| candidate.is_valid(now) && candidate.raw.is_string()) {
        let credential = &candidate.credential;
        if !asked.select(credential, Operation::Read) || !granted.select(credential, Operation::Read) {
            continue;
        }
        match chosen.iter_mut().find(|known| known.repeats(candidate)) {
            Some(known) if known.credential.valid_from <= credential.valid_from => *known = candidate,
            Some(_) => {}
            None => chosen.push(candidate),
        }
    }
    chosen.truncate(MAX_CREDENTIALS);
    chosen
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

//! The verifier: who calls, and with which verified claims (DCP 1.0.1, 5).

use std::sync::Arc;

use async_trait::async_trait;
use moka::future::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::access_token::mint_access_token;
use super::client::DcpClient;
use super::settings::{DcpParts, DcpSettings};
use crate::claims::claims;
use crate::credential::VerifiedCredential;
use crate::did::Did;
use crate::participant::Proof;
use crate::scope::{Scope, ScopeError, Scopes, Selector};
use crate::token::bearer;
use crate::{CounterParty, Identity, IdentityError, IncomingRequest, Participant, printable};

/// The most participants, and the most access tokens, that are remembered at a time.
const MAX_REMEMBERED: u64 = 10_000;

/// [`Identity`] by the Decentralized Claims Protocol.
pub struct Dcp {
    parts: DcpParts,
    client: DcpClient,
    settings: DcpSettings,
    presented: Cache<Asked, Arc<Presented>>,
    access_tokens: Cache<(String, Scopes), (SecretString, i64)>,
    /// What is known about a participant without a request of its.
    latest: moka::sync::Cache<String, Latest>,
}

/// One question to a credential service: whose, with which access token (its digest), for what.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked {
    did: Did,
    token: [u8; 32],
    scopes: Scopes,
}

struct Presented {
    credentials: Arc<[VerifiedCredential]>,
    claims: Arc<Value>,
    /// Until when it is true as far as known.
    fresh_until: i64,
    /// Until when it is not asked for again.
    reuse_until: i64,
}

#[derive(Clone)]
struct Latest {
    scopes: Scopes,
    claims: Arc<Value>,
    fresh_until: i64,
}

impl Dcp {
    /// A verifier.
    pub fn new(parts: DcpParts, settings: DcpSettings) -> Self {
        let client = DcpClient::new(
            parts.own.clone(),
            Arc::clone(&parts.signer),
            Arc::clone(&parts.resolver),
            Arc::clone(&parts.fetch),
            Arc::clone(&parts.clock),
            settings.token_lifetime_s,
        );
        Self {
            parts,
            client,
            settings,
            presented: Cache::new(MAX_REMEMBERED),
            access_tokens: Cache::new(MAX_REMEMBERED),
            latest: moka::sync::Cache::new(MAX_REMEMBERED),
        }
    }

    /// Our DID.
    pub fn did(&self) -> &Did {
        &self.parts.own
    }

    /// Speaks to the services of others in our name.
    pub fn client(&self) -> &DcpClient {
        &self.client
    }

    /// An access token of ours for `audience`, which lets it ask our credential service for these scopes (or, with scopes to write,
    /// bring what they name).
    ///
    /// # Errors
    /// `cannot_sign`.
    pub async fn access_token_for(&self, audience: &Did, scopes: &Scopes) -> Result<SecretString, IdentityError> {
        self.access_token(audience.as_str(), scopes).await
    }

    /// Forgets what was presented and which access tokens were made, so that everything is asked for again.
    pub fn forget(&self) {
        self.presented.invalidate_all();
        self.access_tokens.invalidate_all();
        self.latest.invalidate_all();
    }

    /// What the holder presents for these scopes, from memory where it is still fresh.
    async fn presented(
        &self,
        did: &Did,
        token: &SecretString,
        scopes: &Scopes,
    ) -> Result<Arc<Presented>, IdentityError> {
        let asked = Asked {
            did: did.clone(),
            token: Sha256::digest(token.expose_secret().as_bytes()).into(),
            scopes: scopes.clone(),
        };
        if let Some(known) = self.presented.get(&asked).await {
            let trusted = self.still_trusted(&known).await;
            if trusted.is_ok() && self.parts.clock.now() < known.reuse_until {
                return Ok(known);
            }
            self.presented.invalidate(&asked).await;
            trusted?;
        }
        if self.settings.presentation_reuse_s <= 0 {
            return self.ask(did, token, scopes).await.map(Arc::new);
        }
        // Requests that come at the same time share one query.
        let ask = async { self.ask(did, token, scopes).await.map(Arc::new) };
        self.presented.try_get_with(asked, ask).await.map_err(|error| (*error).clone())
    }

    /// Trust can be taken back at any time; asking for it again costs nothing beside the rest.
    async fn still_trusted(&self, known: &Presented) -> Result<(), IdentityError> {
        for verified in known.credentials.iter() {
            self.parts.trust.check(&verified.credential.issuer, &verified.credential.types).await?;
        }
        Ok(())
    }

    async fn ask(&self, did: &Did, token: &SecretString, scopes: &Scopes) -> Result<Presented, IdentityError> {
        let parts = &self.parts;
        let now = parts.clock.now();
        let mut credentials = Vec::new();
        if !scopes.is_empty() {
            let presentations = self.client.query(did, token, scopes).await?;
            credentials = match parts.presentations.verify(&presentations, did, &parts.own).await {
                // Which one is missing says more.
                Err(error) if error.code() == "empty_presentation" => Vec::new(),
                verified => verified?,
            };
            for scope in scopes.iter() {
                if !credentials.iter().any(|verified| scope.selects(&verified.credential)) {
                    return Err(missing_credential(did, scope));
                }
            }
        }
        let reuse_until = now.saturating_add(self.settings.presentation_reuse_s);
        let fresh_until = credentials.iter().map(|verified| verified.fresh_until).min().unwrap_or(reuse_until);
        let reuse_until = reuse_until.min(fresh_until);
        if !credentials.is_empty() {
            parts.tokens.prove(did);
        }
        let claims = claims(&credentials, did, &*parts.trust, &self.settings.lifted).await;
        Ok(Presented { credentials: credentials.into(), claims: Arc::new(claims), fresh_until, reuse_until })
    }

    /// The participant, and a note of what is known about it.
    fn participant(&self, did: &Did, claims: Arc<Value>, proof: Proof) -> Participant {
        let now = self.parts.clock.now();
        let known = self.latest.get(did.as_str());
        // A later answer to fewer questions does not replace one to more.
        if known.is_none_or(|known| known.fresh_until <= now || known.scopes.without(&proof.scopes).is_empty()) {
            let latest =
                Latest { scopes: proof.scopes.clone(), claims: Arc::clone(&claims), fresh_until: proof.fresh_until };
            self.latest.insert(did.as_str().to_owned(), latest);
        }
        Participant::proved(did.as_str(), claims, proof)
    }

    async fn access_token(&self, audience: &str, scopes: &Scopes) -> Result<SecretString, IdentityError> {
        let asked = (audience.to_owned(), scopes.clone());
        let now = self.parts.clock.now();
        if let Some((token, until)) = self.access_tokens.get(&asked).await
            && now < until
        {
            return Ok(token);
        }
        let lifetime_s = self.settings.access_token_lifetime_s;
        let (signer, clock) = (&*self.parts.signer, &*self.parts.clock);
        let token = mint_access_token(signer, clock, &self.parts.own, audience, scopes, lifetime_s).await?;
        self.access_tokens.insert(asked, (token.clone(), now.saturating_add(lifetime_s / 2))).await;
        Ok(token)
    }
}

#[async_trait]
impl Identity for Dcp {
    async fn authenticate(&self, request: &IncomingRequest<'_>) -> Result<Participant, IdentityError> {
        let audience: Did = request.audience.parse().map_err(|_error| {
            let shown = printable(request.audience);
            IdentityError::us("malformed_did", format!("our participant id `{shown}` is not a DID"))
        })?;
        let token = self.parts.tokens.validate(bearer(request.authorization)?, &audience).await?;
        let did = token.did;
        let access_token = token.token.ok_or_else(|| {
            let message = format!("the ID token of `{did}` has no access token (claim `token`)");
            IdentityError::caller("no_access_token", message)
        })?;
        let scopes = self.settings.default_scopes.clone();
        let presented = self.presented(&did, &access_token, &scopes).await?;
        let proof = Proof {
            token_use: token.token_use,
            access_token,
            scopes,
            credentials: Arc::clone(&presented.credentials),
            fresh_until: presented.fresh_until,
        };
        Ok(self.participant(&did, Arc::clone(&presented.claims), proof))
    }

    async fn with_scopes(&self, participant: &Participant, scopes: &Scopes) -> Result<Participant, IdentityError> {
        let Some(proof) = participant.proof() else { return Ok(participant.clone()) };
        let wanted = scopes.without(&proof.scopes);
        if wanted.is_empty() {
            return Ok(participant.clone());
        }
        let did: Did = participant.id().parse()?;
        let presented = self.presented(&did, &proof.access_token, &wanted).await?;
        let mut credentials = proof.credentials.to_vec();
        for verified in presented.credentials.iter() {
            if !credentials.iter().any(|known| known.credential == verified.credential) {
                credentials.push(verified.clone());
            }
        }
        let claims = claims(&credentials, &did, &*self.parts.trust, &self.settings.lifted).await;
        let proof = Proof {
            token_use: proof.token_use.clone(),
            access_token: proof.access_token.clone(),
            scopes: proof.scopes.union(&wanted).map_err(too_many)?,
            credentials: credentials.into(),
            fresh_until: proof.fresh_until.min(presented.fresh_until),
        };
        Ok(self.participant(&did, Arc::new(claims), proof))
    }

    async fn authorization_for(&self, to: &CounterParty<'_>) -> Result<SecretString, IdentityError> {
        self.authorization_with(to, &Scopes::default()).await
    }

    async fn authorization_with(&self, to: &CounterParty<'_>, scopes: &Scopes) -> Result<SecretString, IdentityError> {
        let audience: Did = to.participant_id.parse().map_err(|_error| {
            let shown = printable(to.participant_id);
            IdentityError::us("unknown_peer", format!("`{shown}` is not a DID, so no ID token can be made for it"))
        })?;
        let scopes = self.settings.default_scopes.union(scopes).map_err(too_many)?;
        let access_token = self.access_token(audience.as_str(), &scopes).await?;
        let token = self.client.id_token(audience.as_str(), Some(&access_token)).await?;
        Ok(SecretString::from(format!("Bearer {}", token.expose_secret())))
    }

    fn counter_party_claims(&self, id: &str) -> Option<Value> {
        let known = self.latest.get(id)?;
        (self.parts.clock.now() < known.fresh_until).then(|| (*known.claims).clone())
    }
}

fn missing_credential(did: &Did, scope: &Scope) -> IdentityError {
    let what = match scope.selector() {
        Selector::Type(name) => format!("credential of the type `{}`", printable(name)),
        Selector::Id(id) => format!("credential with the id `{}`", printable(id)),
    };
    IdentityError::caller("missing_credential", format!("`{did}` presented no {what}"))
}

fn too_many(error: ScopeError) -> IdentityError {
    IdentityError::us(error.code(), error.to_string())
}

//! Named peers with static tokens, for demonstrations, conformance tests and closed trials.
//!
//! Whoever holds a peer's token is that peer, and the claims are what the operator wrote down. The setting is therefore called
//! `danger_static_peers`, and it is announced at every start.

use std::collections::BTreeSet;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use thiserror::Error;

use crate::{CounterParty, Identity, IdentityError, IncomingRequest, Participant, printable};

/// Shortest token, in characters.
pub const MIN_TOKEN: usize = 12;
/// Longest token, in characters: more does not fit into a header.
const MAX_TOKEN: usize = 4096;
/// Longest participant id, in bytes.
const MAX_ID: usize = 512;

/// One peer of the configuration.
#[derive(Debug, Clone)]
pub struct StaticPeer {
    /// Its participant id.
    pub id: String,
    /// The token that it sends to us.
    pub accepts_token: SecretString,
    /// The token that we send to it.
    pub sends_token: SecretString,
    /// What is known about it: an object; `null` is one without members.
    pub claims: Value,
}

/// Why a list of peers cannot be used: all faults, each naming its peer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.join("; "))]
pub struct StaticPeersError(pub Vec<String>);

/// [`Identity`] by a list of named peers with static tokens. Accepted tokens are kept as SHA-256 hashes only.
#[derive(Debug)]
pub struct StaticPeers(Vec<Peer>);

#[derive(Debug)]
struct Peer {
    participant: Participant,
    accepts: [u8; 32],
    sends: SecretString,
}

impl StaticPeers {
    /// Takes a checked list, and warns about every start with peers in it.
    ///
    /// # Errors
    /// [`StaticPeersError`] with every fault of the list: an id or a token that two peers share or that cannot be used, claims
    /// that are not an object.
    pub fn new(peers: Vec<StaticPeer>) -> Result<Self, StaticPeersError> {
        let mut faults = Vec::new();
        let mut ids = BTreeSet::new();
        let mut tokens = BTreeSet::new();
        let mut known = Vec::with_capacity(peers.len());
        for (position, peer) in peers.into_iter().enumerate() {
            let accepts = digest(peer.accepts_token.expose_secret());
            let mut fault =
                |what: &str| faults.push(format!("peer {} (`{}`): {what}", position + 1, printable(&peer.id)));
            if !is_participant_id(&peer.id) {
                fault("the id must have 1 to 512 bytes without spaces and control characters");
            }
            if !ids.insert(peer.id.clone()) {
                fault("the id stands in the list twice");
            }
            if !tokens.insert(accepts) {
                fault("another peer has the same `accepts_token`");
            }
            for (name, token) in [("accepts_token", &peer.accepts_token), ("sends_token", &peer.sends_token)] {
                if !is_token(token.expose_secret()) {
                    fault(&format!("`{name}` must have {MIN_TOKEN} to {MAX_TOKEN} visible ASCII characters"));
                }
            }
            let claims = match peer.claims {
                Value::Null => Value::Object(Map::new()),
                Value::Object(claims) => Value::Object(claims),
                _ => {
                    fault("`claims` must be an object");
                    Value::Null
                }
            };
            known.push(Peer { participant: Participant::new(peer.id, claims), accepts, sends: peer.sends_token });
        }
        if !faults.is_empty() {
            return Err(StaticPeersError(faults));
        }
        if !known.is_empty() {
            let ids: Vec<&str> = known.iter().map(|peer| peer.participant.id()).collect();
            tracing::warn!(
                peers = ids.join(" "),
                "`identity.danger_static_peers` is in use: whoever holds a peer's token is that peer"
            );
        }
        Ok(Self(known))
    }

    /// Whether the list has a peer with this id.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.by_id(id).is_some()
    }

    fn by_id(&self, id: &str) -> Option<&Peer> {
        self.0.iter().find(|peer| peer.participant.id() == id)
    }

    /// Looks at every peer, so that the time tells nothing about which one it was or how much of its token was right.
    fn by_token(&self, token: &str) -> Option<&Peer> {
        let given = digest(token);
        let mut found = u64::MAX;
        for (position, peer) in (0_u64..).zip(&self.0) {
            found.conditional_assign(&position, peer.accepts.ct_eq(&given));
        }
        self.0.get(usize::try_from(found).ok()?)
    }
}

#[async_trait]
impl Identity for StaticPeers {
    async fn authenticate(&self, request: &IncomingRequest<'_>) -> Result<Participant, IdentityError> {
        let token = bearer_token(request.authorization)?;
        let peer = self.by_token(token).ok_or_else(|| {
            IdentityError::caller(
                "unknown_token",
                "the bearer token does not belong to a participant that is known here",
            )
        })?;
        Ok(peer.participant.clone())
    }

    async fn authorization_for(&self, to: &CounterParty<'_>) -> Result<SecretString, IdentityError> {
        let peer = self.by_id(to.participant_id).ok_or_else(|| {
            let id = printable(to.participant_id);
            IdentityError::us(
                "unknown_peer",
                format!("`{id}` is not in `identity.danger_static_peers`, so there is no token for it"),
            )
        })?;
        Ok(SecretString::from(format!("Bearer {}", peer.sends.expose_secret())))
    }

    fn counter_party_claims(&self, id: &str) -> Option<Value> {
        self.by_id(id).map(|peer| peer.participant.claims().clone())
    }
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1).
fn bearer_token(authorization: Option<&str>) -> Result<&str, IdentityError> {
    let header = authorization.map(str::trim).filter(|header| !header.is_empty()).ok_or_else(|| {
        IdentityError::caller("no_token", "the request has no Authorization header with a bearer token")
    })?;
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(IdentityError::caller("wrong_scheme", "the Authorization header must be `Bearer` and a token"));
    }
    let token = token.trim_start();
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(IdentityError::caller(
            "malformed_token",
            "after `Bearer` there must be one token of visible ASCII characters",
        ));
    }
    Ok(token)
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn is_participant_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && !id.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_token(token: &str) -> bool {
    (MIN_TOKEN..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

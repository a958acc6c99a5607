//! Named peers with static tokens: for tests, demos and closed trials. Nobody vouches for the claims but the operator who
//! wrote them down, which is why the setting carries `danger` in its name.

use std::collections::HashMap;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{CounterParty, Fault, Identity, IdentityError, IncomingRequest, Participant};

/// Shortest token that is taken, in bytes.
const MIN_TOKEN_BYTES: usize = 8;

/// One named peer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticPeer {
    /// Participant id.
    pub id: String,
    /// Token that the peer shows to us as `Authorization: Bearer <token>`.
    pub accepts_token: SecretString,
    /// Token that we show to the peer; absent when we never call it.
    #[serde(default)]
    pub sends_token: Option<SecretString>,
    /// Claims about the peer.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

struct Peer {
    id: String,
    digest: [u8; 32],
    sends: Option<SecretString>,
    claims: Value,
}

/// All named peers.
pub struct StaticPeers {
    peers: Vec<Peer>,
    by_id: HashMap<String, usize>,
}

impl StaticPeers {
    /// Takes the peers of the configuration.
    ///
    /// # Errors
    /// An empty or doubled id, a token that is too short, or one that two peers share.
    pub fn new(peers: Vec<StaticPeer>) -> Result<Self, IdentityError> {
        let wrong = |text: String| IdentityError::new("bad_static_peer", Fault::Us, text);
        let mut by_id = HashMap::new();
        let mut known: Vec<Peer> = Vec::with_capacity(peers.len());
        for peer in peers {
            if peer.id.trim().is_empty() {
                return Err(wrong("a static peer has an empty `id`".to_owned()));
            }
            let token = peer.accepts_token.expose_secret();
            if token.len() < MIN_TOKEN_BYTES {
                let text = format!("the token of static peer `{}` has fewer than {MIN_TOKEN_BYTES} characters", peer.id);
                return Err(wrong(text));
            }
            let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
            if let Some(other) = known.iter().find(|other| other.digest == digest) {
                return Err(wrong(format!("static peers `{}` and `{}` have the same token", other.id, peer.id)));
            }
            if by_id.insert(peer.id.clone(), known.len()).is_some() {
                return Err(wrong(format!("static peer `{}` is named twice", peer.id)));
            }
            known.push(Peer { id: peer.id, digest, sends: peer.sends_token, claims: Value::Object(peer.claims) });
        }
        Ok(Self { peers: known, by_id })
    }

    fn peer(&self, id: &str) -> Option<&Peer> {
        self.by_id.get(id).and_then(|index| self.peers.get(*index))
    }
}

#[async_trait]
impl Identity for StaticPeers {
    async fn authenticate(&self, request: &IncomingRequest<'_>) -> Result<Participant, IdentityError> {
        let refuse = |code, text: &str| Err(IdentityError::new(code, Fault::Caller, text));
        let Some(header) = request.authorization else {
            return refuse("missing_token", "the request has no Authorization header");
        };
        let Some((scheme, token)) = header.split_once(' ') else {
            return refuse("bad_authorization", "the Authorization header is not `Bearer <token>`");
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return refuse("bad_authorization", "the Authorization header is not `Bearer <token>`");
        }
        let digest: [u8; 32] = Sha256::digest(token.trim().as_bytes()).into();
        // Every peer is compared, so that the time tells nothing about which one it was.
        let mut found = None;
        for peer in &self.peers {
            if bool::from(peer.digest.ct_eq(&digest)) {
                found = Some(peer);
            }
        }
        match found {
            Some(peer) => Ok(Participant::new(peer.id.clone(), peer.claims.clone())),
            None => refuse("unknown_token", "the token is not that of a participant known here"),
        }
    }

    async fn authorization_for(&self, to: &CounterParty<'_>) -> Result<SecretString, IdentityError> {
        let token = self.peer(to.participant_id).and_then(|peer| peer.sends.as_ref());
        match token {
            Some(token) => Ok(SecretString::from(format!("Bearer {}", token.expose_secret()))),
            None => Err(IdentityError::new(
                "no_token_for_peer",
                Fault::Us,
                format!("there is no `sends_token` for `{}` among the static peers", to.participant_id),
            )),
        }
    }

    fn counter_party_claims(&self, participant_id: &str) -> Option<Value> {
        self.peer(participant_id).map(|peer| peer.claims.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn peer(id: &str, accepts: &str, sends: Option<&str>) -> StaticPeer {
        let claims = json!({"membership": "active"}).as_object().cloned().unwrap_or_default();
        StaticPeer { id: id.into(), accepts_token: accepts.into(), sends_token: sends.map(Into::into), claims }
    }

    fn two() -> StaticPeers {
        StaticPeers::new(vec![peer("urn:a", "token-of-a", Some("ours-to-a")), peer("urn:b", "token-of-b", None)]).unwrap()
    }

    async fn authenticate(header: Option<&str>) -> Result<Participant, IdentityError> {
        two().authenticate(&IncomingRequest { authorization: header, audience: "urn:us" }).await
    }

    #[tokio::test]
    async fn a_token_names_its_participant_with_its_claims() {
        let participant = authenticate(Some("Bearer token-of-b")).await.unwrap();
        assert_eq!(participant.id(), "urn:b");
        assert_eq!(participant.claims(), &json!({"membership": "active"}));
        assert_eq!(authenticate(Some("bearer token-of-a")).await.unwrap().id(), "urn:a");
    }

    #[tokio::test]
    async fn whatever_is_not_such_a_token_is_refused_and_says_why() {
        for (header, code) in [
            (None, "missing_token"),
            (Some(""), "bad_authorization"),
            (Some("token-of-a"), "bad_authorization"),
            (Some("Basic token-of-a"), "bad_authorization"),
            (Some("Bearer "), "unknown_token"),
            (Some("Bearer token-of-c"), "unknown_token"),
            (Some("Bearer token-of-"), "unknown_token"),
            (Some("Bearer token-of-a x"), "unknown_token"),
        ] {
            let error = authenticate(header).await.unwrap_err();
            assert_eq!((error.code(), error.fault()), (code, Fault::Caller), "{header:?}");
            assert!(!error.to_string().contains("token-of"), "no token in an error");
        }
    }

    #[tokio::test]
    async fn we_introduce_ourselves_only_to_peers_that_we_have_a_token_for() {
        let peers = two();
        let to = |id| CounterParty { participant_id: id, address: "http://peer" };
        assert_eq!(peers.authorization_for(&to("urn:a")).await.unwrap().expose_secret(), "Bearer ours-to-a");
        for id in ["urn:b", "urn:c"] {
            assert_eq!(peers.authorization_for(&to(id)).await.unwrap_err().code(), "no_token_for_peer");
        }
    }

    #[test]
    fn bad_peers_are_refused_at_start() {
        for (peers, part) in [
            (vec![peer(" ", "long-enough", None)], "empty `id`"),
            (vec![peer("urn:a", "short", None)], "fewer than 8"),
            (vec![peer("urn:a", "long-enough", None), peer("urn:b", "long-enough", None)], "the same token"),
            (vec![peer("urn:a", "long-enough", None), peer("urn:a", "another-one", None)], "named twice"),
        ] {
            let error = StaticPeers::new(peers).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

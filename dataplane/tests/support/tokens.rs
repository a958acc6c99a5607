//! An authorization server that really signs: client credentials and token exchange, with keys that can be changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use dps_signaling::token::{Expected, KeySet, verify};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{Played, now_ms};

/// A signing key and its public half.
#[derive(Clone)]
pub struct Key {
    pub kid: String,
    pub private: EncodingKey,
    pub public: Value,
}

impl Key {
    pub fn new(kid: &str) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let private = EncodingKey::from_ec_der(pkcs8.as_ref());
        let mut public = serde_json::to_value(Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap()).unwrap();
        public["kid"] = json!(kid);
        Self { kid: kid.to_owned(), private, public }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        encode(&header, claims, &self.private).unwrap()
    }
}

struct State {
    key: Key,
    /// Seconds that tokens live.
    life_s: i64,
    /// The server answers 503.
    away: bool,
    /// Tokens of workloads that are exchanged, with the subject that each becomes.
    workloads: Vec<(String, String)>,
}

/// The server. Clients are `dp-test`, who gets tokens for `cp`, and any other `A>B`, who gets tokens of A for B.
#[derive(Clone)]
pub struct Issuer {
    pub url: String,
    state: Arc<Mutex<State>>,
    /// Tokens that were asked for.
    pub asked: Arc<AtomicU64>,
    pub server: Arc<Played>,
}

pub const CLIENT_SECRET: &str = "client-secret-canary";

impl Issuer {
    pub fn start() -> Self {
        let state = State { key: Key::new("k-1"), life_s: 300, away: false, workloads: Vec::new() };
        let (state, asked) = (Arc::new(Mutex::new(state)), Arc::new(AtomicU64::new(0)));
        let (shared, counter) = (Arc::clone(&state), Arc::clone(&asked));
        let server = Played::reading(move |request, body| answer(&shared, &counter, request, body));
        Self { url: server.url.clone(), state, asked, server: Arc::new(server) }
    }

    /// The section of a data plane `dp-test` under a control plane `cp`.
    pub fn section(&self) -> String {
        format!(
            "[control_plane.oauth2]\ntoken_endpoint = \"{url}/token\"\nclient_id = \"dp-test>cp\"\n\
             client_secret = \"{CLIENT_SECRET}\"\nissuer = \"{url}\"\njwks_uri = \"{url}/jwks\"\n",
            url = self.url
        )
    }

    /// The claims of a good token, with these more; null takes one away.
    pub fn claims(&self, more: &Value) -> Value {
        claims(&self.url, self.state.lock().unwrap().life_s, more)
    }

    pub fn token(&self, more: &Value) -> String {
        let claims = self.claims(more);
        self.key().sign(&claims)
    }

    pub fn key(&self) -> Key {
        self.state.lock().unwrap().key.clone()
    }

    pub fn is_good(&self, authorization: &str, subject: &str, audience: &str) -> bool {
        let Some(token) = authorization.strip_prefix("Bearer ") else { return false };
        let keys = KeySet::from_jwks(&json!({"keys": [self.key().public]})).unwrap();
        let expected = Expected { issuer: Some(&self.url), subject, audience, scope: None, participant_context: None };
        verify(token, &keys, &expected, now_ms() / 1000).is_ok()
    }

    /// The keys are changed; tokens of the old one are worth nothing.
    pub fn change_key(&self, kid: &str) {
        self.state.lock().unwrap().key = Key::new(kid);
    }

    pub fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    pub fn set_life(&self, seconds: i64) {
        self.state.lock().unwrap().life_s = seconds;
    }

    pub fn know_workload(&self, token: &str, subject: &str) {
        self.state.lock().unwrap().workloads = vec![(token.to_owned(), subject.to_owned())];
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

fn claims(issuer: &str, life_s: i64, more: &Value) -> Value {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = now_ms() / 1000;
    let jti = format!("jti-{}", NUMBER.fetch_add(1, Ordering::SeqCst));
    let mut claims = json!({"iss": issuer, "iat": now, "exp": now + life_s, "jti": jti});
    let members = claims.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    claims
}

fn answer(state: &Mutex<State>, asked: &AtomicU64, request: &HttpRequest, body: &[u8]) -> HttpResponse {
    let state = state.lock().unwrap();
    if state.away {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let issuer = format!("http://{}", request.connection_info().host());
    match request.path() {
        "/jwks" => HttpResponse::Ok().json(json!({"keys": [state.key.public]})),
        "/token" => {
            asked.fetch_add(1, Ordering::SeqCst);
            let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
            let member = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            let granted = match member("grant_type") {
                Some("client_credentials") if member("client_secret") == Some(CLIENT_SECRET) => member("client_id")
                    .and_then(|id| id.split_once('>'))
                    .map(|(subject, audience)| json!({"sub": subject, "aud": audience})),
                Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
                    let known =
                        state.workloads.iter().find(|(token, _)| Some(token.as_str()) == member("subject_token"));
                    known.map(|(_, subject)| {
                        json!({"sub": subject, "aud": member("audience"), "scope": member("scope"),
                            "participant_context": "city"})
                    })
                }
                _ => None,
            };
            match granted {
                Some(more) => HttpResponse::Ok().json(json!({
                    "access_token": state.key.sign(&claims(&issuer, state.life_s, &more)),
                    "token_type": "Bearer", "expires_in": state.life_s,
                })),
                None => HttpResponse::Unauthorized().json(json!({"error": "invalid_client"})),
            }
        }
        _ => HttpResponse::NotFound().finish(),
    }
}

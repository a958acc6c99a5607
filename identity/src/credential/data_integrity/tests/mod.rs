//! Embedded proofs: published ones, our own, and ways to cheat.

mod forms;
mod limits;
mod vectors;
mod with_ssi;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::did::DidSettings;
use crate::jose::PrivateKey;
use crate::testing::{Actor, FixedClock, MapFetch, NOW, actor_with};

const ISSUER: &str = "did:web:issuer.example";

struct Setup {
    fetch: Arc<MapFetch>,
    resolver: DidResolver,
    issuer: Actor,
}

fn setup(algorithm: Algorithm) -> Setup {
    let fetch = MapFetch::new();
    let issuer = actor_with(&fetch, ISSUER, algorithm);
    let resolver = DidResolver::new(fetch.clone(), FixedClock::new(), DidSettings::default());
    Setup { fetch, resolver, issuer }
}

impl Setup {
    async fn check(&self, document: &Value) -> Result<DidUrl, CredentialError> {
        verify(document, &self.resolver, NOW).await
    }

    async fn code(&self, document: &Value) -> &'static str {
        self.check(document).await.map(|_method| "verified").unwrap_or_else(|error| error.code())
    }

    /// A document with a proof by the issuer.
    fn sign(&self, document: &Value, proof: &Value) -> Value {
        sign(&self.issuer.key, &self.issuer.kid, document, proof)
    }
}

fn credential() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential", "MembershipCredential"],
        "issuer": ISSUER,
        "validFrom": "2025-01-01T00:00:00Z",
        "validUntil": "2027-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:web:holder.example", "role": "broker", "level": 3, "share": 0.5, "active": true},
    })
}

fn presentation(credentials: &[Value]) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "type": "VerifiablePresentation",
        "holder": "did:web:holder.example",
        "verifiableCredential": credentials,
    })
}

fn by(cryptosuite: &str) -> Value {
    json!({"type": "DataIntegrityProof", "cryptosuite": cryptosuite, "proofPurpose": "assertionMethod", "created": "2025-12-01T00:00:00Z"})
}

fn eddsa() -> Value {
    by("eddsa-rdfc-2022")
}

/// Signs as the suites say it. `proof` is the proof without method and signature.
fn sign(key: &PrivateKey, kid: &str, document: &Value, proof: &Value) -> Value {
    sign_with(key.algorithm(), |bytes| key.sign(bytes).unwrap(), kid, document, proof)
}

fn sign_with(
    algorithm: Algorithm,
    signature: impl Fn(&[u8]) -> Vec<u8>,
    kid: &str,
    document: &Value,
    proof: &Value,
) -> Value {
    let mut members = proof.as_object().unwrap().clone();
    members.insert("verificationMethod".to_owned(), json!(kid));
    let jws = members["type"] == "JsonWebSignature2020";
    // In the order that `ssi` writes, which it also reads by.
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm.name(), "crit": ["b64"], "b64": false}).to_string());
    let mut unsigned = members.clone();
    let (name, dummy) = if jws { ("jws", format!("{header}..AAAA")) } else { ("proofValue", "z2".to_owned()) };
    unsigned.insert(name.to_owned(), json!(dummy));
    let read = Proof::read(&unsigned).unwrap();
    let hash = hash(document.as_object().unwrap().clone(), &read, algorithm).unwrap();
    let signature = signature(&read.signed(&hash));
    let value = if jws {
        format!("{header}..{}", URL_SAFE_NO_PAD.encode(&signature))
    } else {
        multibase::encode(multibase::Base::Base58Btc, &signature)
    };
    members.insert(name.to_owned(), json!(value));
    let mut signed = document.clone();
    signed["proof"] = Value::Object(members);
    signed
}

//! What `ssi` signs we verify, and what we sign `ssi` verifies.

use std::collections::HashMap;

use did_method_key::DIDKey;
use josekit::jws::{ES256, ES384, EdDSA};
use secrecy::ExposeSecret as _;
use ssi_claims::data_integrity::{
    AnyDataIntegrity, AnySuite, CryptographicSuite as _, DataIntegrityDocument, ProofOptions, from_json_str,
};
use ssi_claims::{SignatureEnvironment, VerificationParameters};
use ssi_json_ld::IriBuf;
use ssi_jwk::JWK;
use ssi_verification_methods::{AnyMethod, ProofPurpose, ReferenceOrOwned, SingleSecretSigner};

use super::*;
use crate::{Clock as _, SystemClock};

/// A key, its DID and its methods as `ssi` has them.
struct Party {
    key: PrivateKey,
    secret: JWK,
    kid: String,
    methods: HashMap<IriBuf, AnyMethod>,
}

fn party(algorithm: Algorithm, method_type: &str) -> Party {
    let key = PrivateKey::generate(algorithm).unwrap();
    let pem = key.to_pem().expose_secret();
    let secret = match algorithm {
        Algorithm::Es256 => ES256.key_pair_from_pem(pem).unwrap().to_jwk_private_key(),
        Algorithm::Es384 => ES384.key_pair_from_pem(pem).unwrap().to_jwk_private_key(),
        _ => EdDSA.key_pair_from_pem(pem).unwrap().to_jwk_private_key(),
    };
    let mut members = key.public().jwk().clone();
    members.extend(secret.as_ref().clone());
    let secret: JWK = serde_json::from_value(Value::Object(members)).unwrap();
    let did = DIDKey::generate(&secret.to_public()).unwrap().to_string();
    let encoded = did.strip_prefix("did:key:").unwrap();
    let kid = format!("{did}#{encoded}");
    let mut method = json!({"id": kid, "type": method_type, "controller": did});
    match method_type {
        "JsonWebKey2020" => method["publicKeyJwk"] = Value::Object(key.public().jwk().clone()),
        _ => method["publicKeyMultibase"] = json!(encoded),
    }
    let method = match method_type {
        "JsonWebKey2020" => AnyMethod::JsonWebKey2020(serde_json::from_value(method).unwrap()),
        "Multikey" => AnyMethod::Multikey(serde_json::from_value(method).unwrap()),
        _ => AnyMethod::Ed25519VerificationKey2020(serde_json::from_value(method).unwrap()),
    };
    let methods = HashMap::from([(IriBuf::new(kid.clone()).unwrap(), method)]);
    Party { key, secret, kid, methods }
}

/// Suite, method type, algorithm, and a proof to sign with.
fn suites() -> Vec<(AnySuite, &'static str, Algorithm, Value)> {
    let legacy = |name: &str, context: &str| json!({"type": name, "proofPurpose": "assertionMethod", "created": "2025-12-01T00:00:00Z", "@context": context});
    let jws = legacy("JsonWebSignature2020", "https://w3id.org/security/suites/jws-2020/v1");
    let ed25519 = legacy("Ed25519Signature2020", "https://w3id.org/security/suites/ed25519-2020/v1");
    vec![
        (AnySuite::EdDsaRdfc2022, "Multikey", Algorithm::EdDsa, eddsa()),
        (AnySuite::EcdsaRdfc2019, "Multikey", Algorithm::Es256, by("ecdsa-rdfc-2019")),
        (AnySuite::EcdsaRdfc2019, "Multikey", Algorithm::Es384, by("ecdsa-rdfc-2019")),
        (AnySuite::Ed25519Signature2020, "Ed25519VerificationKey2020", Algorithm::EdDsa, ed25519),
        (AnySuite::JsonWebSignature2020, "JsonWebKey2020", Algorithm::EdDsa, jws.clone()),
        (AnySuite::JsonWebSignature2020, "JsonWebKey2020", Algorithm::Es256, jws),
    ]
}

fn documents() -> [Value; 3] {
    let mut nested = credential();
    nested["credentialSubject"] = json!([
        {"id": "did:web:a.example", "address": {"street": "x", "numbers": [1, 2, 2.5]}, "names": ["b", "a", "b"]},
        {"role": {"part": "one"}},
        {"role": {"part": "two"}},
    ]);
    nested["name"] = json!({"@value": "Adhésion", "@language": "fr"});
    let mut first = credential();
    first["@context"] = json!([
        "https://www.w3.org/2018/credentials/v1",
        "https://w3id.org/security/data-integrity/v2",
        "https://www.w3.org/2018/credentials/examples/v1",
    ]);
    for name in ["validFrom", "validUntil"] {
        first.as_object_mut().unwrap().remove(name);
    }
    first["issuanceDate"] = json!("2025-01-01T00:00:00Z");
    first["type"] = json!(["VerifiableCredential"]);
    first["credentialSubject"] = json!({"id": "did:web:holder.example"});
    [credential(), nested, first]
}

#[tokio::test]
async fn what_ssi_signs_is_verified_here() {
    let setup = setup(Algorithm::EdDsa);
    for (suite, method_type, algorithm, proof) in suites() {
        let party = party(algorithm, method_type);
        for document in documents() {
            let input: DataIntegrityDocument = serde_json::from_str(&document.to_string()).unwrap();
            let method = IriBuf::new(party.kid.clone()).unwrap();
            let context = proof.get("@context").map(|context| serde_json::from_value(context.clone()).unwrap());
            let options = ProofOptions {
                context,
                verification_method: Some(ReferenceOrOwned::Reference(method)),
                proof_purpose: ProofPurpose::Assertion,
                ..Default::default()
            };
            let signer = SingleSecretSigner::new(party.secret.clone()).into_local();
            let signed: AnyDataIntegrity = suite
                .sign_with(SignatureEnvironment::default(), input, &party.methods, signer, options, Default::default())
                .await
                .unwrap();
            let signed = serde_json::to_value(&signed).unwrap();
            // `ssi` takes the time of this machine.
            let now = SystemClock.now();
            let code = |document: Value| {
                let resolver = &setup.resolver;
                async move { verify(&document, resolver, now).await.map_or_else(|error| error.code(), |_| "verified") }
            };
            assert_eq!(code(signed.clone()).await, "verified", "{signed}");
            let mut damaged = signed;
            damaged["issuer"] = json!("did:web:other.example");
            assert_eq!(code(damaged).await, "bad_signature");
        }
    }
}

#[tokio::test]
async fn what_is_signed_here_ssi_verifies() {
    for (_suite, method_type, algorithm, proof) in suites() {
        let party = party(algorithm, method_type);
        for document in documents() {
            let signed = sign(&party.key, &party.kid, &document, &proof);
            assert!(verified_by_ssi(&signed, &party).await, "{signed}");
            let mut damaged = signed;
            damaged["issuer"] = json!("did:web:other.example");
            assert!(!verified_by_ssi(&damaged, &party).await);
        }
    }
}

/// The outer result says whether it could be checked, the inner one what came out.
async fn verified_by_ssi(document: &Value, party: &Party) -> bool {
    let document: AnyDataIntegrity<DataIntegrityDocument> = from_json_str(&document.to_string()).unwrap();
    matches!(document.verify(VerificationParameters::from_resolver(&party.methods)).await, Ok(Ok(())))
}

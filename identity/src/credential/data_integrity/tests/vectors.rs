//! Vectors of vc-di-eddsa and vc-di-ecdsa (W3C, appendices "Test Vectors"). Their methods are no DIDs, so that the key is taken
//! from the method's name here.

use serde_json::{Value, json};

use super::*;
use crate::did::{Did, DidDocument};
use crate::jose::PublicKey;

fn alumni(description: &str) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
        "type": ["VerifiableCredential", "AlumniCredential"],
        "name": "Alumni Credential",
        "description": description,
        "issuer": "https://vc.example/issuers/5678",
        "validFrom": "2023-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"},
    })
}

/// The key that the method is named by.
fn key(multikey: &str) -> PublicKey {
    let did: Did = "did:web:vc.example".parse().unwrap();
    let method = json!({"id": "#key", "type": "Multikey", "publicKeyMultibase": multikey});
    let document = DidDocument::parse(&json!({"id": did.as_str(), "verificationMethod": [method]})).unwrap();
    document.methods[0].key.clone().unwrap()
}

fn verify_vector(document: &Value, proof: Value, multikey: &str, suite: Suite) -> Result<(), &'static str> {
    let mut members = proof.as_object().unwrap().clone();
    members.insert("created".to_owned(), json!("2023-02-24T23:36:38Z"));
    members.insert("proofPurpose".to_owned(), json!("assertionMethod"));
    members.insert("verificationMethod".to_owned(), json!(format!("https://vc.example/issuers/5678#{multikey}")));
    let signature = members["proofValue"].as_str().unwrap();
    let proof = Proof {
        suite,
        method: DidUrl::parse("did:web:vc.example#key").unwrap(),
        purpose: "assertionMethod".to_owned(),
        signature: multibase::decode(signature).unwrap().1,
        jws: None,
        members: &members,
    };
    let key = key(multikey);
    let algorithm = proof.algorithm(&key).unwrap();
    let hash = hash(document.as_object().unwrap().clone(), &proof, algorithm).unwrap();
    key.verify(algorithm, &proof.signed(&hash), &proof.signature).map_err(|error| error.code())
}

const ED25519: &str = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2";

#[test]
fn published_proofs_are_verified() {
    let document = alumni("A minimum viable example of an Alumni Credential.");
    let vectors = [
        (
            json!({
                "type": "DataIntegrityProof", "cryptosuite": "eddsa-rdfc-2022",
                "proofValue": "z21EVs3eXERqTn4acNHT9viboqgzUaQ3kTmhPT3eA8qrVPE7CrQq78WkzctnMX5W4CrzcKnHw8V6dvy5pgWYCU5e9",
            }),
            ED25519,
            Suite::EdDsaRdfc2022,
        ),
        (
            json!({
                "type": "DataIntegrityProof", "cryptosuite": "ecdsa-rdfc-2019",
                "proofValue": "z4KKHqaD4F7GHyLA6f3wK9Ehxtogv5jQRFpQBM4sXkSf7Bozd7bAf7dF6UkfM2aSCBMm24mPvaFXmzQmimzaEC3SL",
            }),
            "zDnaepBuvsQ8cpsWrVKw8fbpGpvPeNSjVPTWoq6cRqaYzBKVP",
            Suite::EcdsaRdfc2019,
        ),
        (
            json!({
                "type": "DataIntegrityProof", "cryptosuite": "ecdsa-rdfc-2019",
                "proofValue": "zpuEu1cJ7Wpb453b4RiV3ex7SKGYm3fdAd4WUTVpR8Me3ZXkCCVUfd4M4TvHF9Wv1tRNWe5SkZhQTGYLUxdugFRGC2uyYRNTnimS6UMN6wkenTViRK1Mei7DooSBpumHHjYu",
            }),
            "z82LkuBieyGShVBhvtE2zoiD6Kma4tJGFtkAhxR5pfkp5QPw4LutoYWhvQCnGjdVn14kujQ",
            Suite::EcdsaRdfc2019,
        ),
    ];
    for (proof, multikey, suite) in vectors {
        assert_eq!(verify_vector(&document, proof.clone(), multikey, suite), Ok(()), "{proof}");
        let mut changed = document.clone();
        changed["credentialSubject"]["alumniOf"] = json!("another school");
        assert_eq!(verify_vector(&changed, proof, multikey, suite), Err("bad_signature"));
    }
}

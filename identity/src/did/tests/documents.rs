use serde_json::{Value, json};

use super::*;
use crate::jose::{Algorithm, PrivateKey};

fn jwk() -> Value {
    Value::Object(PrivateKey::generate(Algorithm::Es256).unwrap().public().jwk().clone())
}

fn document() -> Value {
    json!({
        "id": "did:web:a.example",
        "verificationMethod": [{"id": "#k1", "type": "JsonWebKey2020", "controller": "did:web:a.example", "publicKeyJwk": jwk()}],
        "authentication": ["#k1", {"id": "did:web:a.example#k2", "type": "JsonWebKey", "publicKeyJwk": jwk()}],
        "assertionMethod": "did:web:a.example#k1",
        "service": [
            {"id": "#cs", "type": ["Other", "CredentialService"], "serviceEndpoint": "https://a.example/cs"},
            {"id": "#is", "type": "IssuerService", "serviceEndpoint": ["https://a.example/is"]},
            {"id": "#map", "type": "Map", "serviceEndpoint": {"origins": []}},
        ],
    })
}

#[test]
fn keys_are_listed_for_their_uses() {
    let document = DidDocument::parse(&document()).unwrap();
    let (k1, k2) = (method("did:web:a.example#k1"), method("did:web:a.example#k2"));
    assert_eq!(document.methods.len(), 2);
    assert!(document.allows(Relationship::Authentication, &k1));
    assert!(document.allows(Relationship::Authentication, &k2));
    assert!(document.allows(Relationship::AssertionMethod, &k1));
    assert!(!document.allows(Relationship::AssertionMethod, &k2));
    assert!(!document.allows(Relationship::CapabilityInvocation, &k1));
    assert_eq!(document.endpoint("CredentialService"), Some("https://a.example/cs"));
    assert_eq!(document.endpoint("IssuerService"), Some("https://a.example/is"));
    assert_eq!(document.endpoint("Map"), None);
}

#[test]
fn a_document_that_tells_no_use_of_any_key_leaves_it_open() {
    let method_of = |more: Value| {
        let mut document = json!({
            "id": "did:web:a.example",
            "verificationMethod": [{"id": "#k1", "publicKeyJwk": jwk(), "publicKeyMultibase": null}],
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        DidDocument::parse(&document).unwrap()
    };
    let uses = [Relationship::Authentication, Relationship::AssertionMethod, Relationship::CapabilityInvocation];
    let (k1, other) = (method("did:web:a.example#k1"), method("did:web:a.example#k2"));
    for silent in [json!({}), json!({"authentication": null})] {
        let document = method_of(silent);
        assert!(document.methods[0].key.is_ok());
        assert!(uses.iter().all(|&of| document.allows(of, &k1) && !document.allows(of, &other)));
    }
    for telling in [json!({"authentication": []}), json!({"keyAgreement": ["#k1"]})] {
        let document = method_of(telling);
        assert!(uses.iter().all(|&of| !document.allows(of, &k1)));
    }
}

#[test]
fn a_document_that_is_none_is_refused() {
    let with = |name: &str, value: Value| {
        let mut document = document();
        document[name] = value;
        DidDocument::parse(&document).unwrap_err().code()
    };
    let k1 = json!({"id": "#k1", "publicKeyJwk": jwk()});
    assert_eq!(with("id", json!("a.example")), "malformed_did");
    assert_eq!(with("id", json!(7)), "bad_did_document");
    assert_eq!(with("verificationMethod", json!([k1, k1])), "bad_did_document");
    assert_eq!(with("verificationMethod", json!([{"publicKeyJwk": jwk()}])), "bad_did_document");
    assert_eq!(with("verificationMethod", json!(7)), "bad_did_document");
    assert_eq!(with("authentication", json!([7])), "bad_did_document");
    assert_eq!(with("service", Value::Array(vec![json!({}); 100])), "bad_did_document");
    let many = (0..65).map(|n| json!({"id": format!("#k{n}"), "publicKeyJwk": {}})).collect();
    assert_eq!(with("verificationMethod", Value::Array(many)), "bad_did_document");
    // Over the limit only together.
    let embedded: Vec<Value> = (0..64).map(|n| json!({"id": format!("#e{n}"), "publicKeyJwk": {}})).collect();
    assert_eq!(with("authentication", Value::Array(embedded)), "bad_did_document");
}

#[test]
fn a_key_of_another_kind_matters_to_its_users_only() {
    let mut value = document();
    value["verificationMethod"][0]["publicKeyJwk"]["crv"] = json!("secp256k1");
    let document = DidDocument::parse(&value).unwrap();
    let key = &document.method(&method("did:web:a.example#k1")).unwrap().key;
    assert_eq!(key.as_ref().unwrap_err().code(), "bad_did_document");
    assert!(document.method(&method("did:web:a.example#k2")).unwrap().key.is_ok());
}

#[test]
fn multibase_keys_are_read() {
    // The key of the example of the did:key method, and of Ed25519VerificationKey2020.
    let encoded = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    let read = |method: Value| {
        let document = DidDocument::parse(&json!({"id": "did:web:a.example", "verificationMethod": [method]})).unwrap();
        document.methods[0].key.clone()
    };
    let key = read(json!({"id": "#k", "type": "Multikey", "publicKeyMultibase": encoded})).unwrap();
    assert_eq!(key.jwk()["x"], "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik");
    assert_eq!(key.jwk()["crv"], "Ed25519");
    let p256 = "zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169";
    assert_eq!(read(json!({"id": "#k", "publicKeyMultibase": p256})).unwrap().jwk()["crv"], "P-256");
    for bad in
        ["", "z", "zzzz", "0abc", "z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQgQjQC23ZCit6F", "z\u{e9}", &"z6".repeat(2000)]
    {
        let error = read(json!({"id": "#k", "publicKeyMultibase": bad})).unwrap_err();
        assert_eq!(error.code(), "bad_did_document", "{bad}");
    }
    let both = read(json!({"id": "#k", "publicKeyMultibase": encoded, "publicKeyJwk": jwk()}));
    assert_eq!(both.unwrap_err().code(), "bad_did_document");
}

use super::*;
use crate::jose::Algorithm;
use crate::keys::KeyRing;
use crate::testing::NOW;

#[test]
fn our_document_lists_keys_by_their_state() {
    let us = did("did:web:us.example");
    let mut ring = KeyRing::init(Algorithm::Es256, NOW).unwrap();
    let first = ring.current().unwrap().method(&us).unwrap();
    ring.rotate(Algorithm::EdDsa, NOW + 10, NOW + 1000).unwrap();
    let second = ring.current().unwrap().method(&us).unwrap();
    let services = [
        OwnService { service_type: "CredentialService".to_owned(), endpoint: "https://us.example/cs".to_owned() },
        OwnService { service_type: "IssuerService".to_owned(), endpoint: "https://us.example/is".to_owned() },
    ];
    let read = |ring: &KeyRing, now| DidDocument::parse(&own_document(&us, ring, &services, now).unwrap()).unwrap();

    let document = read(&ring, NOW + 20);
    assert_eq!(document.id, us);
    for use_of in [Relationship::Authentication, Relationship::AssertionMethod, Relationship::CapabilityInvocation] {
        assert!(document.allows(use_of, &second));
        assert_eq!(document.allows(use_of, &first), use_of == Relationship::AssertionMethod);
    }
    assert_eq!(document.endpoint("CredentialService"), Some("https://us.example/cs"));
    assert_eq!(document.endpoint("IssuerService"), Some("https://us.example/is"));

    assert_eq!(read(&ring, NOW + 1000).methods.len(), 1, "its time is over");
    ring.revoke(first.fragment(), NOW + 30).unwrap();
    let document = read(&ring, NOW + 40);
    assert!(document.method(&first).is_none() && !document.allows(Relationship::AssertionMethod, &first));
}

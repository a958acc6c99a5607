use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::testing::{Actor, FixedClock, MapFetch, NOW, actor, ok_json, status, unreachable_host};
use crate::{FetchError, Fetched};

const NAME: &str = "did:web:a.example";
const URL: &str = "https://a.example/.well-known/did.json";

fn setup() -> (Arc<MapFetch>, Arc<FixedClock>, DidResolver, Actor) {
    let (fetch, clock) = (MapFetch::new(), FixedClock::new());
    let resolver = DidResolver::new(fetch.clone(), clock.clone(), DidSettings::default());
    let actor = actor(&fetch, NAME);
    (fetch, clock, resolver, actor)
}

async fn code(resolver: &DidResolver, name: &str) -> &'static str {
    resolver.resolve(&did(name)).await.unwrap_err().code()
}

#[tokio::test]
async fn a_document_is_kept_for_its_time() {
    let (fetch, clock, resolver, _actor) = setup();
    for _ in 0..3 {
        assert_eq!(resolver.resolve(&did(NAME)).await.unwrap().id, did(NAME));
    }
    assert_eq!(fetch.calls(URL), 1);
    clock.advance(299);
    resolver.resolve(&did(NAME)).await.unwrap();
    assert_eq!(fetch.calls(URL), 1);
    clock.advance(1);
    resolver.resolve(&did(NAME)).await.unwrap();
    assert_eq!(fetch.calls(URL), 2);
    resolver.forget(&did(NAME)).await;
    resolver.resolve(&did(NAME)).await.unwrap();
    assert_eq!(fetch.calls(URL), 3);
    resolver.resolve_fresh(&did(NAME)).await.unwrap();
    assert_eq!(fetch.calls(URL), 4);
}

#[tokio::test]
async fn the_host_may_shorten_the_time() {
    let (fetch, clock, resolver, actor) = setup();
    fetch.put(URL, Fetched { max_age: Some(60), ..ok_json(&actor.document()) });
    resolver.resolve(&did(NAME)).await.unwrap();
    clock.advance(60);
    fetch.put(URL, Fetched { max_age: Some(0), ..ok_json(&actor.document()) });
    resolver.resolve(&did(NAME)).await.unwrap();
    assert_eq!(fetch.calls(URL), 2);
    // Not to nothing: every message would cost a request.
    clock.advance(4);
    resolver.resolve(&did(NAME)).await.unwrap();
    assert_eq!(fetch.calls(URL), 2);
    clock.advance(1);
    fetch.put(URL, Fetched { max_age: Some(u64::MAX), ..ok_json(&actor.document()) });
    resolver.resolve(&did(NAME)).await.unwrap();
    clock.advance(300);
    resolver.resolve(&did(NAME)).await.unwrap();
    assert_eq!(fetch.calls(URL), 4);
}

#[tokio::test]
async fn those_who_ask_at_once_share_a_request() {
    let (fetch, clock, resolver, _actor) = setup();
    let resolver = Arc::new(resolver);
    for round in 1..=2 {
        let asks: Vec<_> = (0..20)
            .map(|_| {
                let resolver = resolver.clone();
                tokio::spawn(async move { resolver.resolve(&did(NAME)).await.is_ok() })
            })
            .collect();
        for ask in asks {
            assert!(ask.await.unwrap());
        }
        assert_eq!(fetch.calls(URL), round);
        clock.advance(1000);
    }
}

#[tokio::test]
async fn what_is_no_document_of_the_did_is_refused() {
    let (fetch, clock, resolver, actor) = setup();
    let html = Fetched { body: b"<html>".to_vec(), ..status(200) };
    let mut other = actor.document();
    other["id"] = json!("did:web:b.example");
    let large = Fetched { body: vec![b' '; 65 * 1024], ..status(200) };
    let deep = Fetched { body: "[".repeat(60_000).into_bytes(), ..status(200) };
    for (answer, expected, temporary) in [
        (status(404), "did_not_found", false),
        (status(410), "did_not_found", false),
        (status(302), "did_unreachable", false),
        (status(403), "did_unreachable", false),
        (status(500), "did_unreachable", true),
        (status(429), "did_unreachable", true),
        (html, "bad_did_document", false),
        (deep, "bad_did_document", false),
        (large, "did_unreachable", false),
        (ok_json(&other), "did_mismatch", false),
    ] {
        fetch.put(URL, answer.clone());
        let error = resolver.resolve(&did(NAME)).await.unwrap_err();
        assert_eq!((error.code(), error.is_temporary()), (expected, temporary), "{}", answer.status);
        clock.advance(5);
    }
    fetch.fail(URL, unreachable_host());
    assert!(resolver.resolve(&did(NAME)).await.unwrap_err().is_temporary());
    clock.advance(5);
    fetch.fail(URL, FetchError { message: "10.0.0.1 is not public".to_owned(), forbidden: true, temporary: false });
    assert_eq!(code(&resolver, NAME).await, "forbidden_address");
    assert_eq!(code(&resolver, "did:ethr:0xabc").await, "unsupported_did_method");
}

#[tokio::test]
async fn a_failure_is_remembered_for_a_moment() {
    let (fetch, clock, resolver, actor) = setup();
    fetch.put(URL, status(500));
    assert_eq!(code(&resolver, NAME).await, "did_unreachable");
    fetch.put_json(URL, &actor.document());
    assert_eq!(code(&resolver, NAME).await, "did_unreachable");
    assert_eq!(fetch.calls(URL), 1);
    clock.advance(5);
    assert!(resolver.resolve(&did(NAME)).await.is_ok());
}

#[tokio::test]
async fn a_key_must_be_listed_for_its_use() {
    let (fetch, _clock, resolver, actor) = setup();
    let kid = method(&actor.kid);
    assert_eq!(resolver.key(&kid, Relationship::Authentication).await.unwrap(), *actor.key.public());
    let mut document = actor.document();
    document["authentication"] = json!([]);
    fetch.put_json(URL, &document);
    resolver.forget(&did(NAME)).await;
    let refused = resolver.key(&kid, Relationship::Authentication).await.unwrap_err();
    assert_eq!(refused.code(), "key_not_allowed");
    assert!(resolver.key(&kid, Relationship::CapabilityInvocation).await.is_ok());
}

#[tokio::test]
async fn a_new_key_is_looked_for_once_in_a_while() {
    let (fetch, clock, resolver, old) = setup();
    resolver.resolve(&did(NAME)).await.unwrap();
    let new = method(&format!("{NAME}#key-2"));
    clock.advance(9);
    for _ in 0..3 {
        let missing = resolver.key(&new, Relationship::Authentication).await.unwrap_err();
        assert_eq!(missing.code(), "unknown_key");
    }
    assert_eq!(fetch.calls(URL), 1, "fetched a moment ago");
    let mut document = old.document();
    document["verificationMethod"][0]["id"] = json!(new.to_string());
    document["authentication"] = json!([new.to_string()]);
    fetch.put_json(URL, &document);
    clock.advance(1);
    assert!(resolver.key(&new, Relationship::Authentication).await.is_ok());
    assert_eq!(fetch.calls(URL), 2);
    let gone = resolver.key(&method(&old.kid), Relationship::Authentication).await.unwrap_err();
    assert_eq!(gone.code(), "unknown_key");
    assert_eq!(fetch.calls(URL), 2);
}

#[tokio::test]
async fn without_a_name_there_must_be_one_key() {
    let (fetch, _clock, resolver, actor) = setup();
    let (kid, key) = resolver.sole_key(&did(NAME), Relationship::CapabilityInvocation).await.unwrap();
    assert_eq!((kid.to_string(), &key), (actor.kid.clone(), actor.key.public()));
    for (methods, invocation, expected) in [
        (json!([]), json!([]), "unknown_key"),
        (actor.document()["verificationMethod"].clone(), json!([]), "key_not_allowed"),
        (
            json!([actor.document()["verificationMethod"][0], {"id": "#other", "publicKeyJwk": {}}]),
            json!([actor.kid]),
            "ambiguous_key",
        ),
    ] {
        let mut document = actor.document();
        for name in ["authentication", "assertionMethod"] {
            document[name] = json!([]);
        }
        document["verificationMethod"] = methods;
        document["capabilityInvocation"] = invocation;
        fetch.put_json(URL, &document);
        resolver.forget(&did(NAME)).await;
        let error = resolver.sole_key(&did(NAME), Relationship::CapabilityInvocation).await.unwrap_err();
        assert_eq!(error.code(), expected);
    }
}

#[tokio::test]
async fn our_own_document_needs_no_request() {
    let (fetch, _clock, resolver, actor) = setup();
    let mut document = actor.document();
    document["service"] = json!([]);
    let resolver = resolver.with_own(DidDocument::parse(&document).unwrap());
    assert!(resolver.resolve(&did(NAME)).await.unwrap().services.is_empty());
    let unknown = resolver.key(&method(&format!("{NAME}#other")), Relationship::Authentication).await.unwrap_err();
    assert_eq!(unknown.code(), "unknown_key");
    assert_eq!(fetch.total_calls(), 0);
    resolver.set_own(DidDocument::parse(&actor.document()).unwrap());
    assert_eq!(resolver.resolve(&did(NAME)).await.unwrap().services.len(), 1);
    // What is published is another question.
    assert_eq!(resolver.resolve_fresh(&did(NAME)).await.unwrap().services.len(), 1);
    assert_eq!(fetch.total_calls(), 1);
}

#[tokio::test]
async fn plain_http_is_a_setting() {
    let (fetch, clock) = (MapFetch::new(), FixedClock::at(NOW));
    let settings = DidSettings { allow_http: true, ..DidSettings::default() };
    let resolver = DidResolver::new(fetch.clone(), clock, settings);
    fetch.put_json("http://localhost:8080/a/did.json", &json!({"id": "did:web:localhost%3A8080:a"}));
    assert!(resolver.resolve(&did("did:web:localhost%3A8080:a")).await.is_ok());
}

#[tokio::test]
async fn a_did_can_be_its_key() {
    let (fetch, _clock, resolver, _actor) = setup();
    let ed25519 = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    let jwk = "eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImFjYklRaXVNczNpOF91c3pFakoydHBUdFJNNEVVM3l6OTFQSDZDZEgyVjAiLCJ5IjoiX0tjeUxqOXZXTXB0bm1LdG00NkdxRHo4d2Y3NEk1TEtncmwyR3pIM25TRSJ9";
    for (key, member, value) in [
        (format!("did:key:{ed25519}#{ed25519}"), "x", "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"),
        (
            "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169#zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169"
                .to_owned(),
            "crv",
            "P-256",
        ),
        (format!("did:jwk:{jwk}#0"), "x", "acbIQiuMs3i8_uszEjJ2tpTtRM4EU3yz91PH6CdH2V0"),
    ] {
        for relationship in
            [Relationship::Authentication, Relationship::AssertionMethod, Relationship::CapabilityInvocation]
        {
            assert_eq!(resolver.key(&method(&key), relationship).await.unwrap().jwk()[member], value, "{key}");
        }
        assert!(resolver.sole_key(method(&key).did(), Relationship::Authentication).await.is_ok());
    }
    assert_eq!(fetch.total_calls(), 0);
}

#[tokio::test]
async fn a_did_that_holds_no_key_of_ours_is_refused() {
    let (_fetch, _clock, resolver, _actor) = setup();
    for (name, expected) in [
        ("did:key:z", "malformed_did"),
        ("did:key:zzzz", "malformed_did"),
        ("did:key:z6Mk%31", "malformed_did"),
        ("did:key:%zz", "malformed_did"),
        ("did:jwk:", "malformed_did"),
        ("did:jwk:e30", "malformed_did"),
        ("did:jwk:W10", "malformed_did"),
        // X25519 and secp256k1.
        ("did:key:z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQgQjQC23ZCit6F", "malformed_did"),
        ("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme", "malformed_did"),
        // {"kty":"oct","k":"AA"}
        ("did:jwk:eyJrdHkiOiJvY3QiLCJrIjoiQUEifQ", "malformed_did"),
    ] {
        match name.parse::<Did>() {
            Ok(parsed) => {
                let code = resolver.resolve(&parsed).await.unwrap_err().code();
                assert!(code == expected || code == "bad_did_document", "{name}: {code}");
            }
            Err(error) => assert_eq!(error.code(), expected, "{name}"),
        }
    }
    let long = format!("did:key:z{}", "6".repeat(1500));
    assert_eq!(code(&resolver, &long).await, "malformed_did");
}

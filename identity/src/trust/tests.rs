use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::*;
use crate::testing::{FixedClock, MapFetch, status, unreachable_host};

const ISSUER: &str = "did:web:authority.example%3A8443:issuer";
const REGISTRY: &str = "https://tir.example/api/v4/issuers/did:web:authority.example%253A8443:issuer";

fn types(names: &[&str]) -> Vec<String> {
    std::iter::once(&"VerifiableCredential").chain(names).map(|name| (*name).to_owned()).collect()
}

fn list(text: &Value) -> IssuerList {
    IssuerList::new(TrustedIssuer::parse_list(text.to_string().as_bytes()).unwrap()).unwrap()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn a_list_believes_what_it_says() {
    let list = list(&json!({"issuers": [
        {"did": "did:web:a", "credentials": [{"type": "Member"}, {"type": "Role", "claims": ["role"]}]},
        {"did": "did:web:b", "credentials": [{"type": "*"}, {"type": "Role", "claims": ["role"]}]},
        {"did": "did:web:c", "credentials": []},
    ]}));
    let table = [
        ("did:web:a", types(&["Member"]), true),
        ("did:web:a", types(&["Member", "Role"]), true),
        ("did:web:a", types(&["Member", "Other"]), false),
        ("did:web:a", types(&["Other"]), false),
        ("did:web:a", types(&[]), false),
        ("did:web:a", types(&["BitstringStatusListCredential"]), true),
        ("did:web:a", types(&["StatusList2021Credential"]), true),
        ("did:web:b", types(&["Other"]), true),
        ("did:web:b", types(&[]), true),
        ("did:web:c", types(&["BitstringStatusListCredential"]), false),
        ("did:web:c", types(&["Member"]), false),
        ("did:web:d", types(&["Member"]), false),
    ];
    for (issuer, types, passes) in table {
        let result = list.check(issuer, &types).await;
        assert_eq!(result.is_ok(), passes, "{issuer} {types:?}");
        if let Err(error) = result {
            assert_eq!(error.code(), "untrusted_issuer");
        }
    }
    let message = list.check("did:web:a", &types(&["Member", "Other"])).await.unwrap_err().to_string();
    assert_eq!(message, "`did:web:a` is not a trusted issuer of `Other`");
    assert_eq!(list.claims("did:web:a", &types(&["Member"])).await, None);
    assert_eq!(list.claims("did:web:a", &types(&["Role"])).await, Some(vec!["role".to_owned()]));
    assert_eq!(list.claims("did:web:b", &types(&["Role"])).await, Some(vec!["role".to_owned()]));
    assert_eq!(list.claims("did:web:b", &types(&["Other"])).await, None);
    assert_eq!(list.claims("did:web:d", &types(&["Other"])).await, Some(Vec::new()));
    let subject = object(&json!({"id": "x", "role": 1, "else": 2}));
    assert_eq!(list.admit("did:web:a", &types(&["Role"]), subject).await, object(&json!({"id": "x", "role": 1})));
}

#[tokio::test]
async fn a_list_that_is_wrong_is_not_taken() {
    let entry = json!({"type": "Member"});
    let table = [
        json!({"issuers": [{"did": "nobody", "credentials": [entry]}]}),
        json!({"issuers": [{"did": "did:web:a", "credentials": []}, {"did": "did:web:a", "credentials": []}]}),
        json!({"issuers": [{"did": "did:web:a", "credentials": [entry, entry]}]}),
        json!({"issuers": [{"did": "did:web:a", "credentials": [{"type": ""}]}]}),
        json!({"issuers": [{"did": "did:web:a", "credentials": [{"type": "VerifiableCredential"}]}]}),
        json!({"issuers": [{"did": "did:web:a"}]}),
        json!({"issuers": [{"did": "did:web:a", "credentials": [{"type": "A", "clams": []}]}]}),
        json!({"issuer": []}),
        json!([]),
    ];
    let list = list(&json!({"issuers": [{"did": "did:web:old", "credentials": [entry]}]}));
    for text in table {
        let read = TrustedIssuer::parse_list(text.to_string().as_bytes());
        assert!(read.and_then(|issuers| list.replace(issuers)).is_err(), "{text}");
        assert!(list.check("did:web:old", &types(&["Member"])).await.is_ok());
    }
    assert!(TrustedIssuer::parse_list(&vec![b' '; 5 * 1024 * 1024]).is_err());
    list.replace(Vec::new()).unwrap();
    assert!(list.check("did:web:old", &types(&["Member"])).await.is_err());
    assert!(list.issuers().is_empty());
}

fn attribute(body: &Value) -> Value {
    json!({"hash": "", "issuerType": "TI", "body": STANDARD.encode(body.to_string())})
}

fn registry(attributes: &[Value]) -> (IssuerRegistry, Arc<MapFetch>, Arc<FixedClock>) {
    let (fetch, clock) = (MapFetch::new(), FixedClock::new());
    fetch.put_json(REGISTRY, &json!({"did": ISSUER, "attributes": attributes}));
    let base = "https://tir.example/api/".parse().unwrap();
    (IssuerRegistry::new(fetch.clone(), clock.clone(), base, 60), fetch, clock)
}

#[tokio::test]
async fn a_registry_believes_what_it_says() {
    let (registry, fetch, clock) = registry(&[
        attribute(&json!({"credentialsType": "Member"})),
        attribute(&json!({"credentialsType": "Role", "claims": [
            {"name": "role", "allowedValues": ["planner", "reader"]},
            {"name": "deep", "path": "$.names[?(@.a==1)]", "allowedValues": [1]},
            {"name": "level", "path": "$.level", "allowedValues": [3]},
            {"name": "free"},
        ]})),
        attribute(
            &json!({"credentialsType": "Past", "validFor": {"from": "2020-01-01T00:00:00Z", "to": "2025-12-31T00:00:00Z"}}),
        ),
        attribute(&json!({"credentialsType": "Future", "validFor": {"from": "2027-01-01T00:00:00Z"}})),
        attribute(&json!({"credentialsType": "Odd", "validFor": {"from": "soon"}})),
        json!({"issuerType": "Revoked", "body": STANDARD.encode("{\"credentialsType\":\"Gone\"}")}),
        json!({"body": "?"}),
        json!({}),
    ]);
    for (name, passes) in
        [("Member", true), ("Role", true), ("Past", false), ("Future", false), ("Odd", false), ("Gone", false)]
    {
        let result = registry.check(ISSUER, &types(&[name])).await;
        assert_eq!(result.is_ok(), passes, "{name}");
        assert!(result.is_ok() || result.unwrap_err().code() == "untrusted_issuer");
    }
    assert!(registry.check(ISSUER, &types(&["BitstringStatusListCredential"])).await.is_ok());
    assert!(registry.check(ISSUER, &types(&[])).await.is_err());
    assert_eq!(fetch.calls(REGISTRY), 1);
    clock.advance(60);
    assert!(registry.check(ISSUER, &types(&["Member"])).await.is_ok());
    assert_eq!(fetch.calls(REGISTRY), 2);

    let role = types(&["Role"]);
    let admit = |subject: Value| registry.admit(ISSUER, &role, object(&subject));
    let whole = json!({"id": "x", "role": ["planner", "reader"], "level": 3, "free": 9, "unnamed": 1});
    assert_eq!(admit(whole.clone()).await, object(&whole));
    let limited = json!({"id": "x", "role": ["planner", "king"], "level": 4, "names": [1]});
    assert_eq!(admit(limited).await, object(&json!({"id": "x"})));
    assert_eq!(registry.claims(ISSUER, &role).await, None);
    assert_eq!(registry.claims(ISSUER, &types(&["Other"])).await, Some(Vec::new()));
    assert!(registry.admit("did:web:unknown", &role, object(&whole)).await.is_empty());
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_trusts_nobody() {
    let (registry, fetch, clock) = registry(&[]);
    let asks = [
        (Some(status(404)), "untrusted_issuer", false),
        (Some(status(500)), "trust_unavailable", true),
        (Some(status(302)), "trust_unavailable", true),
        (Some(crate::testing::ok_json(&json!({"did": "did:web:other", "attributes": []}))), "trust_unavailable", true),
        (Some(crate::testing::ok_json(&json!(vec![0; 600_000]))), "trust_unavailable", true),
        (
            Some(crate::testing::ok_json(&json!({"did": ISSUER, "attributes": vec![0; 1001]}))),
            "trust_unavailable",
            true,
        ),
        (None, "trust_unavailable", true),
    ];
    for (answer, code, temporary) in asks {
        match answer {
            Some(answer) => fetch.put(REGISTRY, answer),
            None => fetch.fail(REGISTRY, unreachable_host()),
        }
        clock.advance(100);
        let error = registry.check(ISSUER, &types(&["Member"])).await.unwrap_err();
        assert_eq!((error.code(), error.is_temporary()), (code, temporary));
    }
    assert_eq!(registry.check("no did", &types(&["Member"])).await.unwrap_err().code(), "untrusted_issuer");
}

#[tokio::test]
async fn several_lists() {
    let (registry, fetch, _clock) = registry(&[attribute(&json!({"credentialsType": "Member"}))]);
    let own = list(&json!({"issuers": [{"did": ISSUER, "credentials": [{"type": "Role", "claims": ["role"]}]}]}));
    let any = AnyOf::new(vec![Arc::new(own), Arc::new(registry)]);
    assert!(any.check(ISSUER, &types(&["Role"])).await.is_ok());
    assert!(any.check(ISSUER, &types(&["Member"])).await.is_ok());
    assert_eq!(any.check(ISSUER, &types(&["Other"])).await.unwrap_err().code(), "untrusted_issuer");
    assert_eq!(any.claims(ISSUER, &types(&["Role"])).await, Some(vec!["role".to_owned()]));
    assert_eq!(any.claims(ISSUER, &types(&["Member"])).await, None);
    let subject = object(&json!({"id": "x", "role": 1, "else": 2}));
    assert_eq!(any.admit(ISSUER, &types(&["Role"]), subject.clone()).await.len(), 2);
    assert_eq!(any.admit(ISSUER, &types(&["Member"]), subject.clone()).await, subject);
    assert!(any.admit(ISSUER, &types(&["Other"]), subject).await.is_empty());
    let other = "did:web:other.example";
    let elsewhere = "https://tir.example/api/v4/issuers/did:web:other.example";
    fetch.fail(elsewhere, unreachable_host());
    let error = any.check(other, &types(&["Member"])).await.unwrap_err();
    assert_eq!((error.code(), error.is_temporary()), ("trust_unavailable", true));
    assert_eq!(AnyOf::new(Vec::new()).check(other, &types(&["Member"])).await.unwrap_err().code(), "untrusted_issuer");
}

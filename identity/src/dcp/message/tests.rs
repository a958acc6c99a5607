use serde_json::{Value, json};

use super::*;
use crate::dcp::Refusal;

fn message(name: &str, members: &Value) -> Value {
    let mut message = json!({"@context": [CONTEXT], "type": name});
    message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    message
}

/// The code of a refusal; all of these are 400.
fn code<T: std::fmt::Debug>(result: Result<T, DcpError>) -> &'static str {
    let error = result.unwrap_err();
    assert_eq!(error.refusal(), Refusal::BadRequest, "{error}");
    error.code()
}

const SCOPE: &str = "org.eclipse.dspace.dcp.vc.type:Member:read";

#[test]
fn envelopes() {
    let parse = |message: Value| PresentationQueryMessage::parse(&message);
    let good = [
        json!({"@context": [CONTEXT], "type": "PresentationQueryMessage", "scope": [SCOPE]}),
        json!({"@context": CONTEXT, "@type": "PresentationQueryMessage", "scope": SCOPE}),
        json!({"@context": ["https://other.example", CONTEXT], "type": ["PresentationQueryMessage"], "scope": [SCOPE]}),
        json!({"type": "https://w3id.org/dspace-dcp/v1.0/PresentationQueryMessage", "scope": [SCOPE]}),
    ];
    for message in good {
        assert_eq!(parse(message.clone()).unwrap().scopes().unwrap().to_string(), SCOPE, "{message}");
    }
    let bad = [
        json!([]),
        json!("PresentationQueryMessage"),
        json!({"@context": [CONTEXT], "scope": [SCOPE]}),
        json!({"@context": [CONTEXT], "type": "CredentialMessage", "scope": [SCOPE]}),
        json!({"@context": [CONTEXT], "type": 1, "scope": [SCOPE]}),
        json!({"@context": ["https://other.example"], "type": "PresentationQueryMessage", "scope": [SCOPE]}),
        json!({"@context": {"type": "x"}, "type": "PresentationQueryMessage", "scope": [SCOPE]}),
    ];
    for message in bad {
        assert_eq!(code(parse(message.clone())), "malformed_message", "{message}");
    }
}

#[test]
fn presentation_queries() {
    let parse = |members: Value| PresentationQueryMessage::parse(&message("PresentationQueryMessage", &members));
    let definition = json!({"id": "1", "input_descriptors": [{"id": "credential", "format": "vcdm11_jwt"}]});
    let table = [
        (json!({}), "empty_query"),
        (json!({"scope": null}), "empty_query"),
        (json!({"scope": []}), "empty_query"),
        (json!({"presentationDefinition": {}}), "empty_query"),
        (json!({"presentationDefinition": "x"}), "empty_query"),
        (json!({"scope": [SCOPE], "presentationDefinition": definition}), "ambiguous_query"),
        (json!({"scope": [], "presentationDefinition": definition}), "ambiguous_query"),
        (json!({"scope": [1]}), "malformed_message"),
        (json!({"scope": [""]}), "malformed_message"),
        (json!({"scope": vec![SCOPE; 65]}), "malformed_message"),
        (json!({"scope": ["Member"]}), "malformed_scope"),
        (json!({"scope": ["org.example:Member"]}), "unknown_scope_alias"),
    ];
    for (members, expected) in table {
        assert_eq!(code(parse(members.clone())), expected, "{members}");
    }
    let by_definition = parse(json!({"presentationDefinition": definition})).unwrap();
    let error = by_definition.scopes().unwrap_err();
    assert_eq!((error.refusal().status(), error.code()), (501, "unsupported_query"));
    let query = parse(json!({"scope": [SCOPE]})).unwrap();
    assert_eq!(query.to_json(), message("PresentationQueryMessage", &json!({"scope": [SCOPE]})));
    assert_eq!(PresentationQueryMessage::parse(&by_definition.to_json()).unwrap(), by_definition);
}

#[test]
fn presentation_responses() {
    let parse = |members: Value| PresentationResponseMessage::parse(&message("PresentationResponseMessage", &members));
    let response =
        parse(json!({"presentation": ["a.b.c", {"proof": {}}], "presentationSubmission": {"id": 1}})).unwrap();
    assert_eq!(PresentationResponseMessage::parse(&response.to_json()).unwrap(), response);
    assert_eq!(parse(json!({"presentation": "a.b.c"})).unwrap().presentation, [json!("a.b.c")]);
    let empty = parse(json!({"presentation": []})).unwrap();
    assert_eq!(empty.to_json(), message("PresentationResponseMessage", &json!({"presentation": []})));
    for members in [json!({}), json!({"presentation": [1]}), json!({"presentation": vec!["x"; 65]})] {
        assert_eq!(code(parse(members.clone())), "malformed_message", "{members}");
    }
}

#[test]
fn credential_messages() {
    let parse = |members: Value| CredentialMessage::parse(&message("CredentialMessage", &members));
    let container = json!({"credentialType": "Member", "payload": "a.b.c", "format": "vc11-sl2021/jwt"});
    let whole = json!({"issuerPid": "1", "holderPid": "2", "status": "ISSUED", "credentials": [container]});
    let read = parse(whole.clone()).unwrap();
    assert_eq!(read.to_json(), message("CredentialMessage", &whole));
    assert!(!format!("{read:?}").contains("a.b.c"));
    let rejected = json!({"issuerPid": "1", "holderPid": "2", "status": "REJECTED", "rejectionReason": "no member"});
    let read = parse(rejected.clone()).unwrap();
    assert_eq!((read.outcome, read.credentials.len()), (Outcome::Rejected, 0));
    assert_eq!(read.to_json(), message("CredentialMessage", &rejected));
    // Older members, null instead of absent, JSON-LD as text.
    let older = json!({
        "requestId": "2", "issuerPid": null, "status": "ISSUED", "rejectionReason": null,
        "credentials": [{"credentialType": "Member", "payload": " {\"proof\": {}}", "format": "json-ld"}],
    });
    let read = parse(older).unwrap();
    assert_eq!((read.holder_pid.as_deref(), &read.credentials[0].payload), (Some("2"), &json!({"proof": {}})));

    let with = |name: &str, value: Value| {
        let mut members = whole.clone();
        members[name] = value;
        members
    };
    let part = |name: &str, value: Value| {
        let mut part = container.clone();
        part[name] = value;
        with("credentials", json!([part]))
    };
    let table = [
        (with("status", json!("DONE")), "unknown_status"),
        (with("status", json!("issued")), "unknown_status"),
        (with("status", json!(null)), "malformed_message"),
        (with("status", json!(1)), "malformed_message"),
        (json!({"status": "ISSUED", "credentials": [container]}), "malformed_message"),
        (with("credentials", json!([])), "malformed_message"),
        (with("credentials", json!(null)), "malformed_message"),
        (with("credentials", json!(["a.b.c"])), "malformed_message"),
        (with("credentials", json!(vec![container.clone(); 65])), "malformed_message"),
        (part("credentialType", json!(null)), "malformed_message"),
        (part("format", json!(null)), "malformed_message"),
        (part("payload", json!(null)), "malformed_message"),
        (part("payload", json!(1)), "malformed_message"),
        (part("payload", json!("{")), "malformed_message"),
        (with("rejectionReason", json!(1)), "malformed_message"),
        (with("holderPid", json!("x".repeat(5000))), "malformed_message"),
    ];
    for (members, expected) in table {
        assert_eq!(code(parse(members.clone())), expected, "{members}");
    }
}

#[test]
fn offers() {
    let parse = |members: Value| CredentialOfferMessage::parse(&message("CredentialOfferMessage", &members));
    let object = json!({
        "id": "1", "type": "CredentialObject", "credentialType": "Member", "credentialSchema": "https://a.example/s",
        "offerReason": "reissue", "bindingMethods": ["did:web"], "profile": "vc11-sl2021/jwt", "issuancePolicy": {"id": "p"},
    });
    let whole = json!({"issuer": "did:web:a", "credentials": [object]});
    let read = parse(whole.clone()).unwrap();
    assert_eq!(read.to_json(), message("CredentialOfferMessage", &whole));
    let sparse = parse(json!({"issuer": "did:web:a", "credentials": [{"id": "1"}, "2", {"@id": "3"}]})).unwrap();
    let ids: Vec<&str> = sparse.credentials.iter().map(|object| object.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    let completed = sparse.credentials[0].clone().completed_by(&read.credentials[0]);
    assert_eq!(completed, read.credentials[0]);
    let table = [
        json!({"credentials": [object]}),
        json!({"issuer": "", "credentials": [object]}),
        json!({"issuer": "did:web:a"}),
        json!({"issuer": "did:web:a", "credentials": []}),
        json!({"issuer": "did:web:a", "credentials": [{}]}),
        json!({"issuer": "did:web:a", "credentials": [""]}),
        json!({"issuer": "did:web:a", "credentials": [1]}),
        json!({"issuer": "did:web:a", "credentials": [{"id": "1", "bindingMethods": [1]}]}),
    ];
    for members in table {
        assert_eq!(code(parse(members.clone())), "malformed_message", "{members}");
    }
}

#[test]
fn issuance() {
    let request = |members: Value| CredentialRequestMessage::parse(&message("CredentialRequestMessage", &members));
    let whole = json!({"holderPid": "2", "credentials": [{"id": "1"}, {"id": "3"}]});
    assert_eq!(request(whole.clone()).unwrap().to_json(), message("CredentialRequestMessage", &whole));
    for members in [
        json!({"credentials": [{"id": "1"}]}),
        json!({"holderPid": "", "credentials": [{"id": "1"}]}),
        json!({"holderPid": "2"}),
        json!({"holderPid": "2", "credentials": []}),
        json!({"holderPid": "2", "credentials": [{}]}),
        json!({"holderPid": "2", "credentials": [1]}),
    ] {
        assert_eq!(code(request(members.clone())), "malformed_message", "{members}");
    }

    let metadata = json!({"issuer": "did:web:a", "credentialsSupported": [{"id": "1", "type": "CredentialObject"}]});
    let metadata = message("IssuerMetadata", &metadata);
    assert_eq!(IssuerMetadata::parse(&metadata).unwrap().to_json(), metadata);
    assert_eq!(code(IssuerMetadata::parse(&message("IssuerMetadata", &json!({})))), "malformed_message");

    for status in [RequestStatus::Received, RequestStatus::Rejected, RequestStatus::Issued] {
        let whole = CredentialStatus { issuer_pid: "1".into(), holder_pid: "2".into(), status };
        assert_eq!(CredentialStatus::parse(&whole.to_json()).unwrap(), whole);
    }
    let status = |members: Value| CredentialStatus::parse(&message("CredentialStatus", &members));
    assert_eq!(code(status(json!({"issuerPid": "1", "holderPid": "2", "status": "LOST"}))), "unknown_status");
    assert_eq!(code(status(json!({"holderPid": "2", "status": "ISSUED"}))), "malformed_message");
    assert_eq!(code(status(json!({"issuerPid": "1", "status": "ISSUED"}))), "malformed_message");
}

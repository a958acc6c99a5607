use secrecy::SecretString;
use serde_json::{Value, json};

use super::{AUTHORITY, BARI, TURKU, World, did, scopes};
use crate::credential::Format;
use crate::dcp::DcpError;
use crate::dcp::access_token::mint_access_token;
use crate::dcp::holder::{HolderSettings, Intake, OpenRequest, StoredCredential, Unsolicited};
use crate::dcp::message::{
    CredentialContainer, CredentialMessage, CredentialObject, CredentialOfferMessage, Outcome, PresentationQuery,
    PresentationQueryMessage, PresentationResponseMessage,
};
use crate::jose::Jws;
use crate::scope::Scopes;
use crate::testing::{NOW, unreachable_host};

fn query(scopes: &Scopes) -> PresentationQueryMessage {
    PresentationQueryMessage { query: PresentationQuery::Scopes(scopes.clone()) }
}

/// Turku asks Bari for `asked` with an access token that grants `granted`.
async fn answer(
    world: &World,
    strict: bool,
    granted: &Scopes,
    asked: &Scopes,
) -> Result<PresentationResponseMessage, DcpError> {
    let bari = &world.bari;
    let token = mint_access_token(&*bari.signer, &*bari.clock, &bari.did, TURKU, granted, 60).await.unwrap();
    let stored = bari.stored.lock().unwrap().clone();
    bari.holder(strict).answer(&world.turku.caller(Some(&token)), &query(asked), &stored).await
}

/// The ids of the credentials in the presentations.
fn ids(response: &PresentationResponseMessage) -> Vec<Vec<String>> {
    let of = |presentation: &Value| {
        let payload = Jws::parse(presentation.as_str().unwrap()).unwrap().into_payload();
        let vp = payload.get("vp").cloned().unwrap_or(Value::Object(payload));
        let entries = vp["verifiableCredential"].as_array().unwrap().clone();
        entries
            .iter()
            .map(|entry| match entry {
                Value::String(token) => Value::from(token.clone()),
                other => other["id"].as_str().unwrap().split_once(',').unwrap().1.into(),
            })
            .map(|raw| StoredCredential::read(raw, false).unwrap().credential.id.unwrap())
            .collect()
    };
    response.presentation.iter().map(of).collect()
}

#[tokio::test]
async fn what_is_presented() {
    let world = World::new();
    for (name, format) in [("A", Format::Vc11Jwt), ("B", Format::Vc20Jwt), ("C", Format::Vc11Jwt)] {
        let raw = world.credential(&world.bari, name, json!({}), format).await;
        world.bari.store(raw);
    }
    let urn = |name: &str| format!("urn:example:{name}");
    let all = scopes(&["A", "B", "C"]);
    let by_id = Scopes::parse("org.eclipse.dspace.dcp.vc.id:urn:example:A").unwrap();
    let table = [
        (true, all.clone(), scopes(&["A"]), vec![vec![urn("A")]]),
        (true, all.clone(), all.clone(), vec![vec![urn("A"), urn("C")], vec![urn("B")]]),
        (true, all.clone(), by_id.clone(), vec![vec![urn("A")]]),
        (true, by_id.clone(), by_id, vec![vec![urn("A")]]),
        (true, scopes(&["D"]), scopes(&["D"]), vec![]),
        (false, scopes(&["A"]), all.clone(), vec![vec![urn("A")]]),
        (false, scopes(&["A"]), scopes(&["B"]), vec![]),
        (false, Scopes::parse("org.eclipse.edc.vc.type:A:*").unwrap(), all.clone(), vec![vec![urn("A")]]),
        (false, Scopes::parse("org.eclipse.edc.vc.type:A:write").unwrap(), all, vec![]),
    ];
    for (strict, granted, asked, expected) in table {
        let response = answer(&world, strict, &granted, &asked).await.unwrap();
        assert_eq!(ids(&response), expected, "{granted} {asked}");
    }
}

#[tokio::test]
async fn scopes_beyond_the_grant() {
    let world = World::new();
    world.give(&world.bari, "A", json!({})).await;
    world.give(&world.bari, "B", json!({})).await;
    let parse = |text: &str| Scopes::parse(text).unwrap();
    let table = [
        (scopes(&["A"]), scopes(&["A", "B"])),
        (scopes(&["A"]), scopes(&["B"])),
        (scopes(&["A"]), parse("org.eclipse.dspace.dcp.vc.type:A:write")),
        (scopes(&["A"]), parse("org.eclipse.dspace.dcp.vc.type:A:*")),
        (scopes(&["A"]), parse("org.eclipse.dspace.dcp.vc.id:urn:example:B")),
        (scopes(&["A"]), parse("org.eclipse.dspace.dcp.vc.id:urn:example:unknown")),
    ];
    for (granted, asked) in table {
        let error = answer(&world, true, &granted, &asked).await.unwrap_err();
        assert_eq!((error.code(), error.refusal().status()), ("scope_not_granted", 403), "{asked}");
    }
}

#[tokio::test]
async fn what_is_left_out() {
    let world = World::new();
    let bari = &world.bari;
    let make = async |name: &str, claims: Value, period| {
        let raw = world.credential_for(bari, name, claims, Format::Vc11Jwt, period).await;
        StoredCredential::read(raw, false).unwrap()
    };
    let mut revoked = make("Revoked", json!({}), (NOW - 10, None)).await;
    revoked.revoked = true;
    // Issued a second time; the later one counts, wherever it stands. What says something else stays.
    let mut credentials = vec![
        make("Past", json!({}), (NOW - 10, Some(NOW))).await,
        make("Future", json!({}), (NOW + 1, None)).await,
        revoked,
        make("Again", json!({"a": 1}), (NOW - 20, Some(NOW + 5))).await,
        make("Again", json!({"a": 1}), (NOW - 10, Some(NOW + 9))).await,
        make("Again", json!({"a": 1}), (NOW - 30, Some(NOW + 7))).await,
        make("Again", json!({"a": 2}), (NOW - 40, None)).await,
    ];
    // A form that no presentation can be made of here.
    let mut embedded = make("Embedded", json!({}), (NOW - 10, None)).await;
    embedded.credential.format = Format::DataIntegrity;
    embedded.raw = json!({"proof": {}});
    credentials.push(embedded);
    *bari.stored.lock().unwrap() = credentials;
    let all = scopes(&["Past", "Future", "Revoked", "Again", "Embedded"]);
    let response = answer(&world, true, &all, &all).await.unwrap();
    let payload = Jws::parse(response.presentation[0].as_str().unwrap()).unwrap().into_payload();
    let starts: Vec<i64> = payload["vp"]["verifiableCredential"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| Jws::parse(token.as_str().unwrap()).unwrap().payload()["nbf"].as_i64().unwrap())
        .collect();
    assert_eq!((response.presentation.len(), starts), (1, vec![NOW - 10, NOW - 40]));
}

#[tokio::test]
async fn queries_that_are_refused() {
    let world = World::new();
    let holder = world.bari.holder(true);
    let asked = query(&scopes(&["A"]));
    let descriptor =
        json!({"id": "a", "constraints": {"fields": [{"path": ["$.credentialSubject.name"], "filter": {}}]}});
    let definition = json!({"id": "1", "input_descriptors": [descriptor]});
    let definition = PresentationQueryMessage { query: PresentationQuery::Definition(definition) };
    let token = SecretString::from("opaque");
    let table = [
        (world.turku.caller(None), &definition, 501, "unsupported_query"),
        (world.turku.caller(None), &asked, 401, "no_access_token"),
        (world.turku.caller(Some(&token)), &asked, 401, "malformed_access_token"),
    ];
    for (caller, query, status, code) in table {
        let error = holder.answer(&caller, query, &[]).await.unwrap_err();
        assert_eq!((error.refusal().status(), error.code()), (status, code));
    }
    let lent =
        mint_access_token(&*world.bari.signer, &*world.clock, &did(BARI), TURKU, &scopes(&["A"]), 60).await.unwrap();
    let error = holder.answer(&world.authority.caller(Some(&lent)), &asked, &[]).await.unwrap_err();
    assert_eq!((error.refusal().status(), error.code()), (401, "access_token_of_another"));
}

fn message(holder_pid: Option<&str>, payloads: &[Value]) -> CredentialMessage {
    let container = |payload: &Value| CredentialContainer {
        credential_type: "MembershipCredential".to_owned(),
        payload: payload.clone(),
        format: "VC1_0_JWT".to_owned(),
    };
    CredentialMessage {
        issuer_pid: Some("issuer-1".to_owned()),
        holder_pid: holder_pid.map(str::to_owned),
        outcome: Outcome::Issued,
        credentials: payloads.iter().map(container).collect(),
        rejection_reason: None,
    }
}

#[tokio::test]
async fn credentials_that_are_taken() {
    let world = World::new();
    let member = world.credential(&world.bari, "MembershipCredential", json!({}), Format::Vc11Jwt).await;
    let other = world.credential(&world.bari, "OtherCredential", json!({}), Format::Vc20Jwt).await;
    let request = |types: &[&str]| OpenRequest {
        issuer: did(AUTHORITY),
        types: types.iter().map(|name| (*name).to_owned()).collect(),
    };
    let both = message(Some("configured"), &[member.clone(), other.clone()]);
    let verifier = &world.bari.credentials;
    let holder = world.bari.holder(true);
    for request in [None, Some(request(&[])), Some(request(&["MembershipCredential", "OtherCredential"]))] {
        let intake = holder.receive(&did(AUTHORITY), &both, request.as_ref(), verifier).await.unwrap();
        let Intake::Store(received) = intake else { panic!("{intake:?}") };
        assert_eq!((&received[0].raw, &received[1].raw), (&member, &other));
        assert_eq!(received[0].verified.credential.types[1], "MembershipCredential");
    }
    let settings = HolderSettings { unsolicited: Unsolicited::Hold, ..HolderSettings::default() };
    let held = world.bari.holder_with(settings);
    let intake = held
        .receive(&did(AUTHORITY), &message(Some("unknown"), std::slice::from_ref(&member)), None, verifier)
        .await
        .unwrap();
    assert!(matches!(intake, Intake::Hold(received) if received.len() == 1));
    let error = held.receive(&did(AUTHORITY), &message(None, &[member]), None, verifier).await.unwrap_err();
    assert_eq!((error.refusal().status(), error.code()), (403, "unsolicited"));
    let mut rejected = message(Some("request-1"), &[]);
    (rejected.outcome, rejected.rejection_reason) = (Outcome::Rejected, Some("no member".to_owned()));
    let intake = holder.receive(&did(AUTHORITY), &rejected, Some(&request(&[])), verifier).await.unwrap();
    assert_eq!(intake, Intake::Rejected(Some("no member".to_owned())));
    // Nobody asked, so nobody can be refused.
    let error = held.receive(&did(AUTHORITY), &rejected, None, verifier).await.unwrap_err();
    assert_eq!(error.code(), "unsolicited");
}

#[tokio::test]
async fn credentials_that_are_refused() {
    let world = World::new();
    let make = async |subject, period| {
        world.credential_for(subject, "MembershipCredential", json!({}), Format::Vc11Jwt, period).await
    };
    let good = make(&world.bari, (NOW - 10, None)).await;
    let foreign = make(&world.turku, (NOW - 10, None)).await;
    let past = make(&world.bari, (NOW - 100, Some(NOW - 50))).await;
    let damaged = json!(format!("{}AA", good.as_str().unwrap()));
    let open = |issuer: &str, types: &[&str]| {
        Some(OpenRequest { issuer: did(issuer), types: types.iter().map(|name| (*name).to_owned()).collect() })
    };
    let known = Some("configured");
    let table = [
        (AUTHORITY, message(None, std::slice::from_ref(&good)), None, 403, "unsolicited"),
        (AUTHORITY, message(Some("unknown"), std::slice::from_ref(&good)), None, 403, "unsolicited"),
        (TURKU, message(known, std::slice::from_ref(&good)), None, 403, "wrong_issuer"),
        (TURKU, message(Some("r"), std::slice::from_ref(&good)), open(AUTHORITY, &[]), 403, "wrong_issuer"),
        (AUTHORITY, message(Some("r"), std::slice::from_ref(&good)), open(TURKU, &[]), 403, "wrong_issuer"),
        (
            AUTHORITY,
            message(Some("r"), std::slice::from_ref(&good)),
            open(AUTHORITY, &["A"]),
            400,
            "unexpected_credential",
        ),
        (AUTHORITY, message(known, &[good.clone(), foreign]), None, 403, "holder_mismatch"),
        (AUTHORITY, message(known, &[good.clone(), past]), None, 400, "expired"),
        (AUTHORITY, message(known, &[json!("a.b.c")]), None, 400, "malformed_jws"),
        (AUTHORITY, message(known, &[damaged]), None, 400, "bad_signature"),
    ];
    let holder = world.bari.holder(true);
    for (sender, message, request, status, code) in table {
        let result = holder.receive(&did(sender), &message, request.as_ref(), &world.bari.credentials).await;
        let error = result.unwrap_err();
        assert_eq!((error.refusal().status(), error.code()), (status, code), "{error}");
    }
    let one = message(known, &[good]);
    world.bari.trust.replace(Vec::new()).unwrap();
    let error = holder.receive(&did(AUTHORITY), &one, None, &world.bari.credentials).await.unwrap_err();
    assert_eq!((error.refusal().status(), error.code()), (403, "untrusted_issuer"));

    let world = World::new();
    let one = message(known, &[make_for(&world).await]);
    world.net.map.fail("https://authority.example/.well-known/did.json", unreachable_host());
    let result = world.bari.holder(true).receive(&did(AUTHORITY), &one, None, &world.bari.credentials).await;
    assert_eq!(result.unwrap_err().refusal().status(), 503);
}

async fn make_for(world: &World) -> Value {
    world.credential(&world.bari, "MembershipCredential", json!({}), Format::Vc11Jwt).await
}

#[tokio::test]
async fn offers() {
    let world = World::new();
    let object = |name: Option<&str>| CredentialObject {
        id: "1".to_owned(),
        credential_type: name.map(str::to_owned),
        ..CredentialObject::default()
    };
    let offer =
        |issuer: &str, name| CredentialOfferMessage { issuer: issuer.to_owned(), credentials: vec![object(name)] };
    let holder = world.bari.holder(true);
    let trust = &*world.bari.trust;
    let taken = holder.offered(&did(AUTHORITY), &offer(AUTHORITY, Some("A")), trust).await.unwrap();
    assert_eq!(taken, [object(Some("A"))]);
    holder.offered(&did(AUTHORITY), &offer(AUTHORITY, None), trust).await.unwrap();
    for (sender, issuer, code) in [(TURKU, AUTHORITY, "wrong_issuer"), (TURKU, TURKU, "untrusted_issuer")] {
        let error = holder.offered(&did(sender), &offer(issuer, Some("A")), trust).await.unwrap_err();
        assert_eq!((error.refusal().status(), error.code()), (403, code));
    }
}

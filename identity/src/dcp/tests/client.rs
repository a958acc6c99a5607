use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{AUTHORITY, BARI, World, did};
use crate::dcp::DcpClient;
use crate::dcp::message::{
    CredentialMessage, CredentialObject, CredentialOfferMessage, CredentialRequestMessage, IssuerMetadata, Outcome,
    RequestStatus,
};
use crate::jose::Jws;
use crate::testing::{document_url, ok_json, status};
use crate::token::bearer;
use crate::{Fetched, IdentityError};

const ISSUER: &str = "https://authority.example/issuer";

/// The authority has an issuer service, whose URL ends in a slash.
fn world() -> World {
    let world = World::new();
    let mut document = world.authority.actor.document();
    let service = json!({"id": "#is", "type": "IssuerService", "serviceEndpoint": format!("{ISSUER}/")});
    document["service"].as_array_mut().unwrap().push(service);
    world.net.map.put_json(&document_url(AUTHORITY), &document);
    world
}

fn client(world: &World) -> &DcpClient {
    world.bari.dcp.client()
}

/// What the claim of the last ID token sent was.
fn sent(world: &World, claim: &str) -> Value {
    let header = world.net.map.posted().last().unwrap().authorization.clone();
    Jws::parse(bearer(header.as_deref()).unwrap()).unwrap().payload().get(claim).cloned().unwrap_or_default()
}

fn code<T>(result: Result<T, IdentityError>) -> &'static str {
    result.map(drop).unwrap_err().code()
}

#[tokio::test]
async fn a_request_and_its_status() {
    let world = world();
    let message = CredentialRequestMessage { holder_pid: "1".to_owned(), credentials: vec!["member".to_owned()] };
    let token = SecretString::from("write");
    let ask = async || client(&world).request(&did(AUTHORITY), Some(&token), &message).await;
    let url = format!("{ISSUER}/credentials");
    let located =
        |location: Option<&str>| Fetched { status: 201, location: location.map(str::to_owned), ..Fetched::default() };
    let table = [
        (Some("/issuer/requests/7"), Ok("https://authority.example/issuer/requests/7")),
        (Some("https://authority.example/issuer/requests/7"), Ok("https://authority.example/issuer/requests/7")),
        (None, Err("bad_response")),
        (Some("https://"), Err("bad_response")),
    ];
    for (location, expected) in table {
        let answer = located(location);
        world.net.map.on_post(&url, move |_| Ok(answer.clone()));
        match expected {
            Ok(expected) => assert_eq!(ask().await.unwrap().as_str(), expected),
            Err(expected) => assert_eq!(code(ask().await), expected),
        }
    }
    assert_eq!((sent(&world, "token"), sent(&world, "aud")), (json!("write"), json!(AUTHORITY)));
    assert_eq!(world.net.map.posted()[0].body, message.to_json());
    for (answer, expected) in [(403, "request_refused"), (500, "issuer_service_unreachable")] {
        world.net.map.on_post(&url, move |_| Ok(status(answer)));
        assert_eq!(code(ask().await), expected);
    }

    let read = async |url: &str| client(&world).request_status(&did(AUTHORITY), url.parse().unwrap()).await;
    let body = json!({
        "@context": ["https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"], "type": "CredentialStatus",
        "issuerPid": "7", "holderPid": "1", "status": "ISSUED",
    });
    let at = format!("{ISSUER}/requests/7");
    world.net.map.put_json(&at, &body);
    assert_eq!(read(&at).await.unwrap().status, RequestStatus::Issued);
    world.net.map.put_json(&at, &json!({}));
    assert_eq!(code(read(&at).await), "bad_response");
    world.net.map.put(&at, status(404));
    assert_eq!(code(read(&at).await), "request_refused");
    assert_eq!(code(read("https://elsewhere.example/requests/7").await), "bad_response");
    assert_eq!(world.net.map.calls("https://elsewhere.example/requests/7"), 0);
}

#[tokio::test]
async fn metadata() {
    let world = world();
    let read = async || client(&world).metadata(&did(AUTHORITY)).await;
    let url = format!("{ISSUER}/metadata");
    let object = CredentialObject { id: "member".to_owned(), ..CredentialObject::default() };
    let of = |issuer: &str| IssuerMetadata { issuer: issuer.to_owned(), credentials_supported: vec![object.clone()] };
    world.net.map.put_json(&url, &of(AUTHORITY).to_json());
    assert_eq!(read().await.unwrap(), of(AUTHORITY));
    world.net.map.put_json(&url, &of(BARI).to_json());
    assert_eq!(code(read().await), "bad_response");
    world.net.map.put_text(&url, "text/html", "<p>");
    assert_eq!(code(read().await), "bad_response");
    assert_eq!(code(client(&world).metadata(&did("did:web:turku.example")).await), "no_issuer_service");
}

#[tokio::test]
async fn deliveries_and_offers() {
    let world = world();
    let authority = world.authority.dcp.client();
    let message = CredentialMessage {
        issuer_pid: Some("7".to_owned()),
        holder_pid: Some("1".to_owned()),
        outcome: Outcome::Rejected,
        credentials: Vec::new(),
        rejection_reason: None,
    };
    let token = SecretString::from("write");
    world.net.map.on_post("https://bari.example/cs/credentials", |_| Ok(ok_json(&json!({}))));
    authority.deliver(&did(BARI), Some(&token), &message).await.unwrap();
    assert_eq!((sent(&world, "token"), sent(&world, "iss")), (json!(token.expose_secret()), json!(AUTHORITY)));
    let credentials = vec![CredentialObject { id: "member".to_owned(), ..CredentialObject::default() }];
    let offer = CredentialOfferMessage { issuer: AUTHORITY.to_owned(), credentials };
    assert_eq!(code(authority.offer(&did(BARI), &offer).await), "request_refused");
    world.net.map.on_post("https://bari.example/cs/offers", |_| Ok(status(200)));
    authority.offer(&did(BARI), &offer).await.unwrap();
    assert_eq!(sent(&world, "token"), Value::Null);
}

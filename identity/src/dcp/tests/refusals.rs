//! Why the one city does not know the other.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::flow::{authenticate, call, member};
use super::{AUTHORITY, BARI, TURKU, World, did, scopes};
use crate::credential::Format;
use crate::dcp::access_token::mint_access_token;
use crate::presentation::make_vp_jwt;
use crate::testing::{NOW, document_url, ok_json, status, unreachable_host};
use crate::{Fault, Fetched, Identity as _, IncomingRequest};

const QUERY: &str = "https://bari.example/cs/presentations/query";

#[tokio::test]
async fn each_reason_to_refuse_an_answer() {
    let answer = |change: fn(Value) -> Fetched| move |world: &World| world.net.tamper(change);
    type Prepare = Box<dyn Fn(&World)>;
    let table: Vec<(Prepare, &str, Fault, bool)> = vec![
        (Box::new(|world| world.bari.stored.lock().unwrap().clear()), "missing_credential", Fault::Caller, false),
        (Box::new(|world| world.turku.trust.replace(Vec::new()).unwrap()), "untrusted_issuer", Fault::Caller, false),
        (Box::new(answer(|_| status(401))), "query_refused", Fault::Caller, false),
        (Box::new(answer(|_| status(302))), "query_refused", Fault::Caller, false),
        (Box::new(answer(|_| status(503))), "credential_service_unreachable", Fault::Peer, true),
        (Box::new(answer(|_| status(429))), "credential_service_unreachable", Fault::Peer, true),
        (Box::new(answer(|_| status(200))), "bad_response", Fault::Caller, false),
        (Box::new(answer(|_| ok_json(&json!({"type": "Other"})))), "bad_response", Fault::Caller, false),
        (
            Box::new(answer(|mut body| {
                body["presentation"] = json!([]);
                ok_json(&body)
            })),
            "missing_credential",
            Fault::Caller,
            false,
        ),
        (
            Box::new(|world| world.net.map.on_post(QUERY, |_| Err(unreachable_host()))),
            "credential_service_unreachable",
            Fault::Peer,
            true,
        ),
        (
            Box::new(|world| {
                world.net.map.on_post(QUERY, |_| {
                    let message = "the address is not public".to_owned();
                    Err(crate::FetchError { message, forbidden: true, temporary: false })
                });
            }),
            "forbidden_address",
            Fault::Peer,
            false,
        ),
        (
            Box::new(|world| {
                let mut document = world.bari.actor.document();
                document["service"] = json!([]);
                world.net.map.put_json(&document_url(BARI), &document);
            }),
            "no_credential_service",
            Fault::Caller,
            false,
        ),
        (
            Box::new(|world| {
                let mut document = world.bari.actor.document();
                document["service"][0]["serviceEndpoint"] = json!("file:///etc/passwd");
                world.net.map.put_json(&document_url(BARI), &document);
            }),
            "no_credential_service",
            Fault::Caller,
            false,
        ),
    ];
    for (prepare, code, fault, temporary) in table {
        let world = member().await;
        prepare(&world);
        let error = call(&world).await.unwrap_err();
        assert_eq!((error.code(), error.fault(), error.is_temporary()), (code, fault, temporary), "{error}");
    }
}

#[tokio::test]
async fn wrong_presentations() {
    let world = member().await;
    let (ours, theirs) = (did(BARI), did(TURKU));
    let member = world.credential(&world.bari, "MembershipCredential", json!({}), Format::Vc11Jwt).await;
    let other = world.credential(&world.bari, "OtherCredential", json!({}), Format::Vc11Jwt).await;
    let foreign = world.credential(&world.turku, "MembershipCredential", json!({}), Format::Vc11Jwt).await;
    let period = (NOW - 100, Some(NOW - 50));
    let past = world.credential_for(&world.bari, "MembershipCredential", json!({}), Format::Vc11Jwt, period).await;
    let period = (NOW + 50, None);
    let future = world.credential_for(&world.bari, "MembershipCredential", json!({}), Format::Vc11Jwt, period).await;
    let present = async |audience: &crate::did::Did, credentials: &[&Value]| -> Value {
        let tokens: Vec<String> = credentials.iter().map(|token| token.as_str().unwrap().to_owned()).collect();
        let vp = make_vp_jwt(Format::Vc11Jwt, &*world.bari.signer, &ours, audience, &tokens, NOW, 60).await;
        json!([vp.unwrap()])
    };
    let table = [
        (present(&theirs, &[&other]).await, Err("missing_credential")),
        (present(&theirs, &[&other, &member]).await, Ok(2)),
        (present(&theirs, &[&foreign]).await, Err("holder_mismatch")),
        (present(&theirs, &[&member, &past]).await, Err("expired")),
        (present(&theirs, &[&future]).await, Err("not_yet_valid")),
        (present(&theirs, &[]).await, Err("missing_credential")),
        (present(&ours, &[&member]).await, Err("wrong_audience")),
    ];
    for (presentation, expected) in table {
        world.net.tamper(move |mut body| {
            body["presentation"] = presentation.clone();
            ok_json(&body)
        });
        world.turku.dcp.forget();
        let result = call(&world).await;
        match expected {
            Ok(count) => assert_eq!(result.unwrap().credentials().len(), count),
            Err(code) => assert_eq!(result.unwrap_err().code(), code),
        }
    }
    world.net.tamper(|body| ok_json(&body));
    world.bari.stored.lock().unwrap().clear();
    world.bari.store(other);
    world.turku.dcp.forget();
    assert_eq!(call(&world).await.unwrap_err().code(), "missing_credential");
}

#[tokio::test]
async fn a_refusal_names_the_credential() {
    let world = member().await;
    world.net.tamper(|_| status(500));
    let needed = scopes(&["MembershipCredential"]);
    let message = call(&world).await.unwrap_err().to_string();
    assert!(message.contains(&needed.to_string()) && message.contains(BARI), "{message}");
    world.turku.trust.replace(Vec::new()).unwrap();
    world.net.tamper(|body| ok_json(&body));
    let message = call(&world).await.unwrap_err().to_string();
    assert!(message.contains("`MembershipCredential`") && message.contains(AUTHORITY), "{message}");
}

#[tokio::test]
async fn tokens_that_do_not_lead_to_a_query() {
    let world = member().await;
    let bare = world.bari.id_token(TURKU, None).await;
    let elsewhere = world.bari.id_token(AUTHORITY, Some(&SecretString::from("x"))).await;
    let table = [
        (None, TURKU, "no_token", Fault::Caller),
        (Some("a.b.c".to_owned()), TURKU, "wrong_scheme", Fault::Caller),
        (Some(format!("Bearer {}", bare.expose_secret())), TURKU, "no_access_token", Fault::Caller),
        (Some(format!("Bearer {}", elsewhere.expose_secret())), TURKU, "wrong_audience", Fault::Caller),
        (Some("Bearer x".to_owned()), "turku", "malformed_did", Fault::Us),
    ];
    for (header, audience, code, fault) in table {
        let request = IncomingRequest { authorization: header.as_deref(), audience };
        let error = world.turku.dcp.authenticate(&request).await.unwrap_err();
        assert_eq!((error.code(), error.fault()), (code, fault));
    }
    assert_eq!(world.queries(), 0);
    // An access token that Bari did not make.
    let forged =
        mint_access_token(&*world.turku.signer, &*world.clock, &did(BARI), TURKU, &scopes(&["A"]), 60).await.unwrap();
    let token = world.bari.id_token(TURKU, Some(&forged)).await;
    let header = SecretString::from(format!("Bearer {}", token.expose_secret()));
    assert_eq!(authenticate(&world, &header).await.unwrap_err().code(), "query_refused");
}

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{BARI, TURKU, World, did};
use crate::dcp::sts::{Sts, StsClient, StsSettings};
use crate::jose::Jws;
use crate::{Identity as _, IncomingRequest};

fn client(id: &str, secret: &str) -> StsClient {
    StsClient { id: id.to_owned(), secret: SecretString::from(secret) }
}

fn sts(world: &World, clients: &[StsClient]) -> Result<Sts, crate::IdentityError> {
    let (signer, clock) = (world.bari.signer.clone(), Arc::clone(&world.clock) as _);
    Sts::new(did(BARI), signer, clock, clients, StsSettings::default())
}

fn form(change: &[(&str, Option<&str>)]) -> Vec<(String, String)> {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", "tool"),
        ("client_secret", "tool-secret"),
        ("audience", TURKU),
    ];
    for (name, value) in change {
        form.retain(|(known, _)| known != name);
        form.extend(value.map(|value| (*name, value)));
    }
    form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Parameters to set or to leave out.
type Change<'a> = &'a [(&'a str, Option<&'a str>)];

const SCOPE: &str = "org.eclipse.dspace.dcp.vc.type:MembershipCredential:read";

#[tokio::test]
async fn a_token_with_scopes_opens_the_credential_service() {
    let world = World::new();
    world.give(&world.bari, "MembershipCredential", json!({})).await;
    let sts = sts(&world, &[client("other", "other-secret"), client("tool", "tool-secret")]).unwrap();
    let token = sts.token(&form(&[("bearer_access_scope", Some(SCOPE))])).await.unwrap();
    let body = token.to_json();
    assert_eq!((&body["expires_in"], &body["token_type"]), (&json!(300), &json!("Bearer")));
    assert!(!format!("{token:?} {:?}", client("tool", "tool-secret")).contains("secret"));
    let header = format!("Bearer {}", body["access_token"].as_str().unwrap());
    let request = IncomingRequest { authorization: Some(&header), audience: TURKU };
    assert_eq!(world.turku.dcp.authenticate(&request).await.unwrap().id(), BARI);
}

#[tokio::test]
async fn the_claim_token() {
    let world = World::new();
    let sts = sts(&world, &[client("tool", "tool-secret")]).unwrap();
    let claim = async |change: &[(&str, Option<&str>)]| {
        let token = sts.token(&form(change)).await.unwrap().access_token;
        Jws::parse(token.expose_secret()).unwrap().payload().get("token").cloned()
    };
    assert_eq!(claim(&[]).await, None);
    assert_eq!(claim(&[("token", Some("opaque"))]).await, Some(json!("opaque")));
    assert!(claim(&[("bearer_access_scope", Some(SCOPE))]).await.is_some());
}

#[tokio::test]
async fn requests_that_are_refused() {
    let world = World::new();
    let sts = sts(&world, &[client("tool", "tool-secret")]).unwrap();
    let large = "x".repeat(20_000);
    let table: [(Change<'_>, &str); 14] = [
        (&[("grant_type", None)], "invalid_request"),
        (&[("client_id", None)], "invalid_request"),
        (&[("client_secret", None)], "invalid_request"),
        (&[("client_secret", Some(""))], "invalid_request"),
        (&[("audience", None)], "invalid_request"),
        (&[("audience", Some("turku"))], "invalid_request"),
        (&[("token", Some("x")), ("bearer_access_scope", Some(SCOPE))], "invalid_request"),
        (&[("token", Some(&large))], "invalid_request"),
        (&[("grant_type", Some("password"))], "unsupported_grant_type"),
        (&[("client_id", Some("other"))], "invalid_client"),
        (&[("client_secret", Some("another"))], "invalid_client"),
        (&[("bearer_access_scope", Some(" "))], "invalid_scope"),
        (&[("bearer_access_scope", Some("Member"))], "invalid_scope"),
        (&[("bearer_access_scope", Some("org.example:Member"))], "invalid_scope"),
    ];
    for (change, code) in table {
        let error = sts.token(&form(change)).await.unwrap_err();
        assert_eq!((error.code(), error.status()), (code, 400), "{change:?}");
        assert_eq!(error.to_json()[0]["error"], code);
    }
    let mut twice = form(&[]);
    twice.push(("audience".to_owned(), BARI.to_owned()));
    assert_eq!(sts.token(&twice).await.unwrap_err().code(), "invalid_request");
    twice.extend(vec![("x".to_owned(), String::new()); 40]);
    assert_eq!(sts.token(&twice).await.unwrap_err().code(), "invalid_request");
}

#[tokio::test]
async fn clients_that_are_refused() {
    let world = World::new();
    let lists = [
        vec![client("", "tool-secret")],
        vec![client("tool", "short")],
        vec![client("tool", "tool-secret"), client("tool", "other-secret")],
    ];
    for list in lists {
        assert_eq!(sts(&world, &list).map(drop).unwrap_err().code(), "bad_sts_client");
    }
}

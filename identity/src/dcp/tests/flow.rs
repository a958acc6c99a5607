//! One city calls, the other one asks it for its credentials.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{AUTHORITY, BARI, TURKU, World, scopes};
use crate::credential::Format;
use crate::dcp::DcpSettings;
use crate::testing::NOW;
use crate::{CounterParty, Fault, Identity as _, IdentityError, IncomingRequest, Participant};

const TO_TURKU: CounterParty<'_> = CounterParty { participant_id: TURKU, address: "https://turku.example/dsp" };

/// Bari calls Turku.
pub(super) async fn call(world: &World) -> Result<Participant, IdentityError> {
    let header = world.bari.dcp.authorization_for(&TO_TURKU).await.unwrap();
    authenticate(world, &header).await
}

pub(super) async fn authenticate(world: &World, header: &SecretString) -> Result<Participant, IdentityError> {
    let request = IncomingRequest { authorization: Some(header.expose_secret()), audience: TURKU };
    world.turku.dcp.authenticate(&request).await
}

pub(super) async fn member() -> World {
    let world = World::new();
    world.give(&world.bari, "MembershipCredential", json!({"memberOf": "Twins", "role": "planner"})).await;
    world
}

#[tokio::test]
async fn a_member_is_known_by_its_credential() {
    let world = member().await;
    let bari = call(&world).await.unwrap();
    assert_eq!(bari.id(), BARI);
    assert_eq!(bari.claims()["membership"], json!(["active"]));
    assert_eq!(bari.claims()["role"], json!(["planner"]));
    assert_eq!(bari.claims()["credentials"][0]["issuer"], AUTHORITY);
    assert_eq!(bari.credentials().len(), 1);
    assert_eq!(bari.token_use().unwrap().issuer, BARI);
    assert_eq!(bari.token_use().unwrap().expires, NOW + 331);
    assert!(bari.fresh_until().unwrap() > NOW);
    assert_eq!(format!("{bari:?}"), format!("Participant {{ id: {BARI:?}, .. }}"));
    assert_eq!(world.turku.dcp.counter_party_claims(BARI).as_ref(), Some(bari.claims()));
    assert_eq!(world.turku.dcp.counter_party_claims(AUTHORITY), None);

    // What went over the wire.
    let posted = world.net.map.posted();
    assert_eq!(
        posted[0].body,
        json!({
            "@context": ["https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"],
            "type": "PresentationQueryMessage",
            "scope": ["org.eclipse.dspace.dcp.vc.type:MembershipCredential:read"],
        })
    );
}

#[tokio::test]
async fn a_token_is_used_once() {
    let world = member().await;
    let header = world.bari.dcp.authorization_for(&TO_TURKU).await.unwrap();
    authenticate(&world, &header).await.unwrap();
    let error = authenticate(&world, &header).await.unwrap_err();
    assert_eq!((error.code(), error.fault()), ("token_replayed", Fault::Caller));
}

#[tokio::test]
async fn a_presentation_is_believed_for_a_while() {
    let world = member().await;
    for _ in 0..3 {
        call(&world).await.unwrap();
    }
    assert_eq!(world.queries(), 1);
    // Both the time of the presentation and half that of the access token are over.
    world.clock.advance(300);
    call(&world).await.unwrap();
    assert_eq!(world.queries(), 2);
    // Another access token is another presentation.
    world.bari.dcp.forget();
    call(&world).await.unwrap();
    assert_eq!(world.queries(), 3);
    world.turku.dcp.forget();
    assert_eq!(world.turku.dcp.counter_party_claims(BARI), None);
    call(&world).await.unwrap();
    assert_eq!(world.queries(), 4);
}

#[tokio::test]
async fn nothing_is_believed_longer_than_the_credential() {
    let world = World::new();
    let period = (NOW - 10, Some(NOW + 20));
    let short = world.credential_for(&world.bari, "MembershipCredential", json!({}), Format::Vc20Jwt, period).await;
    world.bari.store(short);
    assert_eq!(call(&world).await.unwrap().fresh_until(), Some(NOW + 20));
    world.clock.advance(20);
    assert_eq!(call(&world).await.unwrap_err().code(), "missing_credential");
    assert_eq!((world.queries(), world.turku.dcp.counter_party_claims(BARI)), (2, None));
}

#[tokio::test]
async fn every_request_can_be_asked_about() {
    let default_scopes = scopes(&["MembershipCredential"]);
    let settings = DcpSettings { default_scopes, presentation_reuse_s: 0, ..DcpSettings::default() };
    let world = World::with(&settings);
    world.give(&world.bari, "MembershipCredential", json!({})).await;
    for _ in 0..3 {
        call(&world).await.unwrap();
    }
    assert_eq!(world.queries(), 3);
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_query() {
    let world = member().await;
    let (one, two, three) = tokio::join!(call(&world), call(&world), call(&world));
    assert_eq!(one.unwrap(), two.unwrap());
    three.unwrap();
    assert_eq!(world.queries(), 1);
}

#[tokio::test]
async fn without_scopes_nothing_is_asked() {
    let world = World::with(&DcpSettings::default());
    let bari = call(&world).await.unwrap();
    assert_eq!((bari.claims(), world.queries()), (&json!({"credentials": []}), 0));
}

#[tokio::test]
async fn a_policy_may_need_more() {
    let world = member().await;
    let planner = scopes(&["MembershipCredential", "PlannerCredential"]);
    let bari = call(&world).await.unwrap();
    // The access token does not grant it.
    let error = world.turku.dcp.with_scopes(&bari, &planner).await.unwrap_err();
    assert_eq!(error.code(), "query_refused");
    assert!(error.to_string().contains("PlannerCredential") && error.to_string().contains("403"), "{error}");
    // It does, but there is no such credential.
    let header = world.bari.dcp.authorization_with(&TO_TURKU, &planner).await.unwrap();
    let bari = authenticate(&world, &header).await.unwrap();
    assert_eq!(world.turku.dcp.with_scopes(&bari, &planner).await.unwrap_err().code(), "missing_credential");

    world.give(&world.bari, "PlannerCredential", json!({"role": "mayor", "area": 7})).await;
    let asked = world.queries();
    let more = world.turku.dcp.with_scopes(&bari, &planner).await.unwrap();
    assert_eq!(more.claims()["role"], json!(["planner", "mayor"]));
    assert_eq!(more.claims()["PlannerCredential"]["area"], json!(7));
    assert_eq!((more.credentials().len(), more.token_use()), (2, bari.token_use()));
    let last = world.net.map.posted().last().unwrap().body["scope"].clone();
    assert_eq!(last, json!(["org.eclipse.dspace.dcp.vc.type:PlannerCredential:read"]));
    // Known already.
    assert_eq!(world.turku.dcp.with_scopes(&more, &planner).await.unwrap(), more);
    assert_eq!(world.turku.dcp.with_scopes(&bari, &planner).await.unwrap(), more);
    assert_eq!(world.queries(), asked + 1);
    // A later request that asks for less does not make less known.
    call(&world).await.unwrap();
    assert_eq!(world.turku.dcp.counter_party_claims(BARI).as_ref(), Some(more.claims()));
}

#[tokio::test]
async fn what_we_introduce_ourselves_with() {
    let world = member().await;
    let nobody = CounterParty { participant_id: "turku", address: "https://turku.example" };
    let error = world.bari.dcp.authorization_for(&nobody).await.unwrap_err();
    assert_eq!((error.code(), error.fault()), ("unknown_peer", Fault::Us));
    let inner = async || {
        let header = world.bari.dcp.authorization_for(&TO_TURKU).await.unwrap();
        let token = header.expose_secret().strip_prefix("Bearer ").unwrap().to_owned();
        let jws = crate::jose::Jws::parse(&token).unwrap();
        let claim = |name: &str| jws.payload()[name].as_str().unwrap().to_owned();
        (claim("jti"), claim("token"))
    };
    let (first, second) = (inner().await, inner().await);
    assert!(first.0 != second.0 && first.1 == second.1);
    world.clock.advance(300);
    assert_ne!(inner().await.1, first.1);
}

#[tokio::test]
async fn participants_of_another_kind_stay_as_they_are() {
    let world = member().await;
    let plain = Participant::new(BARI, json!({"a": 1}));
    assert_eq!(world.turku.dcp.with_scopes(&plain, &scopes(&["A"])).await.unwrap(), plain);
    assert_eq!((plain.token_use(), plain.credentials().len(), plain.fresh_until()), (None, 0, None));
}

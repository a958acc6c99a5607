use std::sync::Arc;

use serde_json::{Value, json};

use super::{AUTHORITY, BARI, TURKU, World, did};
use crate::dcp::holder::Intake;
use crate::dcp::issuer::{Decision, Issuer, Profile, StoredRequest};
use crate::dcp::message::{CredentialMessage, CredentialRequestMessage, IssuerMetadata, Outcome, RequestStatus};
use crate::testing::NOW;

fn configuration() -> Value {
    json!([
        {
            "id": "member", "type": "MembershipCredential", "validity_s": 3600, "claims": {"memberOf": "Twins", "level": 1},
            "partners": [{"holder": BARI, "decision": "automatic", "claims": {"level": 2}}, {"holder": "*"}],
        },
        {
            "id": "planner", "type": "PlannerCredential", "profile": "vc20-bssl/jwt", "validity_s": 60,
            "partners": [{"holder": BARI, "decision": "automatic"}],
        },
        {"id": "nobody", "type": "NobodyCredential", "validity_s": 60},
    ])
}

fn issuer(world: &World, configuration: Value) -> Result<Issuer, String> {
    let credentials = serde_json::from_value(configuration).map_err(|error| error.to_string())?;
    Issuer::new(did(AUTHORITY), world.authority.signer.clone(), Arc::clone(&world.clock) as _, credentials)
        .map_err(|error| error.to_string())
}

fn request(ids: &[&str]) -> CredentialRequestMessage {
    CredentialRequestMessage {
        holder_pid: "request-1".to_owned(),
        credentials: ids.iter().map(|id| (*id).to_owned()).collect(),
    }
}

#[tokio::test]
async fn what_can_be_asked_for() {
    let world = World::new();
    let metadata = issuer(&world, configuration()).unwrap().metadata();
    assert_eq!(IssuerMetadata::parse(&metadata.to_json()).unwrap(), metadata);
    let first = &metadata.to_json()["credentialsSupported"][0];
    assert_eq!(
        first,
        &json!({
            "id": "member", "type": "CredentialObject", "credentialType": "MembershipCredential",
            "offerReason": "reissue", "bindingMethods": ["did:web"], "profile": "vc11-sl2021/jwt",
        })
    );
}

#[tokio::test]
async fn who_gets_what() {
    let world = World::new();
    let issuer = issuer(&world, configuration()).unwrap();
    let table = [
        (&world.bari, &["member"][..], Ok(Decision::Automatic)),
        (&world.bari, &["member", "planner", "member"], Ok(Decision::Automatic)),
        (&world.turku, &["member"], Ok(Decision::Manual)),
        (&world.turku, &["member", "planner"], Err((403, "not_entitled"))),
        (&world.bari, &["nobody"], Err((403, "not_entitled"))),
        (&world.bari, &["member", "other"], Err((400, "unknown_credential"))),
    ];
    for (city, ids, expected) in table {
        let result = issuer.accept(&city.caller(None), &request(ids));
        match expected {
            Ok(decision) => {
                let accepted = result.unwrap();
                assert_eq!((&accepted.holder, accepted.decision), (&city.did, decision));
                assert!(accepted.credentials.len() <= 2 && accepted.holder_pid == "request-1");
            }
            Err((status, code)) => {
                let error = result.unwrap_err();
                assert_eq!((error.refusal().status(), error.code()), (status, code));
            }
        }
    }
}

#[tokio::test]
async fn what_is_issued_is_stored_by_the_holder() {
    let world = World::new();
    let issuer = issuer(&world, configuration()).unwrap();
    let accepted = issuer.accept(&world.bari.caller(None), &request(&["member", "planner"])).unwrap();
    let planned = issuer.plan(&accepted.credentials);
    assert_eq!((planned[0].profile, planned[0].valid_until), (Profile::Vc11, NOW + 3600));
    let message = issuer.issue(&accepted.holder, "configured", &accepted.issuer_pid, &planned).await.unwrap();
    assert_eq!([&message.credentials[0].format, &message.credentials[1].format], ["VC1_0_JWT", "VC2_0_JOSE"]);
    let message = CredentialMessage::parse(&message.to_json()).unwrap();
    let holder = world.bari.holder(true);
    let intake = holder.receive(&did(AUTHORITY), &message, None, &world.bari.credentials).await.unwrap();
    let Intake::Store(received) = intake else { panic!() };
    let member = &received[0].verified.credential;
    assert_eq!(json!(member.subjects), json!([{"id": BARI, "memberOf": "Twins", "level": 2}]));
    assert_eq!(received[1].verified.credential.valid_until, Some(NOW + 60));

    // What the configuration has no longer.
    assert_eq!(issuer.plan(&["gone".to_owned()]), []);
    let mut gone = planned;
    let error = issuer.issue(&did(TURKU), "1", "2", &gone[1..]).await.unwrap_err();
    assert_eq!(error.code(), "not_entitled");
    gone[0].object = "gone".to_owned();
    assert_eq!(issuer.issue(&did(BARI), "1", "2", &gone).await.unwrap_err().code(), "unknown_credential");

    let rejected = issuer.reject("1", "2", Some("no member".to_owned()));
    assert_eq!(CredentialMessage::parse(&rejected.to_json()).unwrap().outcome, Outcome::Rejected);
}

#[tokio::test]
async fn a_status_is_for_who_asked() {
    let world = World::new();
    let issuer = issuer(&world, configuration()).unwrap();
    let stored = StoredRequest {
        holder: BARI.to_owned(),
        holder_pid: "1".to_owned(),
        issuer_pid: "2".to_owned(),
        status: RequestStatus::Received,
    };
    let status = issuer.status(&world.bari.caller(None), Some(&stored)).unwrap().to_json();
    assert_eq!((&status["status"], &status["issuerPid"]), (&json!("RECEIVED"), &json!("2")));
    for (caller, request) in [(&world.turku, Some(&stored)), (&world.bari, None)] {
        let error = issuer.status(&caller.caller(None), request).unwrap_err();
        assert_eq!((error.refusal().status(), error.code()), (404, "unknown_request"));
    }
}

#[tokio::test]
async fn configurations_that_are_refused() {
    let world = World::new();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut configuration = configuration();
        change(&mut configuration);
        issuer(&world, configuration).map(drop)
    };
    assert_eq!(with(&|_| {}), Ok(()));
    let changes: [&dyn Fn(&mut Value); 9] = [
        &|all| all[0]["id"] = json!(""),
        &|all| all[0]["type"] = json!(""),
        &|all| all[1]["id"] = json!("member"),
        &|all| all[0]["validity_s"] = json!(0),
        &|all| all[0]["profile"] = json!("vc10"),
        &|all| all[0]["partners"][0]["holder"] = json!("bari"),
        &|all| all[0]["partners"][0]["holder"] = json!("*"),
        &|all| all[0]["partners"][0]["decision"] = json!("maybe"),
        &|all| all[0]["clams"] = json!({}),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(with(change).is_err(), "{number}");
    }
    let many: Vec<Value> = (0..65).map(|id| json!({"id": id.to_string(), "type": "A", "validity_s": 1})).collect();
    assert!(issuer(&world, json!(many)).is_err());
}

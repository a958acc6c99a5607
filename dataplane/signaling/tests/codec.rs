//! Codecs of every message in every dialect (Data Plane Signaling, Messages).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use dps_signaling::{
    ControlPlaneRegistration, DataAddress, DataFlowState, Dialect, HTTP_PULL, PrepareMessage, RegistrationMessage,
    ResumeMessage, StartMessage, StartedMessage, StatusMessage, SuspendMessage, TerminateMessage,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const DIALECTS: [Dialect; 3] = [Dialect::Rc2, Dialect::Rc3, Dialect::Rc4];

fn request() -> PrepareMessage {
    PrepareMessage {
        message_id: "m-1".into(),
        participant_id: "did:web:prov".into(),
        counter_party_id: "did:web:cons".into(),
        dataspace_context: "city-ds".into(),
        process_id: "tp-1".into(),
        agreement_id: "urn:uuid:a".into(),
        dataset_id: "urn:uuid:d".into(),
        profile: HTTP_PULL.into(),
        claims: json!({"membership": "active"}),
        metadata: json!({"plan": "x.y.z"}),
        labels: vec!["gold".into()],
        data_address: None,
        callback_address: None,
    }
}

#[test]
fn section_1_members_per_dialect() {
    let with_callback = StartMessage { callback_address: Some("https://cp.example".into()), ..request() };
    let rc2 = with_callback.encode(Dialect::Rc2);
    assert_eq!(rc2["transferType"], HTTP_PULL);
    assert_eq!(rc2["callbackAddress"], "https://cp.example");
    assert_eq!(rc2["processId"], "tp-1");
    assert!(rc2.get("profile").is_none());
    let rc3 = with_callback.encode(Dialect::Rc3);
    assert_eq!(rc3["profile"], HTTP_PULL);
    assert!(rc3.get("callbackAddress").is_none() && rc3.get("transferType").is_none());
    let rc4 = with_callback.encode(Dialect::Rc4);
    assert_eq!(rc4["dataFlowId"], "tp-1");
    assert!(rc4.get("processId").is_none());
}

#[test]
fn flow_requests_round_trip() {
    for dialect in DIALECTS {
        let message = request();
        assert_eq!(PrepareMessage::decode(&message.encode(dialect)).unwrap(), message);
        let address = DataAddress::bearer("p-push", "https://sink.example/in", "t", None).encode();
        let message = StartMessage { data_address: Some(address), ..request() };
        assert_eq!(StartMessage::decode(&message.encode(dialect)).unwrap(), message);
    }
}

#[test]
fn short_messages_round_trip_and_later_draft_sends_no_id() {
    let suspend = SuspendMessage { message_id: Some("m".into()), reason: Some("audit".into()) };
    assert_eq!(SuspendMessage::decode(&suspend.encode(Dialect::Rc3)).unwrap(), suspend);
    assert_eq!(suspend.encode(Dialect::Rc4), json!({"reason": "audit"}));
    let terminate = TerminateMessage::default();
    assert_eq!(terminate.encode(Dialect::Rc4), json!({}));
    let address = json!({"endpointType": "x", "endpoint": "https://p.example"});
    let started = StartedMessage { message_id: Some("m".into()), data_address: Some(address.clone()) };
    assert_eq!(started.encode(Dialect::Rc3)["dataAddress"]["@type"], "DataAddress");
    let resume = ResumeMessage::decode(&json!({"dataAddress": address})).unwrap();
    assert!(resume.message_id.is_none() && resume.data_address.is_some());
    for empty in [json!({}), json!({"dataAddress": null}), json!({"dataAddress": {}})] {
        assert!(StartedMessage::decode(&empty).unwrap().data_address.is_none());
    }
}

#[test]
fn later_draft_gets_the_endpoint_at_the_standard_place() {
    let address = json!({"endpointType": "x", "endpointProperties":
        [{"name": "https://w3id.org/edc/v0.0.1/ns/endpoint", "value": "http://edc"}]});
    let started = StartedMessage { message_id: None, data_address: Some(address) };
    assert_eq!(started.encode(Dialect::Rc4)["dataAddress"]["endpoint"], "http://edc");
    assert!(started.encode(Dialect::Rc3)["dataAddress"].get("endpoint").is_none());
}

#[test]
fn status_in_the_forms_seen_on_the_wire() {
    let shortest = StatusMessage::decode(&json!({"dataFlowId": "f", "state": "COMPLETED"})).unwrap();
    assert_eq!((shortest.data_flow_id.as_str(), shortest.state), ("f", DataFlowState::Completed));
    let full = StatusMessage {
        message_id: Some("m".into()),
        data_flow_id: "f".into(),
        state: DataFlowState::Started,
        data_address: Some(DataAddress::bearer(HTTP_PULL, "https://p.example", "secret", Some(60)).encode()),
        error: None,
    };
    for dialect in DIALECTS {
        assert_eq!(StatusMessage::decode(&full.encode(dialect)).unwrap(), full);
    }
    assert!(!format!("{full:?}").contains("secret"));
    // RC1 and extra members are ignored.
    assert!(
        StatusMessage::decode(&json!({"dataplaneId": "d", "dataFlowId": "f", "state": "PREPARED", "x": 1})).is_ok()
    );
}

#[test]
fn registrations_round_trip() {
    let plane = RegistrationMessage {
        dataplane_id: "dp".into(),
        endpoint: "http://127.0.0.1:8291".into(),
        profiles: vec![HTTP_PULL.into()],
        authorization: Some(json!({"type": "bearer"})),
        labels: vec!["local=http://127.0.0.1:8292".into()],
    };
    for dialect in DIALECTS {
        assert_eq!(RegistrationMessage::decode(&plane.encode(dialect)).unwrap(), plane);
    }
    assert!(plane.encode(Dialect::Rc2).get("transferTypes").is_some());
    let bare = RegistrationMessage { authorization: None, ..plane };
    assert_eq!(bare.encode(Dialect::Rc3)["authorization"]["type"], "none", "the schema demands the member");
    let control = ControlPlaneRegistration {
        controlplane_id: "cp".into(),
        endpoint: "http://127.0.0.1:8284".into(),
        authorization: Some(json!({"type": "bearer", "jwks": {"keys": []}})),
    };
    assert_eq!(ControlPlaneRegistration::decode(&control.encode(Dialect::Rc3)).unwrap(), control);
    assert_eq!(control.plan_keys(), Some(&json!({"keys": []})));
    let mut control = control;
    control.authorization = Some(json!({"type": "oauth2_client_credentials", "jwks": {"keys": []}}));
    assert_eq!(control.plan_keys(), None, "those are the keys of its tokens");
    control.authorization = Some(json!({"type": "oauth2_token_exchange", "planJwks": {"keys": []}}));
    assert_eq!(control.plan_keys(), Some(&json!({"keys": []})));
}

#[test]
fn bad_bodies_name_the_member() {
    for name in [
        "messageId",
        "participantId",
        "counterPartyId",
        "dataspaceContext",
        "processId",
        "agreementId",
        "datasetId",
        "profile",
    ] {
        let mut body = request().encode(Dialect::Rc3);
        body.as_object_mut().unwrap().remove(name);
        let error = StartMessage::decode(&body).unwrap_err();
        assert_eq!(error.code, "missing_member");
        assert!(error.message.contains(&format!("`{name}`")), "{}", error.message);
    }
    let table: [(&str, Value, &str); 7] = [
        ("messageId", json!(""), "bad_value"),
        ("messageId", json!(7), "wrong_type"),
        ("processId", json!("a\nb"), "bad_value"),
        ("datasetId", json!("x".repeat(5000)), "bad_value"),
        ("claims", json!([]), "wrong_type"),
        ("labels", json!(["a", 1]), "wrong_type"),
        ("dataAddress", json!("http://x"), "wrong_type"),
    ];
    for (name, value, code) in table {
        let mut body = request().encode(Dialect::Rc3);
        body[name] = value;
        assert_eq!(StartMessage::decode(&body).unwrap_err().code, code, "{name}");
    }
    assert_eq!(StartMessage::decode(&json!([])).unwrap_err().code, "not_an_object");
    assert_eq!(StatusMessage::decode(&json!({"dataFlowId": "f", "state": "GONE"})).unwrap_err().code, "bad_value");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("messageId".to_owned()),
        Just("processId".to_owned()),
        Just("dataAddress".to_owned()),
        Just("endpointProperties".to_owned()),
        Just("state".to_owned()),
        ".{0,6}",
    ];
    leaf.prop_recursive(3, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_decoder_panics(value in any_json()) {
        let _ = PrepareMessage::decode(&value);
        let _ = StatusMessage::decode(&value);
        let _ = StartedMessage::decode(&value);
        let _ = ResumeMessage::decode(&value);
        let _ = SuspendMessage::decode(&value);
        let _ = RegistrationMessage::decode(&value);
        let _ = ControlPlaneRegistration::decode(&value);
        let _ = DataAddress::decode(&value);
    }
}

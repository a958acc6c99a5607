//! Peers with static tokens: whom they admit, what they refuse and why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use identity::{CounterParty, Fault, Identity, IdentityError, IncomingRequest, StaticPeer, StaticPeers};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const BARI: &str = "did:web:bari.example";
const DURRES: &str = "did:web:durres.example";
const FROM_BARI: &str = "from-bari-0123456789";
const TO_BARI: &str = "to-bari-0123456789";

fn peer(id: &str, accepts: &str, sends: &str, claims: Value) -> StaticPeer {
    StaticPeer { id: id.into(), accepts_token: accepts.into(), sends_token: sends.into(), claims }
}

fn peers() -> StaticPeers {
    StaticPeers::new(vec![
        peer(BARI, FROM_BARI, TO_BARI, json!({"membership": "active"})),
        peer(DURRES, "from-durres-0123456789", "to-durres-0123456789", Value::Null),
    ])
    .unwrap()
}

async fn authenticate(authorization: Option<&str>) -> Result<String, IdentityError> {
    let request = IncomingRequest { authorization, audience: "did:web:us.example" };
    peers().authenticate(&request).await.map(|participant| participant.id().to_owned())
}

#[tokio::test]
async fn a_known_token_is_that_participant_with_its_claims() {
    for header in [format!("Bearer {FROM_BARI}"), format!("bearer {FROM_BARI}"), format!(" Bearer   {FROM_BARI} ")] {
        assert_eq!(authenticate(Some(&header)).await.unwrap(), BARI, "{header}");
    }
    let header = format!("Bearer {FROM_BARI}");
    let request = IncomingRequest { authorization: Some(&header), audience: "did:web:us.example" };
    let participant = peers().authenticate(&request).await.unwrap();
    assert_eq!(participant.claims(), &json!({"membership": "active"}));
    assert_eq!(authenticate(Some("Bearer from-durres-0123456789")).await.unwrap(), DURRES);
}

#[tokio::test]
async fn v5_9_1_1_every_other_header_is_refused_with_its_reason() {
    let long = format!("Bearer {}", "x".repeat(5000));
    let table = [
        (None, "no_token"),
        (Some(""), "no_token"),
        (Some("   "), "no_token"),
        (Some(FROM_BARI), "wrong_scheme"),
        (Some("Basic ZnJvbS1iYXJpLTAxMjM0NTY3ODk="), "wrong_scheme"),
        (Some("BearerX from-bari-0123456789"), "wrong_scheme"),
        (Some("Bearer"), "malformed_token"),
        (Some("Bearer "), "malformed_token"),
        (Some("Bearer from-bari-0123456789 x"), "malformed_token"),
        (Some("Bearer from-bari-0123456789\u{e9}"), "malformed_token"),
        (Some("Bearer a\tb"), "malformed_token"),
        (Some(long.as_str()), "malformed_token"),
        (Some("Bearer from-bari-012345678"), "unknown_token"),
        (Some("Bearer from-bari-01234567890"), "unknown_token"),
        (Some("Bearer FROM-BARI-0123456789"), "unknown_token"),
        // What we send to a peer does not work in the other direction.
        (Some("Bearer to-bari-0123456789"), "unknown_token"),
    ];
    for (header, code) in table {
        let error = authenticate(header).await.unwrap_err();
        assert_eq!(error.code(), code, "{header:?}");
        assert_eq!(error.fault(), Fault::Caller, "{header:?}");
        assert!(!error.is_temporary(), "{header:?}");
        assert!(!error.to_string().contains("0123"), "{error}");
    }
}

#[tokio::test]
async fn without_peers_nobody_is_known() {
    let none = StaticPeers::new(Vec::new()).unwrap();
    let request = IncomingRequest { authorization: Some("Bearer from-bari-0123456789"), audience: "x" };
    assert_eq!(none.authenticate(&request).await.unwrap_err().code(), "unknown_token");
}

#[tokio::test]
async fn outgoing_requests_carry_the_peers_token() {
    let peers = peers();
    let to = CounterParty { participant_id: BARI, address: "https://bari.example/dsp" };
    let header = peers.authorization_for(&to).await.unwrap();
    assert_eq!(header.expose_secret(), "Bearer to-bari-0123456789");
    let to = CounterParty { participant_id: "did:web:unknown.example", address: "https://unknown.example" };
    let error = peers.authorization_for(&to).await.unwrap_err();
    assert_eq!((error.code(), error.fault()), ("unknown_peer", Fault::Us));
}

#[test]
fn claims_of_a_peer_are_known_without_a_request() {
    assert_eq!(peers().counter_party_claims(BARI), Some(json!({"membership": "active"})));
    assert_eq!(peers().counter_party_claims(DURRES), Some(json!({})));
    assert_eq!(peers().counter_party_claims("did:web:unknown.example"), None);
}

#[test]
fn a_list_with_faults_is_refused_with_all_of_them() {
    let good = "good-token-0123456789";
    let table = [
        (vec![peer("", good, good, json!({}))], "the id must have"),
        (vec![peer("a b", good, good, json!({}))], "the id must have"),
        (vec![peer("a\n", good, good, json!({}))], "the id must have"),
        (vec![peer(&"i".repeat(513), good, good, json!({}))], "the id must have"),
        (vec![peer("a", "short", good, json!({}))], "`accepts_token` must have"),
        (vec![peer("a", good, "", json!({}))], "`sends_token` must have"),
        (vec![peer("a", "with a space in it", good, json!({}))], "`accepts_token` must have"),
        (vec![peer("a", good, "line-one-of-it\r\nX: y", json!({}))], "`sends_token` must have"),
        (vec![peer("a", good, good, json!(["x"]))], "`claims` must be an object"),
        (
            vec![peer("a", good, good, json!({})), peer("a", "other-token-0123456789", good, json!({}))],
            "the id stands in the list twice",
        ),
        (vec![peer("a", good, good, json!({})), peer("b", good, good, json!({}))], "another peer has the same"),
    ];
    for (list, what) in table {
        let error = StaticPeers::new(list).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert!(!error.to_string().contains(good), "{error}");
    }
    let two = StaticPeers::new(vec![peer("", "x", good, json!({})), peer("a", good, "y", json!(1))]).unwrap_err();
    assert_eq!(two.0.len(), 4, "{two}");
}

#[test]
fn v5_16_2_5_nothing_secret_is_shown() {
    let shown = format!("{:?} {:?}", peers(), peer(BARI, FROM_BARI, TO_BARI, json!({})));
    assert!(!shown.contains("0123456789") && !shown.contains("active"), "{shown}");
    let request = IncomingRequest { authorization: Some("Bearer from-bari-0123456789"), audience: "us" };
    assert!(!format!("{request:?}").contains("0123456789"));
}

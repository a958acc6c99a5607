//! Presentations that are in order, and one for each rule that is not kept.

use serde_json::{Value, json};

use super::{MAX_CREDENTIALS, MAX_PRESENTATIONS, make_vp_jwt, present};
use crate::credential::testkit::{VERIFIER, World, did, put, signer};
use crate::credential::{Format, VerifiedCredential};
use crate::testing::{NOW, document_url};

async fn verify(world: &World, presentations: &[Value]) -> Result<Vec<VerifiedCredential>, &'static str> {
    let answer = world.presentations.verify(presentations, &did(&world.holder.did), &did(VERIFIER)).await;
    answer.map_err(|error| error.code())
}

fn vc11(world: &World) -> String {
    world.issuer.sign(&json!({}), &world.vc11())
}

fn vc20(world: &World) -> String {
    world.issuer.sign(&json!({}), &world.vc20())
}

/// The claims of a presentation of data model 1.1 that is in order.
fn vp11(world: &World) -> Value {
    json!({
        "iss": world.holder.did, "sub": world.holder.did, "aud": VERIFIER, "jti": "1", "iat": NOW, "nbf": NOW, "exp": NOW + 60,
        "vp": {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiablePresentation"],
            "verifiableCredential": [vc11(world)],
        },
    })
}

/// A presentation of data model 2.0 that is in order.
fn vp20(world: &World) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": "VerifiablePresentation",
        "holder": {"id": world.holder.did},
        "aud": [VERIFIER, "did:web:other.example"],
        "verifiableCredential": [{
            "@context": "https://www.w3.org/ns/credentials/v2",
            "type": "EnvelopedVerifiableCredential",
            "id": format!("data:application/vc+jwt,{}", vc20(world)),
        }],
    })
}

#[tokio::test]
async fn both_profiles_are_accepted() {
    let world = World::new();
    let one = json!(world.holder.sign(&json!({}), &vp11(&world)));
    let two = json!(world.holder.sign(&json!({"typ": "vp+jwt"}), &vp20(&world)));
    let enveloped = json!({
        "@context": "https://www.w3.org/ns/credentials/v2", "type": "EnvelopedVerifiablePresentation",
        "id": format!("data:application/vp+jwt,{}", two.as_str().unwrap()),
    });
    let verified = verify(&world, &[one, two, enveloped]).await.unwrap();
    let formats: Vec<Format> = verified.iter().map(|verified| verified.credential.format).collect();
    assert_eq!(formats, [Format::Vc11Jwt, Format::Vc20Jwt, Format::Vc20Jwt]);
}

#[tokio::test]
async fn what_holders_in_the_field_write_is_accepted() {
    let world = World::new();
    // The conformance kit writes `context` without `@`, and the type as string.
    let mut kit = vp11(&world);
    put(&mut kit, "/vp/@context", None);
    put(&mut kit, "/vp/context", Some(json!(["https://www.w3.org/2018/credentials/v1"])));
    put(&mut kit, "/vp/type", Some(json!("VerifiablePresentation")));
    let mut single = vp11(&world);
    put(&mut single, "/vp/verifiableCredential", Some(json!(vc11(&world))));
    for claims in [kit, single] {
        assert_eq!(verify(&world, &[json!(world.holder.sign(&json!({}), &claims))]).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn each_rule_of_data_model_1_refuses_by_its_code() {
    let world = World::new();
    let other = Some(json!(world.stranger.did));
    let mut foreign = world.vc11();
    put(&mut foreign, "/sub", other.clone());
    put(&mut foreign, "/vc/credentialSubject/id", other.clone());
    let foreign = world.issuer.sign(&json!({}), &foreign);
    let mut two_subjects = world.vc11();
    let subjects = json!([{"id": world.holder.did}, {"id": world.stranger.did}]);
    put(&mut two_subjects, "/vc/credentialSubject", Some(subjects));
    let two_subjects = world.issuer.sign(&json!({}), &two_subjects);
    let mut nobody = world.vc11();
    put(&mut nobody, "/sub", None);
    put(&mut nobody, "/vc/credentialSubject/id", None);
    let nobody = world.issuer.sign(&json!({}), &nobody);
    let mut expired = world.vc11();
    put(&mut expired, "/exp", Some(json!(NOW - 100)));
    let expired = world.issuer.sign(&json!({}), &expired);
    let credentials = |of: Value| Some(of);
    let enveloped =
        json!({"type": "EnvelopedVerifiableCredential", "id": format!("data:application/vc+jwt,{}", vc20(&world))});

    let cases: Vec<(&str, &str, Option<Value>, &str)> = vec![
        ("no iss", "/iss", None, "holder_mismatch"),
        ("another iss", "/iss", other.clone(), "holder_mismatch"),
        ("another holder", "/vp/holder", other.clone(), "holder_mismatch"),
        ("no aud", "/aud", None, "wrong_audience"),
        ("another aud", "/aud", other, "wrong_audience"),
        ("aud is no string", "/aud", Some(json!([VERIFIER, 5])), "wrong_audience"),
        ("exp has passed", "/exp", Some(json!(NOW - 31)), "expired"),
        ("nbf is to come", "/nbf", Some(json!(NOW + 31)), "not_yet_valid"),
        ("iat is to come", "/iat", Some(json!(NOW + 31)), "not_yet_valid"),
        ("exp is no number", "/exp", Some(json!("x")), "bad_credential"),
        ("a credential beside it", "/vc", Some(json!({})), "bad_presentation"),
        ("vp is no object", "/vp", Some(json!([])), "bad_presentation"),
        ("another context", "/vp/@context", Some(json!(["https://www.w3.org/ns/credentials/v2"])), "bad_presentation"),
        ("another type", "/vp/type", Some(json!(["VerifiableCredential"])), "bad_presentation"),
        ("credentials of a wrong kind", "/vp/verifiableCredential", credentials(json!(5)), "bad_presentation"),
        ("no credentials", "/vp/verifiableCredential", None, "empty_presentation"),
        ("an empty list", "/vp/verifiableCredential", credentials(json!([])), "empty_presentation"),
        ("of another", "/vp/verifiableCredential", credentials(json!([foreign])), "holder_mismatch"),
        ("of another as well", "/vp/verifiableCredential", credentials(json!([two_subjects])), "holder_mismatch"),
        ("of nobody", "/vp/verifiableCredential", credentials(json!([nobody])), "holder_mismatch"),
        ("an expired one", "/vp/verifiableCredential", credentials(json!([expired])), "expired"),
        ("one of two", "/vp/verifiableCredential", credentials(json!([vc11(&world), "x"])), "malformed_jws"),
        ("unsigned", "/vp/verifiableCredential", credentials(json!([world.vc20()])), "unsigned_credential"),
        ("another form", "/vp/verifiableCredential", credentials(json!([vc20(&world)])), "mixed_formats"),
        ("another form, enveloped", "/vp/verifiableCredential", credentials(json!([enveloped])), "mixed_formats"),
        (
            "too many",
            "/vp/verifiableCredential",
            credentials(json!(vec!["x"; MAX_CREDENTIALS + 1])),
            "too_many_credentials",
        ),
    ];
    for (name, path, value, expected) in cases {
        let mut claims = vp11(&world);
        put(&mut claims, path, value);
        let token = world.holder.sign(&json!({}), &claims);
        assert_eq!(verify(&world, &[json!(token)]).await.err(), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn each_rule_of_data_model_2_refuses_by_its_code() {
    let world = World::new();
    let other = Some(json!(world.stranger.did));
    let old =
        json!({"type": "EnvelopedVerifiableCredential", "id": format!("data:application/vc+jwt,{}", vc11(&world))});
    let cases: Vec<(&str, &str, Option<Value>, &str)> = vec![
        ("another holder", "/holder", other.clone(), "holder_mismatch"),
        ("a holder without id", "/holder", Some(json!({})), "holder_mismatch"),
        ("another iss", "/iss", other, "holder_mismatch"),
        ("no aud", "/aud", None, "wrong_audience"),
        ("no context", "/@context", None, "bad_presentation"),
        ("another type", "/type", Some(json!("VerifiableCredential")), "bad_presentation"),
        ("not enveloped", "/verifiableCredential", Some(json!([vc20(&world)])), "bad_presentation"),
        ("another form", "/verifiableCredential", Some(json!([old])), "mixed_formats"),
    ];
    for (name, path, value, expected) in cases {
        let mut document = vp20(&world);
        put(&mut document, path, value);
        let token = world.holder.sign(&json!({}), &document);
        assert_eq!(verify(&world, &[json!(token)]).await.err(), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn signatures_and_keys_must_be_the_holders() {
    let world = World::new();
    let claims = vp11(&world);
    let cases = [
        ("another party's key", world.stranger.sign(&json!({}), &claims), "holder_mismatch"),
        ("another key than kid says", world.stranger.sign(&json!({"kid": world.holder.kid}), &claims), "bad_signature"),
        ("a key that is not there", world.holder.sign(&json!({"kid": "#key-2"}), &claims), "unknown_key"),
        ("no algorithm", world.holder.sign(&json!({"alg": "none"}), &claims), "unsupported_algorithm"),
    ];
    for (name, token, expected) in cases {
        assert_eq!(verify(&world, &[json!(token)]).await.err(), Some(expected), "{name}");
    }
    assert_eq!(verify(&world, &[json!({"type": "VerifiablePresentation"})]).await.err(), Some("unsigned_credential"));

    // A key that signs credentials does not sign presentations for that.
    let world = World::new();
    let mut document = world.holder.document();
    put(&mut document, "/authentication", Some(json!([])));
    world.fetch.put_json(&document_url(&world.holder.did), &document);
    let token = world.holder.sign(&json!({}), &vp11(&world));
    assert_eq!(verify(&world, &[json!(token)]).await.err(), Some("key_not_allowed"));
}

#[tokio::test]
async fn an_answer_has_presentations_but_not_any_number() {
    let world = World::new();
    assert_eq!(verify(&world, &[]).await.err(), Some("empty_presentation"));
    let many = vec![json!("x"); MAX_PRESENTATIONS + 1];
    assert_eq!(verify(&world, &many).await.err(), Some("too_many_presentations"));
}

#[tokio::test]
async fn proofs_that_name_another_domain_are_refused() {
    let world = World::new();
    let presentation = json!({
        "@context": ["https://www.w3.org/ns/credentials/v2"], "type": "VerifiablePresentation", "holder": world.holder.did,
        "proof": {"type": "DataIntegrityProof", "domain": "did:web:other.example"},
    });
    assert_eq!(verify(&world, &[presentation]).await.err(), Some("wrong_audience"));
}

#[tokio::test]
async fn what_we_present_is_accepted() {
    let world = World::new();
    let (holder, audience) = (did(&world.holder.did), did(VERIFIER));
    let credentials = [
        (Format::Vc20Jwt, vc20(&world)),
        (Format::Vc11Jwt, vc11(&world)),
        (Format::DataIntegrity, "{}".to_owned()),
        (Format::Vc20Jwt, vc20(&world)),
    ];
    let key = signer(&world.holder);
    let made = present(key.as_ref(), &holder, &audience, &credentials, NOW, 60).await.unwrap();
    let made: Vec<Value> = made.into_iter().map(Value::from).collect();
    assert_eq!(made.len(), 2);
    let formats: Vec<Format> =
        verify(&world, &made).await.unwrap().iter().map(|verified| verified.credential.format).collect();
    assert_eq!(formats, [Format::Vc20Jwt, Format::Vc20Jwt, Format::Vc11Jwt]);
    world.clock.advance(90);
    assert_eq!(verify(&world, &made).await.err(), Some("expired"));

    let refused = make_vp_jwt(Format::DataIntegrity, key.as_ref(), &holder, &audience, &[], NOW, 60).await;
    assert_eq!(refused.unwrap_err().code(), "unsupported_format");
}

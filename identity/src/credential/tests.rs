//! Credentials that are in order, and one for each rule that is not kept.

use serde_json::{Value, json};

use super::testkit::{World, did, put, signer};
use super::{Format, NewCredential, issue};
use crate::testing::{NOW, document_url, unreachable_host};

/// Name, what is changed where, and the refusal.
type Case<'a> = (&'a str, &'a str, Option<Value>, &'a str);

#[tokio::test]
async fn both_profiles_are_read_alike() {
    let world = World::new();
    let tokens = [
        (Format::Vc11Jwt, world.issuer.sign(&json!({}), &world.vc11()), NOW + 300),
        (Format::Vc20Jwt, world.issuer.sign(&json!({"typ": "vc+jwt"}), &world.vc20()), NOW + 300),
    ];
    for (format, token, fresh_until) in tokens {
        let verified = world.credentials.verify(&json!(token)).await.unwrap();
        assert_eq!(verified.credential.format, format);
        assert_eq!(verified.credential.types, ["VerifiableCredential", "MembershipCredential"]);
        assert_eq!(verified.credential.issuer, world.issuer.did);
        assert_eq!(verified.credential.valid_from, Some(NOW - 10));
        assert_eq!(verified.credential.subjects[0]["membership"], "active");
        assert_eq!(verified.method.to_string(), world.issuer.kid);
        assert_eq!(verified.fresh_until, fresh_until);
        verified.bound_to(&did(&world.holder.did)).unwrap();
        assert_eq!(verified.bound_to(&did(&world.stranger.did)).unwrap_err().code(), "holder_mismatch");
    }
}

#[tokio::test]
async fn claims_are_folded_into_a_credential_that_leaves_members_out() {
    let world = World::new();
    let mut claims = world.vc11();
    for member in ["/vc/id", "/vc/issuer", "/vc/issuanceDate", "/vc/credentialSubject/id"] {
        put(&mut claims, member, None);
    }
    put(&mut claims, "/vc/expirationDate", Some(Value::Null));
    let verified = world.credentials.verify(&json!(world.issuer.sign(&json!({}), &claims))).await.unwrap();
    let document = &verified.credential.document;
    assert_eq!(document["issuer"], json!(world.issuer.did));
    assert_eq!(document["id"], "urn:uuid:1");
    assert_eq!(document["credentialSubject"]["id"], json!(world.holder.did));
    assert_eq!(document.get("expirationDate"), None);
    assert_eq!(verified.credential.valid_until, Some(NOW + 1000));
    verified.bound_to(&did(&world.holder.did)).unwrap();
}

#[tokio::test]
async fn what_issuers_in_the_field_write_is_accepted() {
    let world = World::new();
    let id = world.vc11()["vc"]["id"].clone();
    assert!(id.is_string());
    let cases: [Case<'_>; 8] = [
        ("another context", "/vc/@context", Some(json!("urn:uuid:1")), ""),
        ("no context", "/vc/@context", None, ""),
        ("sub names the credential", "/sub", Some(id), ""),
        ("another jti than id", "/jti", Some(json!("other")), ""),
        ("no VerifiableCredential", "/vc/type", Some(json!(["MembershipCredential"])), ""),
        ("one type as string", "/vc/type", Some(json!("MembershipCredential")), ""),
        ("a later nbf than issuanceDate", "/nbf", Some(json!(NOW)), ""),
        ("an issuer with a name", "/vc/issuer", Some(json!({"id": world.issuer.did, "name": "n"})), ""),
    ];
    for (name, path, value, _) in cases {
        let mut claims = world.vc11();
        put(&mut claims, path, value);
        assert_eq!(world.code(&world.issuer.sign(&json!({}), &claims)).await, Ok(()), "{name}");
    }
    for kid in [json!("#key-1"), json!("key-1"), json!(world.issuer.did)] {
        let token = world.issuer.sign(&json!({"kid": kid}), &world.vc11());
        assert_eq!(world.code(&token).await, Ok(()), "{kid}");
    }
    for media_type in ["vc+jwt", "vc-ld+jwt"] {
        let token = world.issuer.sign(&json!({}), &world.vc20());
        let envelope = json!({
            "@context": "https://www.w3.org/ns/credentials/v2", "type": ["EnvelopedVerifiableCredential"],
            "id": format!("data:application/{media_type},{token}"),
        });
        assert_eq!(world.credentials.verify(&envelope).await.unwrap().credential.format, Format::Vc20Jwt);
    }
}

#[tokio::test]
async fn each_rule_of_data_model_1_refuses_by_its_code() {
    let world = World::new();
    let context2 = json!(["https://www.w3.org/ns/credentials/v2"]);
    let other = Some(json!(world.stranger.did));
    let cases: [Case<'_>; 27] = [
        ("vc is no object", "/vc", Some(json!("x")), "bad_credential"),
        ("vp beside vc", "/vp", Some(json!({})), "bad_credential"),
        ("an object as context", "/vc/@context", Some(json!({})), "bad_credential"),
        ("context of 2.0", "/vc/@context", Some(context2), "bad_credential"),
        ("context in second place", "/vc/@context", Some(json!(["x", super::parse::CONTEXT_V1])), "bad_credential"),
        ("no type", "/vc/type", None, "bad_credential"),
        ("type of a wrong kind", "/vc/type", Some(json!(["VerifiableCredential", 5])), "bad_credential"),
        ("too many types", "/vc/type", Some(json!(vec!["T"; 17])), "bad_credential"),
        ("issuer is no DID", "/iss", Some(json!("https://issuer.example")), "bad_credential"),
        ("iss is another than issuer", "/iss", other.clone(), "bad_credential"),
        ("issuer is another than iss", "/vc/issuer", other.clone(), "bad_credential"),
        ("issuer without id", "/vc/issuer", Some(json!({"name": "x"})), "bad_credential"),
        ("sub is not the subject", "/sub", other.clone(), "bad_credential"),
        ("sub is no string", "/sub", Some(json!(5)), "bad_credential"),
        ("no subject", "/vc/credentialSubject", None, "bad_credential"),
        ("subject is no object", "/vc/credentialSubject", Some(json!("x")), "bad_credential"),
        ("too many subjects", "/vc/credentialSubject", Some(json!(vec![json!({"a": 1}); 17])), "bad_credential"),
        ("status is no object", "/vc/credentialStatus", Some(json!("x")), "bad_credential"),
        ("schema is no object", "/vc/credentialSchema", Some(json!([5])), "bad_credential"),
        ("exp is no number", "/exp", Some(json!("soon")), "bad_credential"),
        ("a date without zone", "/vc/expirationDate", Some(json!("2027-01-01T00:00:00")), "bad_credential"),
        ("exp has passed", "/exp", Some(json!(NOW - 31)), "expired"),
        ("expirationDate has passed", "/vc/expirationDate", Some(json!("2025-12-31T23:58:00Z")), "expired"),
        ("validUntil has passed", "/vc/validUntil", Some(json!("2025-12-31T23:58:00Z")), "expired"),
        ("nbf is to come", "/nbf", Some(json!(NOW + 31)), "not_yet_valid"),
        ("issuanceDate is to come", "/vc/issuanceDate", Some(json!("2026-01-01T01:00:00Z")), "not_yet_valid"),
        ("a foreign status", "/vc/credentialStatus", Some(json!({"type": "New"})), "unsupported_status"),
    ];
    for (name, path, value, expected) in cases {
        let mut claims = world.vc11();
        put(&mut claims, path, value);
        assert_eq!(world.code(&world.issuer.sign(&json!({}), &claims)).await, Err(expected), "{name}");
    }
}

#[tokio::test]
async fn each_rule_of_data_model_2_refuses_by_its_code() {
    let world = World::new();
    let other = Some(json!(world.stranger.did));
    let cases: [Case<'_>; 11] = [
        ("vp is there", "/vp", Some(json!({})), "bad_credential"),
        ("vc is there", "/vc", Some(json!({})), "bad_credential"),
        ("context of 1.1", "/@context", Some(json!([super::parse::CONTEXT_V1])), "bad_credential"),
        ("not a credential", "/type", Some(json!(["VerifiablePresentation"])), "bad_credential"),
        ("iss is not the issuer", "/iss", other.clone(), "bad_credential"),
        ("sub is not the subject", "/sub", other, "bad_credential"),
        ("jti is not the id", "/jti", Some(json!("x")), "bad_credential"),
        ("no issuer", "/issuer", None, "bad_credential"),
        ("validUntil has passed", "/validUntil", Some(json!("2025-12-31T23:58:00Z")), "expired"),
        ("the signature has expired", "/exp", Some(json!(NOW - 60)), "expired"),
        ("validFrom is to come", "/validFrom", Some(json!("2026-01-01T01:00:00Z")), "not_yet_valid"),
    ];
    for (name, path, value, expected) in cases {
        let mut document = world.vc20();
        put(&mut document, path, value);
        assert_eq!(world.code(&world.issuer.sign(&json!({}), &document)).await, Err(expected), "{name}");
    }
}

#[tokio::test]
async fn signatures_and_keys_must_be_the_issuers() {
    let world = World::new();
    let claims = world.vc11();
    let good = world.issuer.sign(&json!({}), &claims);
    let cases = [
        ("another key than kid says", world.stranger.sign(&json!({"kid": world.issuer.kid}), &claims), "bad_signature"),
        ("another party's key", world.stranger.sign(&json!({}), &claims), "issuer_mismatch"),
        ("a key that is not there", world.issuer.sign(&json!({"kid": "#key-2"}), &claims), "unknown_key"),
        (
            "a kid with a path",
            world.issuer.sign(&json!({"kid": "did:web:issuer.example/x#k"}), &claims),
            "malformed_did",
        ),
        ("no signature", format!("{}.", good.rsplit_once('.').unwrap().0), "bad_signature"),
        ("not three parts", good.replace('.', ""), "malformed_jws"),
        ("an extension", world.issuer.sign(&json!({"crit": ["b64"]}), &claims), "malformed_jws"),
        ("no algorithm", world.issuer.sign(&json!({"alg": "none"}), &claims), "unsupported_algorithm"),
        ("a shared secret", world.issuer.sign(&json!({"alg": "HS256"}), &claims), "unsupported_algorithm"),
        ("an algorithm of other keys", world.issuer.sign(&json!({"alg": "EdDSA"}), &claims), "unsupported_algorithm"),
    ];
    for (name, token, expected) in cases {
        assert_eq!(world.code(&token).await, Err(expected), "{name}");
    }
    assert_eq!(world.code(&good).await, Ok(()));

    let world = World::new();
    let mut document = world.issuer.document();
    put(&mut document, "/assertionMethod", Some(json!([])));
    world.fetch.put_json(&document_url(&world.issuer.did), &document);
    let token = world.issuer.sign(&json!({}), &world.vc11());
    assert_eq!(world.code(&token).await, Err("key_not_allowed"));
}

/// Every letter of the token counts, in header, payload and signature.
#[tokio::test]
async fn a_credential_that_was_changed_anywhere_is_refused() {
    let world = World::new();
    let token = world.issuer.sign(&json!({}), &world.vc11());
    for position in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(world.code(&changed).await.is_err(), "changed at {position}");
        assert!(world.code(&token[..position]).await.is_err(), "cut at {position}");
    }
    assert_eq!(world.code(&token).await, Ok(()));
}

#[tokio::test]
async fn what_is_not_a_signed_credential_is_refused() {
    let world = World::new();
    let cases = [
        (json!({"type": ["VerifiableCredential"]}), "unsigned_credential"),
        (json!({"type": "EnvelopedVerifiableCredential", "id": "data:text/plain,x"}), "bad_credential"),
        (json!(5), "bad_credential"),
        (json!([]), "bad_credential"),
        (json!("x".repeat(300_000)), "bad_credential"),
        (json!({"proof": {}, "x": "x".repeat(300_000)}), "bad_credential"),
    ];
    for (value, expected) in cases {
        let error = world.credentials.verify(&value).await.unwrap_err();
        assert_eq!(error.code(), expected);
    }
}

#[tokio::test]
async fn an_issuer_is_trusted_type_by_type_and_nothing_is_fetched_for_others() {
    let world = World::new();
    *world.trust.0.lock().unwrap() = vec![(world.issuer.did.clone(), "MembershipCredential".to_owned())];
    let token = world.issuer.sign(&json!({}), &world.vc11());
    assert_eq!(world.code(&token).await, Ok(()));

    let mut claims = world.vc11();
    put(&mut claims, "/vc/type", Some(json!(["VerifiableCredential", "MembershipCredential", "Other"])));
    assert_eq!(world.code(&world.issuer.sign(&json!({}), &claims)).await, Err("untrusted_issuer"));

    let mut claims = world.vc11();
    put(&mut claims, "/iss", Some(json!(world.stranger.did)));
    put(&mut claims, "/vc/issuer", Some(json!(world.stranger.did)));
    let foreign = json!(world.stranger.sign(&json!({}), &claims));
    let error = world.credentials.verify(&foreign).await.unwrap_err();
    assert_eq!(error.code(), "untrusted_issuer");
    assert_eq!(
        error.to_string(),
        "the credential `MembershipCredential` of `did:web:stranger.example`: `did:web:stranger.example` is not trusted for this"
    );
    assert_eq!(world.fetch.calls(&document_url(&world.stranger.did)), 0);

    // Trust that was taken away counts at once, for what was verified before as well.
    world.trust.0.lock().unwrap().clear();
    assert_eq!(world.code(&token).await, Err("untrusted_issuer"));
}

#[tokio::test]
async fn a_result_is_kept_until_it_has_to_be_looked_at_again() {
    let world = World::new();
    let mut claims = world.vc11();
    put(&mut claims, "/exp", Some(json!(NOW + 100)));
    let token = world.issuer.sign(&json!({}), &claims);
    assert_eq!(world.code(&token).await, Ok(()));
    world.fetch.fail(&document_url(&world.issuer.did), unreachable_host());
    world.clock.advance(99);
    assert_eq!(world.code(&token).await, Ok(()));
    world.clock.advance(31);
    assert_eq!(world.code(&token).await, Err("expired"));

    let lasting = world.issuer.sign(&json!({}), &world.vc11());
    world.clock.set(NOW);
    assert_eq!(world.code(&lasting).await, Ok(()));
    // Later than everything is kept; the issuer's document is gone by then.
    world.clock.advance(301);
    let error = world.credentials.verify(&json!(lasting)).await.unwrap_err();
    assert_eq!((error.code(), error.is_temporary()), ("did_unreachable", true));
}

#[tokio::test]
async fn what_we_issue_is_accepted() {
    let world = World::new();
    let (issuer, subject) = (did(&world.issuer.did), did(&world.holder.did));
    let claims = json!({"id": "did:web:someone.else", "membership": "active"});
    let schema = json!({"id": "https://schemas.example/any.json", "type": "JsonSchema"});
    world.fetch.put_json(
        "https://schemas.example/any.json",
        &json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "required": ["credentialSubject"]}),
    );
    for format in [Format::Vc11Jwt, Format::Vc20Jwt] {
        let new = NewCredential {
            format,
            id: "urn:uuid:3",
            issuer: &issuer,
            subject: &subject,
            types: &["MembershipCredential".to_owned()],
            contexts: &["https://example.org/membership".to_owned()],
            claims: claims.as_object().unwrap(),
            valid_from: NOW,
            valid_until: Some(NOW + 60),
            status: None,
            schema: Some(&schema),
        };
        let token = issue(&new, signer(&world.issuer).as_ref()).await.unwrap();
        let verified = world.credentials.verify(&json!(token)).await.unwrap();
        assert_eq!(verified.credential.format, format);
        assert_eq!(verified.credential.id.as_deref(), Some("urn:uuid:3"));
        assert_eq!((verified.credential.valid_from, verified.credential.valid_until), (Some(NOW), Some(NOW + 60)));
        assert_eq!(verified.credential.subjects[0]["membership"], "active");
        assert_eq!(verified.credential.document["@context"][1], "https://example.org/membership");
        verified.bound_to(&subject).unwrap();

        let unmade = NewCredential { format: Format::DataIntegrity, ..new };
        let error = issue(&unmade, signer(&world.issuer).as_ref()).await.unwrap_err();
        assert_eq!((error.code(), error.fault()), ("unsupported_format", crate::Fault::Us));
    }
}

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, encode};
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

const EXPECTED: Expected<'static> =
    Expected { issuer: None, subject: "cp", audience: "dp", scope: None, participant_context: None };

/// A new key, and its public half with `kid`.
fn key(algorithm: Algorithm, kid: &str) -> (EncodingKey, Value) {
    let random = SystemRandom::new();
    let ec = |kind| EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
    let key = match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_der(ec(&ECDSA_P256_SHA256_FIXED_SIGNING).as_ref()),
        Algorithm::ES384 => EncodingKey::from_ec_der(ec(&ECDSA_P384_SHA384_FIXED_SIGNING).as_ref()),
        Algorithm::EdDSA => EncodingKey::from_ed_der(Ed25519KeyPair::generate_pkcs8v1(&random).unwrap().as_ref()),
        _ => {
            let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
            let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
            // The PKCS#1 key is the last part of a PKCS#8 key, behind a head of 26 bytes.
            EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
        }
    };
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
    jwk["kid"] = json!(kid);
    (key, jwk)
}

fn set(keys: &[&Value]) -> KeySet {
    KeySet::from_jwks(&json!({"keys": keys})).unwrap()
}

fn signed(algorithm: Algorithm, key: &EncodingKey, kid: Option<&str>, claims: &Value) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    encode(&header, claims, key).unwrap()
}

/// The claims of a good token with these instead; null takes one away.
fn claims(change: &Value) -> Value {
    let mut claims = json!({"iss": "https://t", "sub": "cp", "aud": "dp", "iat": NOW, "exp": NOW + 300, "jti": "1"});
    let members = claims.as_object_mut().unwrap();
    members.extend(change.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    claims
}

#[test]
fn section_8_each_claim_that_is_wrong_is_refused_by_its_name() {
    use TokenFault::{Expired, Future, Missing, Other, TooLong};
    let (key, jwk) = key(Algorithm::ES256, "a");
    let keys = set(&[&jwk]);
    for (change, fault) in [
        (json!({"iss": null}), Missing("iss")),
        (json!({"sub": null}), Missing("sub")),
        (json!({"sub": "other"}), Other("sub")),
        (json!({"sub": ["cp"]}), Missing("sub")),
        (json!({"aud": null}), Missing("aud")),
        (json!({"aud": "other"}), Other("aud")),
        (json!({"aud": ["a", "b"]}), Other("aud")),
        (json!({"aud": []}), Other("aud")),
        (json!({"iat": null}), Missing("iat")),
        (json!({"iat": "now"}), Missing("iat")),
        (json!({"iat": NOW + 31}), Future),
        (json!({"nbf": NOW + 31}), Future),
        (json!({"nbf": "x"}), Missing("nbf")),
        (json!({"exp": null}), Missing("exp")),
        (json!({"exp": NOW - 30, "iat": NOW - 90}), Expired),
        (json!({"exp": NOW + MAX_LIFE_S + 1}), TooLong),
    ] {
        let token = signed(Algorithm::ES256, &key, Some("a"), &claims(&change));
        assert_eq!(verify(&token, &keys, &EXPECTED, NOW), Err(fault.clone()), "{change}");
        assert_eq!(claims_without_signature(&token, &EXPECTED, NOW), Err(fault), "{change}");
    }
    for change in [
        json!({}),
        json!({"aud": ["other", "dp"]}),
        json!({"iat": NOW + 30}),
        json!({"exp": NOW - 29, "iat": NOW - 90}),
        json!({"exp": NOW + MAX_LIFE_S}),
        json!({"iat": 1_799_999_999.75, "nbf": NOW}),
        json!({"jti": null}),
    ] {
        let token = signed(Algorithm::ES256, &key, Some("a"), &claims(&change));
        assert!(verify(&token, &keys, &EXPECTED, NOW).is_ok(), "{change}");
    }
    let token = signed(Algorithm::ES256, &key, Some("a"), &claims(&json!({})));
    let good = Claims { jti: Some("1".to_owned()), issued_s: NOW, expires_s: NOW + 300 };
    assert_eq!(verify(&token, &keys, &EXPECTED, NOW), Ok(good));
    let long = signed(Algorithm::ES256, &key, Some("a"), &claims(&json!({"jti": "x".repeat(513)})));
    assert_eq!(verify(&long, &keys, &EXPECTED, NOW).unwrap().jti, None);
}

#[test]
fn section_8_a_brokers_token_names_issuer_scope_and_participant_context() {
    let (key, jwk) = key(Algorithm::ES256, "a");
    let keys = set(&[&jwk]);
    let expected = Expected {
        issuer: Some("https://broker"),
        scope: Some("flows.write flows.read"),
        participant_context: Some("city"),
        ..EXPECTED
    };
    let good = json!({"iss": "https://broker", "scope": "x flows.read flows.write", "participant_context": "city"});
    let with = |name: &str, value: Value| {
        let mut change = good.clone();
        change[name] = value;
        change
    };
    for (change, fault) in [
        (good.clone(), None),
        (with("scope", json!(["flows.read", "flows.write"])), None),
        (with("act", json!({"sub": "somebody"})), None),
        (with("iss", json!("https://t")), Some(TokenFault::Other("iss"))),
        (with("scope", json!("flows.write")), Some(TokenFault::Scope("flows.read".to_owned()))),
        (with("scope", json!("flows.writer flows.read")), Some(TokenFault::Scope("flows.write".to_owned()))),
        (with("scope", json!(null)), Some(TokenFault::Scope("flows.write".to_owned()))),
        (with("participant_context", json!("other")), Some(TokenFault::Other("participant_context"))),
        (with("participant_context", json!(null)), Some(TokenFault::Missing("participant_context"))),
    ] {
        let token = signed(Algorithm::ES256, &key, None, &claims(&change));
        assert_eq!(verify(&token, &keys, &expected, NOW).err(), fault, "{change}");
    }
}

#[test]
fn asymmetric_algorithms_alone_count() {
    let all = [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256];
    let made = all.map(|algorithm| (algorithm, key(algorithm, "k")));
    for (algorithm, (key, jwk)) in &made {
        let token = signed(*algorithm, key, Some("k"), &claims(&json!({})));
        assert!(verify(&token, &set(&[jwk]), &EXPECTED, NOW).is_ok(), "{algorithm:?}");
        let others: Vec<&Value> =
            made.iter().filter(|(other, _)| other != algorithm).map(|(_, (_, jwk))| jwk).collect();
        assert!(verify(&token, &set(&others), &EXPECTED, NOW).is_err(), "{algorithm:?} by another's key");
    }
    let (_, (_, jwk)) = &made[0];
    let envelope = |token: &str| matches!(verify(token, &set(&[jwk]), &EXPECTED, NOW), Err(TokenFault::Envelope(_)));
    // The public key as a secret, the oldest trick.
    let secret = EncodingKey::from_secret(jwk["x"].as_str().unwrap().as_bytes());
    assert!(envelope(&signed(Algorithm::HS256, &secret, Some("k"), &claims(&json!({})))));
    let body = signed(Algorithm::HS256, &secret, None, &claims(&json!({})));
    let body = body.split('.').nth(1).unwrap();
    // {"alg":"none"} and {"alg":"ES512"}
    assert!(envelope(&format!("eyJhbGciOiJub25lIn0.{body}.")));
    assert!(envelope(&format!("eyJhbGciOiJFUzUxMiJ9.{body}.AAAA")));
    assert!(envelope("abc") && envelope("") && envelope(&"x".repeat(17 * 1024)));
}

#[test]
fn a_key_is_found_by_its_name() {
    let ((first, a), (second, b)) = (key(Algorithm::ES256, "a"), key(Algorithm::ES256, "b"));
    let keys = set(&[&json!({"kty": "unknown"}), &a, &b]);
    let token = |key: &EncodingKey, kid: Option<&str>| signed(Algorithm::ES256, key, kid, &claims(&json!({})));
    assert!(verify(&token(&first, Some("a")), &keys, &EXPECTED, NOW).is_ok());
    assert!(verify(&token(&second, None), &keys, &EXPECTED, NOW).is_ok(), "without a name any key is tried");
    assert_eq!(verify(&token(&first, Some("b")), &keys, &EXPECTED, NOW), Err(TokenFault::Signature));
    assert_eq!(verify(&token(&first, Some("c")), &keys, &EXPECTED, NOW), Err(TokenFault::UnknownKey));
    let mut changed = token(&first, Some("a"));
    let other = claims(&json!({"sub": "cp", "exp": NOW + 3000}));
    let body = signed(Algorithm::ES256, &first, Some("a"), &other);
    let parts: Vec<&str> = changed.split('.').collect();
    changed = format!("{}.{}.{}", parts[0], body.split('.').nth(1).unwrap(), parts[2]);
    assert_eq!(verify(&changed, &keys, &EXPECTED, NOW), Err(TokenFault::Signature));
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    let (key, jwk) = key(Algorithm::ES256, "a");
    let keys = set(&[&jwk]);
    let with = |change: fn(&mut Header)| {
        let mut header = Header::new(Algorithm::ES256);
        change(&mut header);
        verify(&encode(&header, &claims(&json!({})), &key).unwrap(), &keys, &EXPECTED, NOW)
    };
    assert!(with(|header| header.typ = Some("at+JWT".to_owned())).is_ok());
    assert!(with(|header| header.typ = None).is_ok());
    for refused in [
        with(|header| header.typ = Some("hansa-plan+jwt".to_owned())),
        with(|header| header.crit = Some(vec!["exp".to_owned()])),
    ] {
        assert!(matches!(refused, Err(TokenFault::Envelope(_))), "{refused:?}");
    }
}

#[test]
fn keys_that_cannot_sign_are_passed_over() {
    let (_, good) = key(Algorithm::ES256, "a");
    let with = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        json!({"keys": [key]})
    };
    for none in [
        json!({"keys": []}),
        json!({"keys": [{"kty": "oct", "k": "AAAA"}]}),
        with("use", json!("enc")),
        with("alg", json!("ES384")),
        with("crv", json!("P-521")),
        json!({"keys": [{"kty": "OKP", "crv": "X25519", "x": "AAAA"}]}),
    ] {
        assert_eq!(KeySet::from_jwks(&none).err(), Some(crate::token::KeyError::NoKey), "{none}");
    }
    for no_set in [json!([]), json!({}), json!({"keys": {}}), json!(null)] {
        assert_eq!(KeySet::from_jwks(&no_set).err(), Some(crate::token::KeyError::NoSet));
    }
    assert!(KeySet::from_jwks(&json!({"keys": [good]})).is_ok());
}

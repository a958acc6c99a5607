//! Published vectors, and what must not pass.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{self, ES384, ES512, EdDSA, PS256, RS256};
use serde_json::{Value, json};

use super::*;

/// RFC 7515, A.3.
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn es256_jwk() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

/// RFC 8037, A.2.
fn ed25519_jwk() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

/// RFC 7638, 3.1.
fn rsa_jwk() -> Value {
    json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    })
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn parse_code(token: &str) -> &'static str {
    Jws::parse(token).unwrap_err().code()
}

#[test]
fn a_published_signature_is_verified() {
    let key = PublicKey::from_jwk(&es256_jwk()).unwrap();
    let jws = Jws::parse(ES256).unwrap();
    assert_eq!(jws.algorithm(), Algorithm::Es256);
    jws.verify(&key).unwrap();
    let other = PrivateKey::generate(Algorithm::Es256).unwrap();
    assert_eq!(jws.verify(other.public()).unwrap_err().code(), "bad_signature");
}

#[test]
fn published_thumbprints_come_out() {
    let thumbprint = |jwk| PublicKey::from_jwk(&jwk).unwrap().thumbprint();
    assert_eq!(thumbprint(rsa_jwk()), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(thumbprint(ed25519_jwk()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn public_keys_are_read_from_pem() {
    // RFC 8410, 10.1.
    let published = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let key = PublicKey::from_pem(published).unwrap();
    assert_eq!(key.jwk()["x"], "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    let p256 = jws::ES256.generate_key_pair().unwrap();
    let p384 = ES384.generate_key_pair().unwrap();
    let ed = EdDSA.generate_key_pair(EdCurve::Ed25519).unwrap();
    for (pem, jwk) in [
        (p256.to_pem_public_key(), p256.to_jwk_public_key()),
        (p384.to_pem_public_key(), p384.to_jwk_public_key()),
        (ed.to_pem_public_key(), ed.to_jwk_public_key()),
    ] {
        let known = PublicKey::from_jwk(&Value::Object(jwk.as_ref().clone())).unwrap();
        let pem = String::from_utf8(pem).unwrap();
        assert_eq!(PublicKey::from_pem(&pem).unwrap(), known);
        assert_eq!(PublicKey::from_pem(&pem.replace('\n', "\r\n")).unwrap(), known);
        let short = pem.replacen("\nM", "\nAAAAM", 1);
        assert_eq!(PublicKey::from_pem(&short).unwrap_err().code(), "unsupported_key");
    }
    let others = [
        ES512.generate_key_pair().unwrap().to_pem_public_key(),
        EdDSA.generate_key_pair(EdCurve::Ed448).unwrap().to_pem_public_key(),
        RS256.generate_key_pair(2048).unwrap().to_pem_public_key(),
        p256.to_pem_private_key(),
        p256.to_traditional_pem_private_key(),
        Vec::new(),
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----".to_vec(),
        b"-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----".to_vec(),
        published.replace("4rXAxZuE=", "4rXAxZg==").into_bytes(),
    ];
    for pem in others {
        let pem = String::from_utf8(pem).unwrap();
        assert_eq!(PublicKey::from_pem(&pem).unwrap_err().code(), "unsupported_key", "{pem}");
    }
    // A point that is not on the curve.
    let off = format!("{}{}", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", "A".repeat(86) + "==");
    let off = format!("-----BEGIN PUBLIC KEY-----\n{off}\n-----END PUBLIC KEY-----");
    assert_eq!(PublicKey::from_pem(&off).unwrap_err().code(), "unsupported_key");
}

#[test]
fn every_algorithm_verifies_what_it_signed_and_nothing_else() {
    let mut signed: Vec<(Algorithm, PublicKey, String)> = Vec::new();
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let again = PrivateKey::from_pem(key.to_pem()).unwrap();
        assert_eq!((again.public(), again.algorithm()), (key.public(), algorithm));
        signed.push((algorithm, key.public().clone(), again.sign_compact(&json!({}), &json!({"a": 1})).unwrap()));
    }
    let (pkcs1, pss) = (RS256.generate_key_pair(2048).unwrap(), PS256.generate_key_pair(2048).unwrap());
    let rsa: [(Algorithm, josekit::jwk::Jwk, Box<dyn josekit::jws::JwsSigner>); 2] = [
        (
            Algorithm::Rs256,
            pkcs1.to_jwk_public_key(),
            Box::new(RS256.signer_from_pem(pkcs1.to_pem_private_key()).unwrap()),
        ),
        (Algorithm::Ps256, pss.to_jwk_public_key(), Box::new(PS256.signer_from_pem(pss.to_pem_private_key()).unwrap())),
    ];
    for (algorithm, jwk, signer) in rsa {
        let mut jwk = jwk.as_ref().clone();
        jwk.remove("alg");
        let public = PublicKey::from_jwk(&Value::Object(jwk)).unwrap();
        let input = format!("{}.{}", encode(&json!({"alg": algorithm.name()})), encode(&json!({"a": 1})));
        let signature = URL_SAFE_NO_PAD.encode(signer.sign(input.as_bytes()).unwrap());
        signed.push((algorithm, public, format!("{input}.{signature}")));
    }
    for (algorithm, key, token) in &signed {
        let jws = Jws::parse(token).unwrap();
        assert_eq!(jws.algorithm(), *algorithm);
        jws.verify(key).unwrap();
        // One bit of the signature.
        let (input, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[10] ^= 1;
        let damaged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(&bytes));
        assert_eq!(Jws::parse(&damaged).unwrap().verify(key).unwrap_err().code(), "bad_signature");
        let short = format!("{input}.{}", URL_SAFE_NO_PAD.encode(&bytes[1..]));
        assert_eq!(Jws::parse(&short).unwrap().verify(key).unwrap_err().code(), "bad_signature");
        let empty = format!("{input}.");
        assert_eq!(Jws::parse(&empty).unwrap().verify(key).unwrap_err().code(), "bad_signature");
        for (other, other_key, _token) in &signed {
            if other_key != key {
                let code = jws.verify(other_key).unwrap_err().code();
                let is_rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256);
                let fits = other == algorithm || (is_rsa(other) && is_rsa(algorithm));
                let expected = if fits { "bad_signature" } else { "unsupported_algorithm" };
                assert_eq!(code, expected, "{algorithm} with a key for {other}");
            }
        }
    }
}

#[test]
fn an_rsa_key_that_names_its_algorithm_is_for_that_one() {
    let key = PublicKey::from_jwk(&rsa_jwk()).unwrap();
    let token = |algorithm: &str| format!("{}.{}.AAAA", encode(&json!({"alg": algorithm})), encode(&json!({})));
    assert_eq!(Jws::parse(&token("PS256")).unwrap().verify(&key).unwrap_err().code(), "unsupported_algorithm");
    assert_eq!(Jws::parse(&token("RS256")).unwrap().verify(&key).unwrap_err().code(), "bad_signature");
}

#[test]
fn only_algorithms_of_the_list_are_accepted() {
    for name in ["none", "None", "HS256", "HS512", "RS512", "ES256K", "ES512", "", "es256", "A256GCMKW"] {
        let token = format!("{}.{}.", encode(&json!({"alg": name})), encode(&json!({})));
        assert_eq!(parse_code(&token), "unsupported_algorithm", "{name}");
    }
    assert_eq!("Ed25519".parse::<Algorithm>().unwrap(), Algorithm::EdDsa);
    assert_eq!(PrivateKey::generate(Algorithm::Ps256).unwrap_err().code(), "unsupported_algorithm");
    let shown = format!("x{}\n\u{7}", "y".repeat(500)).parse::<Algorithm>().unwrap_err().to_string();
    assert!(shown.len() < 150 && !shown.contains('\n'));
}

#[test]
fn a_malformed_token_is_refused() {
    let header = encode(&json!({"alg": "ES256"}));
    let object = encode(&json!({}));
    for token in [
        String::new(),
        "..".to_owned(),
        header.clone(),
        format!("{header}.{object}"),
        format!("{header}.{object}.AA.AA"),
        format!("{header}.{object}.AA.AA.AA"),
        format!("{header}=.{object}.AA"),
        format!("{header}.{object}.A+A/"),
        format!("{header}.{object}.A A"),
        format!("{header}.{}.AA", URL_SAFE_NO_PAD.encode("[]")),
        format!("{header}.{}.AA", URL_SAFE_NO_PAD.encode("{\"a\":")),
        format!("{}.{object}.AA", URL_SAFE_NO_PAD.encode([0xff, 0xfe])),
        format!("{}.{object}.AA", encode(&json!({}))),
        format!("{}.{object}.AA", encode(&json!({"alg": 7}))),
        format!("{}.{object}.AA", encode(&json!({"alg": "ES256", "crit": ["b64"], "b64": false}))),
        format!("{}.{object}.AA", encode(&json!({"alg": "ES256", "x": "y".repeat(20_000)}))),
        format!("{header}.{}.AA", URL_SAFE_NO_PAD.encode(vec![b' '; MAX_JWS_BYTES])),
        format!("{header}.{}.AA", URL_SAFE_NO_PAD.encode("[".repeat(100_000))),
    ] {
        assert_eq!(parse_code(&token), "malformed_jws", "{}", token.chars().take(60).collect::<String>());
    }
}

#[test]
fn a_key_that_is_none_is_refused() {
    let code = |jwk: Value| PublicKey::from_jwk(&jwk).unwrap_err().code();
    let with = |mut jwk: Value, name: &str, value: Value| {
        jwk[name] = value;
        code(jwk)
    };
    for jwk in [json!(null), json!("x"), json!({}), json!({"kty": "oct", "k": "AAAA"}), json!({"kty": "EC"})] {
        assert_eq!(code(jwk), "unsupported_key");
    }
    for (name, value) in [
        ("crv", json!("secp256k1")),
        ("crv", json!("P-384")),
        ("x", json!("AAAA")),
        ("x", json!(7)),
        ("x", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=")),
        // Not on the curve.
        ("y", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")),
        ("use", json!("enc")),
    ] {
        assert_eq!(with(es256_jwk(), name, value.clone()), "unsupported_key", "{name} {value}");
    }
    assert_eq!(with(es256_jwk(), "alg", json!("HS256")), "unsupported_algorithm");
    assert_eq!(with(ed25519_jwk(), "crv", json!("X25519")), "unsupported_key");
    assert_eq!(with(rsa_jwk(), "n", json!(URL_SAFE_NO_PAD.encode([0xff; 128]))), "unsupported_key");
    assert_eq!(with(rsa_jwk(), "n", json!(URL_SAFE_NO_PAD.encode([0xff; 2048]))), "unsupported_key");
    assert_eq!(with(rsa_jwk(), "e", json!("AQABAAAB")), "unsupported_key");
}

#[test]
fn private_members_go_no_further() {
    let mut jwk = es256_jwk();
    jwk["d"] = json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    jwk["kid"] = json!("k");
    let key = PublicKey::from_jwk(&jwk).unwrap();
    assert_eq!(Value::Object(key.jwk().clone()), es256_jwk());
    assert_eq!(key, PublicKey::from_jwk(&es256_jwk()).unwrap());
}

#[test]
fn a_private_key_is_pkcs8_of_a_known_kind() {
    let pem = |text: &str| secrecy::SecretString::from(text.to_owned());
    for text in ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        assert_eq!(PrivateKey::from_pem(&pem(text)).unwrap_err().code(), "unsupported_key");
    }
    let rsa = RS256.generate_key_pair(2048).unwrap().to_pem_private_key();
    let rsa = String::from_utf8(rsa).unwrap();
    assert_eq!(PrivateKey::from_pem(&pem(&rsa)).unwrap_err().code(), "unsupported_key");
}

//! Plans as JWS: what is signed is read back, and every forgery is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use policy_plan::{
    Admission, Conflict, EnforcementPlan, Expr, MAX_PLAN_BYTES, PLAN_TYPE, PlanError, PlanSigner, PlanVerifier,
    QueryRule, Residual, ResidualRule, Source, TimeOperator, Truth, sign, verify,
};
use serde_json::{Value, json};

fn plan() -> EnforcementPlan {
    let window = Expr::And(vec![
        Expr::Known(Truth::True),
        Expr::Or(vec![Expr::DateTime { operator: TimeOperator::Lteq, epoch_ms: 1_800_000_000_000 }]),
        Expr::Xone(vec![Expr::Known(Truth::Unknown), Expr::Known(Truth::False)]),
    ]);
    EnforcementPlan {
        process_id: "urn:uuid:1".into(),
        agreement_id: "urn:uuid:2".into(),
        dataset_id: "urn:dataset:traffic".into(),
        provider: "did:web:bari.example".into(),
        consumer: "did:web:tirana.example".into(),
        issued_at: 1_790_000_000_000,
        rules: Residual {
            permissions: vec![ResidualRule { id: "p0".into(), text: "permission p0".into(), when: window }],
            prohibitions: vec![],
            conflict: Conflict::Invalid,
        },
        source: Some(Source::Http { base_url: "http://127.0.0.1:1026".into(), credential: Some("broker".into()) }),
        admission: Admission {
            methods: vec!["GET".into()],
            paths: vec!["/ngsi-ld/v1/entities/**".into()],
            query: Some(vec![QueryRule { name: "type".into(), values: Some(vec!["A".into()]), required: true }]),
        },
        selection: None,
        writing: None,
        limits: Default::default(),
        max_token_seconds: 600,
    }
}

fn key() -> (PlanSigner, PlanVerifier) {
    let signer = PlanSigner::generate().unwrap();
    let verifier = PlanVerifier::from_jwks(&signer.jwks()).unwrap();
    (signer, verifier)
}

fn raw(header: &Value, payload: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(payload), URL_SAFE_NO_PAD.encode(signature))
}

/// Signs any claims under any header with the plan key.
fn signed(signer: &PlanSigner, header: &Header, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_ed_der(signer.to_pkcs8())).unwrap()
}

fn plan_header(signer: &PlanSigner) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(PLAN_TYPE.into());
    header.kid = Some(signer.kid().into());
    header
}

#[test]
fn a_signed_plan_is_read_back() {
    let (signer, verifier) = key();
    let jws = sign(&plan(), &signer).unwrap();
    assert_eq!(verify(&jws, &verifier).unwrap(), plan());
    let header = jsonwebtoken::decode_header(&jws).unwrap();
    assert_eq!((header.typ.as_deref(), header.kid.as_deref()), (Some(PLAN_TYPE), Some(signer.kid())));
}

#[test]
fn a_kept_key_signs_as_before() {
    let (signer, verifier) = key();
    let again = PlanSigner::from_pkcs8(signer.to_pkcs8()).unwrap();
    assert_eq!(again.kid(), signer.kid());
    assert_eq!(verify(&sign(&plan(), &again).unwrap(), &verifier).unwrap(), plan());
    assert!(!format!("{again:?}").contains("pkcs8"));
    assert!(matches!(PlanSigner::from_pkcs8(b"not a key"), Err(PlanError::Key(_))));
}

#[test]
fn the_key_id_is_the_thumbprint_of_rfc_8037_appendix_a3() {
    let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "something else",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
    let shown = format!("{:?}", PlanVerifier::from_jwks(&jwks).unwrap());
    assert!(shown.contains("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"), "{shown}");
}

#[test]
fn another_key_is_refused() {
    let (signer, verifier) = key();
    let (other, _) = key();
    assert_eq!(verify(&sign(&plan(), &other).unwrap(), &verifier), Err(PlanError::UnknownKey));
    let forged = signed(&other, &plan_header(&signer), &serde_json::to_value(plan()).unwrap());
    assert_eq!(verify(&forged, &verifier), Err(PlanError::Signature));
}

#[test]
fn a_changed_plan_is_refused() {
    let (signer, verifier) = key();
    let jws = sign(&plan(), &signer).unwrap();
    let parts: Vec<&str> = jws.split('.').collect();
    let mut longer_token = plan();
    longer_token.max_token_seconds = 86_400;
    let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&longer_token).unwrap());
    assert_eq!(verify(&format!("{}.{body}.{}", parts[0], parts[2]), &verifier), Err(PlanError::Signature));
    for place in 0..parts[2].len() {
        let mut signature = parts[2].as_bytes().to_vec();
        signature[place] = if signature[place] == b'A' { b'B' } else { b'A' };
        let signature = String::from_utf8(signature).unwrap();
        assert!(verify(&format!("{}.{}.{signature}", parts[0], parts[1]), &verifier).is_err());
    }
}

#[test]
fn other_algorithms_are_refused() {
    let (signer, verifier) = key();
    let claims = serde_json::to_value(plan()).unwrap();
    for alg in ["none", "None", "NONE", ""] {
        let header = json!({"alg": alg, "typ": PLAN_TYPE, "kid": signer.kid()});
        for signature in [&b""[..], &[0; 64]] {
            assert!(matches!(verify(&raw(&header, &claims, signature), &verifier), Err(PlanError::Envelope(_))));
        }
    }
    // The public key taken as a shared secret.
    let jwks = signer.jwks();
    let public = jwks["keys"][0]["x"].as_str().unwrap();
    for secret in [public.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(public).unwrap()] {
        let mut header = plan_header(&signer);
        header.alg = Algorithm::HS256;
        let jws = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap();
        assert!(matches!(verify(&jws, &verifier), Err(PlanError::Envelope(_))));
    }
}

#[test]
fn other_envelopes_are_refused() {
    let (signer, verifier) = key();
    let claims = serde_json::to_value(plan()).unwrap();
    let change = |change: fn(&mut Header)| {
        let mut header = plan_header(&signer);
        change(&mut header);
        verify(&signed(&signer, &header, &claims), &verifier)
    };
    assert!(change(|_| ()).is_ok());
    for refused in [
        change(|header| header.typ = Some("JWT".into())),
        change(|header| header.typ = None),
        change(|header| header.kid = None),
        change(|header| header.crit = Some(vec!["exp".into()])),
        change(|header| header.extras.insert("b64", false)),
    ] {
        assert!(matches!(refused, Err(PlanError::Envelope(_))), "{refused:?}");
    }
    let own_key = change(|header| header.kid = Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".into()));
    assert_eq!(own_key, Err(PlanError::UnknownKey));
    for shape in ["", ".", "..", "...", "a.b", "a.b.c", "ä.ö.ü", &"a".repeat(MAX_PLAN_BYTES + 1)] {
        assert!(matches!(verify(shape, &verifier), Err(PlanError::Envelope(_))), "{shape:.20}");
    }
}

#[test]
fn content_that_is_not_understood_is_refused() {
    let (signer, verifier) = key();
    let good = serde_json::to_value(plan()).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut claims = good.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        claims.pointer_mut(parent).unwrap()[member] = value;
        verify(&signed(&signer, &plan_header(&signer), &claims), &verifier)
    };
    assert!(with("/maxTokenSeconds", json!(5)).is_ok());
    for refused in [
        with("/restriction", json!("new")),
        with("/admission/hosts", json!([])),
        with("/rules/duties", json!([])),
        with("/rules/conflict", json!("sometimes")),
        with("/rules/permissions", json!([{"id": "p0", "text": "", "when": {"known": "maybe"}}])),
        with("/rules/permissions", json!([{"id": "p0", "text": "", "when": {"count": 5}}])),
        with("/maxTokenSeconds", json!(-1)),
        with("/issuedAt", json!("today")),
        with("/source", json!({"ftp": {}})),
    ] {
        assert!(matches!(refused, Err(PlanError::Content(_))), "{refused:?}");
    }
}

#[test]
fn a_deeply_nested_condition_is_an_error_and_not_a_crash() {
    let (signer, verifier) = key();
    let mut claims = serde_json::to_value(plan()).unwrap();
    let mut deep = json!({"known": "true"});
    for _ in 0..100 {
        deep = json!({"and": [deep]});
    }
    claims["rules"]["permissions"][0]["when"] = deep;
    let jws = signed(&signer, &plan_header(&signer), &claims);
    assert!(matches!(verify(&jws, &verifier), Err(PlanError::Content(_))));
}

#[test]
fn key_sets_without_a_usable_key_are_refused() {
    for jwks in [
        json!({}),
        json!([]),
        json!({"keys": []}),
        json!({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}),
        json!({"keys": [{"kty": "OKP", "crv": "X25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}),
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519"}]}),
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]}),
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "***"}]}),
    ] {
        assert!(matches!(PlanVerifier::from_jwks(&jwks), Err(PlanError::Key(_))), "{jwks}");
    }
}

#[test]
fn keys_of_pseudonyms_belong_to_one_signer_and_one_agreement() {
    let signer = PlanSigner::generate().unwrap();
    let again = PlanSigner::from_pkcs8(signer.to_pkcs8()).unwrap();
    let key = signer.pseudonym_key("urn:uuid:1");
    assert_eq!(key, again.pseudonym_key("urn:uuid:1"));
    assert_ne!(key, signer.pseudonym_key("urn:uuid:2"));
    assert_ne!(key, PlanSigner::generate().unwrap().pseudonym_key("urn:uuid:1"));
    assert!(key.bytes().is_some());
}

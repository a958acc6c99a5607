use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::*;
use crate::Fault;
use crate::did::{DidResolver, DidSettings, DidUrl};
use crate::jose::{Algorithm, JoseError, PrivateKey};
use crate::keys::{KeySigner, Signer};
use crate::testing::{Actor, FixedClock, MapFetch, NOW, actor, document_url, unreachable_host};

const CITY: &str = "did:web:city.example";
const OTHER: &str = "did:web:other.example";
const US: &str = "did:web:us.example";

struct Scene {
    fetch: Arc<MapFetch>,
    clock: Arc<FixedClock>,
    city: Actor,
    replay: Arc<ReplayMemory>,
    validator: TokenValidator,
}

fn scene() -> Scene {
    let (fetch, clock) = (MapFetch::new(), FixedClock::new());
    let city = actor(&fetch, CITY);
    actor(&fetch, OTHER);
    let resolver = Arc::new(DidResolver::new(fetch.clone(), clock.clone(), DidSettings::default()));
    let replay = Arc::new(ReplayMemory::default());
    let validator = TokenValidator::new(resolver, clock.clone(), replay.clone());
    Scene { fetch, clock, city, replay, validator }
}

impl Scene {
    async fn validate(&self, token: &str) -> Result<SelfIssued, IdentityError> {
        self.validator.validate(token, &US.parse().unwrap()).await
    }
}

/// The claims of a good token with these instead; null takes one away.
fn claims(change: &Value) -> Value {
    let mut claims = json!({
        "iss": CITY, "sub": CITY, "aud": US, "jti": "1", "iat": NOW, "exp": NOW + 300, "token": "access",
    });
    let members = claims.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_name, value| !value.is_null());
    claims
}

#[tokio::test]
async fn each_rule_of_the_claims() {
    let table = [
        (json!({"iss": null}), "missing_claim"),
        (json!({"sub": null}), "missing_claim"),
        (json!({"aud": null}), "missing_claim"),
        (json!({"jti": null}), "missing_claim"),
        (json!({"iat": null}), "missing_claim"),
        (json!({"exp": null}), "missing_claim"),
        (json!({"iss": 1}), "malformed_token"),
        (json!({"jti": 1}), "malformed_token"),
        (json!({"jti": ""}), "malformed_token"),
        (json!({"jti": "x".repeat(513)}), "malformed_token"),
        (json!({"exp": "soon"}), "malformed_token"),
        (json!({"exp": -1}), "malformed_token"),
        (json!({"exp": 1e300}), "malformed_token"),
        (json!({"nbf": true}), "malformed_token"),
        (json!({"token": {}}), "malformed_token"),
        (json!({"token": ""}), "malformed_token"),
        (json!({"sub": OTHER}), "issuer_not_subject"),
        (json!({"iss": OTHER}), "issuer_not_subject"),
        (json!({"iss": "city", "sub": "city"}), "malformed_did"),
        (json!({"aud": OTHER}), "wrong_audience"),
        (json!({"aud": [OTHER, CITY]}), "wrong_audience"),
        (json!({"aud": vec![US; 17]}), "wrong_audience"),
        (json!({"aud": {"id": US}}), "wrong_audience"),
        (json!({"iat": NOW - 300, "exp": NOW - 30}), "token_expired"),
        (json!({"iat": NOW + 31}), "token_issued_in_future"),
        (json!({"nbf": NOW + 31}), "token_not_yet_valid"),
        (json!({"exp": NOW + 3601}), "token_too_long_lived"),
        (json!({"iat": NOW - 3000, "exp": NOW + 601}), "token_too_long_lived"),
    ];
    let scene = scene();
    for (change, code) in table {
        let token = scene.city.sign(&json!({}), &claims(&change));
        let error = scene.validate(&token).await.unwrap_err();
        assert_eq!((error.code(), error.fault()), (code, Fault::Caller), "{change}");
        assert!(!error.to_string().contains("access"), "{error}");
    }
    // Who only claims to be somebody fills nothing.
    assert!(scene.replay.is_empty());
}

#[tokio::test]
async fn what_is_allowed() {
    let table = [
        json!({"aud": [OTHER, US]}),
        json!({"iat": NOW - 300, "exp": NOW - 29}),
        json!({"iat": NOW + 30}),
        json!({"nbf": NOW + 30}),
        json!({"exp": NOW + 3600}),
        json!({"exp": 1_767_225_660.5}),
        json!({"token": null}),
    ];
    let scene = scene();
    for (number, change) in table.iter().enumerate() {
        let mut claims = claims(change);
        claims["jti"] = json!(number.to_string());
        let token = scene.city.sign(&json!({}), &claims);
        assert_eq!(scene.validate(&token).await.unwrap().did.as_str(), CITY, "{change}");
    }
}

#[tokio::test]
async fn each_rule_of_the_signature() {
    let scene = scene();
    let good = claims(&json!({}));
    let stranger = PrivateKey::generate(Algorithm::Es256).unwrap();
    let by_stranger = |kid: &str| stranger.sign_compact(&json!({"kid": kid}), &good).unwrap();
    let signed = |header: Value| scene.city.sign(&header, &good);
    let (input, signature) = {
        let token = signed(json!({}));
        let (input, signature) = token.rsplit_once('.').unwrap();
        (input.to_owned(), signature.to_owned())
    };
    let none = format!("eyJhbGciOiJub25lIn0.{}.", input.split_once('.').unwrap().1);
    let hmac = format!("eyJhbGciOiJIUzI1NiJ9.{}.AAAA", input.split_once('.').unwrap().1);
    let table = [
        (by_stranger(&scene.city.kid), "bad_signature"),
        (format!("{input}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]), "bad_signature"),
        (signed(json!({"kid": format!("{OTHER}#key-1")})), "key_of_another"),
        (signed(json!({"kid": format!("{CITY}#key-2")})), "unknown_key"),
        (signed(json!({"kid": "key-1"})), "malformed_did"),
        (signed(json!({"kid": 1})), "malformed_token"),
        (none, "unsupported_algorithm"),
        (hmac, "unsupported_algorithm"),
        (input.clone(), "malformed_token"),
        ("x".to_owned(), "malformed_token"),
        (String::new(), "malformed_token"),
        ("x".repeat(MAX_TOKEN_BYTES + 1), "malformed_token"),
    ];
    for (token, code) in table {
        assert_eq!(scene.validate(&token).await.unwrap_err().code(), code);
    }
    assert!(scene.validate(&signed(json!({"kid": "#key-1"}))).await.is_ok());
}

#[tokio::test]
async fn each_rule_of_the_document() {
    let good = claims(&json!({}));
    let with = |change: fn(&mut Map<String, Value>)| {
        let scene = scene();
        let mut document = scene.city.document();
        change(document.as_object_mut().unwrap());
        scene.fetch.put_json(&document_url(CITY), &document);
        scene
    };
    let second = |document: &mut Map<String, Value>| {
        let mut method = document["verificationMethod"][0].clone();
        method["id"] = json!("#key-2");
        document["verificationMethod"].as_array_mut().unwrap().push(method);
    };
    let table: [(Scene, bool, &str); 5] = [
        (with(|document| drop(document.remove("capabilityInvocation"))), true, "key_not_allowed"),
        (with(|document| drop(document.remove("capabilityInvocation"))), false, "key_not_allowed"),
        (with(|document| drop(document.insert("id".to_owned(), json!(OTHER)))), true, "did_mismatch"),
        (with(second), false, "ambiguous_key"),
        (with(|document| drop(document.insert("verificationMethod".to_owned(), json!([])))), true, "unknown_key"),
    ];
    for (scene, kid, code) in table {
        let token = if kid {
            scene.city.sign(&json!({}), &good)
        } else {
            scene.city.key.sign_compact(&json!({}), &good).unwrap()
        };
        assert_eq!(scene.validate(&token).await.unwrap_err().code(), code);
    }
    let alone = scene();
    let token = alone.city.key.sign_compact(&json!({}), &good).unwrap();
    assert!(alone.validate(&token).await.is_ok());

    let silent = scene();
    silent.fetch.fail(&document_url(CITY), unreachable_host());
    let error = silent.validate(&silent.city.sign(&json!({}), &good)).await.unwrap_err();
    assert_eq!((error.fault(), error.is_temporary()), (Fault::Peer, true));
}

#[tokio::test]
async fn a_token_is_used_once() {
    let scene = scene();
    let token = scene.city.sign(&json!({}), &claims(&json!({})));
    let first = scene.validate(&token).await.unwrap();
    let expected = TokenUse { issuer: CITY.to_owned(), jti: "1".to_owned(), expires: NOW + 331 };
    assert_eq!(first.token_use, expected);
    scene.clock.set(NOW + 300);
    assert_eq!(scene.validate(&token).await.unwrap_err().code(), "token_replayed");
    // To the last second that the leeway leaves it, and gone after that.
    scene.clock.set(NOW + 329);
    assert_eq!(scene.validate(&token).await.unwrap_err().code(), "token_replayed");
    scene.clock.set(NOW + 330);
    assert_eq!(scene.validate(&token).await.unwrap_err().code(), "token_expired");
    let other = scene.city.sign(&json!({}), &claims(&json!({"jti": "2", "iat": NOW + 331, "exp": NOW + 400})));
    scene.clock.set(NOW + 331);
    scene.validate(&other).await.unwrap();
    assert_eq!(scene.replay.len(), 1);
}

#[test]
fn the_memory_is_bounded() {
    let memory = ReplayMemory::new(8);
    let used = |issuer: &str, jti: u32| TokenUse { issuer: issuer.to_owned(), jti: jti.to_string(), expires: NOW + 10 };
    let full = |issuer: &str, jti: u32| {
        let error = memory.remember(&used(issuer, jti), NOW).unwrap_err();
        assert_eq!((error.code(), error.fault(), error.is_temporary()), ("too_many_tokens", Fault::Us, true));
    };
    // Strangers share a quarter, however many they are.
    memory.remember(&used("stranger-1", 0), NOW).unwrap();
    memory.remember(&used("stranger-2", 0), NOW).unwrap();
    full("stranger-3", 0);
    for issuer in ["a", "b", "c", "d"] {
        memory.prove(issuer);
    }
    for issuer in ["a", "b", "c"] {
        for jti in 0..2 {
            memory.remember(&used(issuer, jti), NOW).unwrap();
        }
    }
    full("a", 2);
    full("d", 0);
    assert_eq!(memory.remember(&used("a", 1), NOW).unwrap_err().code(), "token_replayed");
    assert_eq!(memory.remember(&used("stranger-1", 0), NOW).unwrap_err().code(), "token_replayed");
    // What has expired makes room.
    for issuer in ["d", "stranger-3"] {
        let later = TokenUse { expires: NOW + 20, ..used(issuer, 0) };
        memory.remember(&later, NOW + 10).unwrap();
    }
    assert_eq!(memory.len(), 2);
}

#[tokio::test]
async fn what_is_minted_is_valid() {
    let scene = scene();
    let signer = KeySigner::new(DidUrl::parse(&scene.city.kid).unwrap(), scene.city.key.clone());
    let (own, secret) = (CITY.parse().unwrap(), SecretString::from("opaque"));
    let mut say = IdToken::new(&own, US, 60).with_token(Some(&secret));
    say.pre_authorized_code = Some(&secret);
    let token = mint(&signer, &*scene.clock, &say).await.unwrap();
    let valid = scene.validate(token.expose_secret()).await.unwrap();
    assert_eq!((valid.did.as_str(), valid.issued, valid.expires), (CITY, NOW, NOW + 60));
    assert_eq!(valid.token.as_ref().unwrap().expose_secret(), "opaque");
    assert_eq!(valid.pre_authorized_code.as_ref().unwrap().expose_secret(), "opaque");
    assert!(valid.extra.is_empty());
    assert!(!format!("{valid:?} {say:?}").contains("opaque"));
    let again = mint(&signer, &*scene.clock, &say).await.unwrap();
    assert!(scene.validate(again.expose_secret()).await.is_ok());
}

/// A key that lies elsewhere, where nobody answers.
struct Silent;

#[async_trait::async_trait]
impl Signer for Silent {
    fn key_id(&self) -> DidUrl {
        DidUrl::parse("did:web:us.example#k-v1").unwrap()
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    async fn sign_compact(&self, _header: &Value, _payload: &Value) -> Result<String, JoseError> {
        Err(JoseError::cannot_sign("nobody answers"))
    }
}

#[tokio::test]
async fn a_key_that_does_not_sign_may_sign_later() {
    let own = US.parse().unwrap();
    let error = mint(&Silent, &*FixedClock::new(), &IdToken::new(&own, CITY, 60)).await.unwrap_err();
    assert_eq!((error.code(), error.fault(), error.is_temporary()), ("cannot_sign", Fault::Us, true));
}

#[test]
fn the_header() {
    assert_eq!(bearer(Some("Bearer a.b.c")).unwrap(), "a.b.c");
    let long = format!("Bearer {}", "x".repeat(MAX_TOKEN_BYTES + 1));
    let table = [
        (None, "no_token"),
        (Some(""), "no_token"),
        (Some("a.b.c"), "wrong_scheme"),
        (Some("bearer a.b.c"), "wrong_scheme"),
        (Some("Basic a.b.c"), "wrong_scheme"),
        (Some("Bearer"), "wrong_scheme"),
        (Some("Bearer a b"), "malformed_token"),
        (Some(long.as_str()), "malformed_token"),
    ];
    for (header, code) in table {
        assert_eq!(bearer(header).unwrap_err().code(), code, "{header:?}");
    }
}

#[tokio::test]
async fn a_client_of_a_refresh_endpoint_is_the_holder_and_names_its_access_token() {
    let scene = scene();
    let ask = async |token: &str, holder: &str| {
        scene.validator.validate_client(token, &US.parse().unwrap(), holder).await.map(|client| client.access_token)
    };
    let refused = [
        (json!({"iss": null}), "missing_claim"),
        (json!({"exp": null}), "missing_claim"),
        (json!({"token": null}), "missing_claim"),
        (json!({"token": 1}), "malformed_token"),
        (json!({"jti": ""}), "malformed_token"),
        (json!({"sub": OTHER}), "issuer_not_subject"),
        (json!({"aud": OTHER}), "wrong_audience"),
        (json!({"iat": NOW - 300, "exp": NOW - 30}), "token_expired"),
        (json!({"iat": NOW + 31}), "token_issued_in_future"),
        (json!({"nbf": NOW + 31}), "token_not_yet_valid"),
        (json!({"exp": NOW + 3601}), "token_too_long_lived"),
        (json!({"iat": null, "exp": NOW + 3631}), "token_too_long_lived"),
    ];
    for (change, code) in refused {
        let token = scene.city.sign(&json!({}), &claims(&change));
        assert_eq!(ask(&token, CITY).await.unwrap_err().code(), code, "{change}");
    }
    let good = scene.city.sign(&json!({}), &claims(&json!({})));
    assert_eq!(ask(&good, OTHER).await.unwrap_err().code(), "wrong_holder");
    let (head, _) = good.rsplit_once('.').unwrap();
    assert_eq!(ask(&format!("{head}.AAAA"), CITY).await.unwrap_err().code(), "bad_signature");
    assert!(scene.replay.is_empty(), "who only claims to be somebody fills nothing");
    assert_eq!(ask(&good, CITY).await.unwrap().expose_secret(), "access");
    assert_eq!(ask(&good, CITY).await.unwrap_err().code(), "token_replayed");
    // The profile asks for neither an id nor the time of issue.
    let short = scene.city.sign(&json!({}), &claims(&json!({"jti": null, "iat": null})));
    assert_eq!(ask(&short, CITY).await.unwrap().expose_secret(), "access");
    assert_eq!(ask(&short, CITY).await.unwrap_err().code(), "token_replayed");
}

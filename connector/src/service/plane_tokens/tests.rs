use identity::jose::{Algorithm, PrivateKey};
use serde_json::json;

use super::*;

const US: &str = "did:web:us.example";

fn credentials(change: impl FnOnce(&mut ClientCredentials)) -> ClientCredentials {
    let mut credentials = ClientCredentials {
        token_endpoint: "https://tokens.example/token".to_owned(),
        client_id: "hansa".to_owned(),
        client_secret: "secret".to_owned(),
        jwks: None,
        jwks_uri: Some("https://tokens.example/jwks".to_owned()),
        danger_unverified_tokens: false,
        single_use: false,
    };
    change(&mut credentials);
    credentials
}

fn plane(credentials: &ClientCredentials) -> data_plane::Model {
    data_plane::Model {
        context: "default".to_owned(),
        id: "plane".to_owned(),
        endpoint: "http://127.0.0.1:1".to_owned(),
        profiles: "[]".to_owned(),
        dialect: "rc3".to_owned(),
        labels: "[]".to_owned(),
        authorization: OAUTH2.to_owned(),
        authorization_value: credentials.stored().unwrap(),
        presence: None,
        presence_since: None,
        present_until: None,
        connection: None,
        created_at: 0,
        updated_at: 0,
    }
}

fn key(kid: &str) -> (PrivateKey, Value) {
    let key = PrivateKey::generate(Algorithm::Es256).unwrap();
    let mut jwk = Value::Object(key.public().jwk().clone());
    jwk["kid"] = json!(kid);
    (key, jwk)
}

/// The claims of a good token with these instead; null takes one away.
fn claims(change: &Value) -> Value {
    let now = now_ms() / 1000;
    let mut claims =
        json!({"iss": "https://tokens.example", "sub": "plane", "aud": US, "iat": now, "exp": now + 300, "jti": "1"});
    let members = claims.as_object_mut().unwrap();
    members.extend(change.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    claims
}

fn header(key: &PrivateKey, kid: Option<&str>, claims: &Value) -> Vec<u8> {
    let head = kid.map_or_else(|| json!({}), |kid| json!({"kid": kid}));
    format!("Bearer {}", key.sign_compact(&head, claims).unwrap()).into_bytes()
}

#[test]
fn what_an_agreement_about_tokens_must_have() {
    let (_, jwk) = key("a");
    for (member, made) in [
        ("tokenEndpoint", credentials(|c| c.token_endpoint = "http://tokens.example/token".to_owned())),
        ("tokenEndpoint", credentials(|c| c.token_endpoint = "ftp://tokens.example".to_owned())),
        ("clientId", credentials(|c| c.client_id = String::new())),
        ("clientSecret", credentials(|c| c.client_secret = String::new())),
        ("jwksUri", credentials(|c| c.jwks_uri = None)),
        ("jwksUri", credentials(|c| c.jwks = Some(json!({"keys": [jwk.clone()]})))),
        ("jwks", credentials(|c| (c.jwks, c.jwks_uri) = (Some(json!({"keys": []})), None))),
        ("jwks", credentials(|c| (c.jwks, c.jwks_uri) = (Some(json!([])), None))),
    ] {
        let error = made.stored().unwrap_err();
        assert!(error.message.contains(&format!("`{member}`")), "{member}: {error}");
    }
    for good in [
        credentials(|_| {}),
        credentials(|c| c.token_endpoint = "http://127.0.0.1:9/token".to_owned()),
        credentials(|c| (c.jwks, c.jwks_uri) = (Some(json!({"keys": [jwk.clone()]})), None)),
        credentials(|c| (c.danger_unverified_tokens, c.jwks_uri) = (true, None)),
    ] {
        assert!(good.stored().is_ok());
    }
    let entry = json!({"type": "oauth2_client_credentials", "clientId": "a"});
    assert!(of_registration(Some(&entry), None, None).is_err());
    assert!(of_registration(Some(&json!({"type": "bearer"})), None, None).unwrap().is_none());
}

#[tokio::test]
async fn a_plane_is_known_by_a_token_that_its_key_signed_for_us() {
    let (_folder, app) = crate::testing::app().await;
    let ((first, first_jwk), (second, second_jwk)) = (key("a"), key("b"));
    let keys = json!({"keys": [{"kty": "unknown"}, first_jwk, second_jwk]});
    let plane = plane(&credentials(|c| (c.jwks, c.jwks_uri) = (Some(keys), None)));
    let now = now_ms() / 1000;
    let good = claims(&json!({}));
    for (name, header, expected) in [
        ("by its name", header(&first, Some("a"), &good), true),
        ("without a name", header(&second, None, &good), true),
        ("twice, since tokens are kept", header(&second, None, &good), true),
        ("by another's name", header(&first, Some("b"), &good), false),
        ("an unknown key", header(&key("a").0, Some("a"), &good), false),
        ("no scheme", header(&first, None, &good)[7..].to_vec(), false),
        ("no JWT", b"Bearer abc".to_vec(), false),
        ("nothing", Vec::new(), false),
        ("no iss", header(&first, None, &claims(&json!({"iss": null}))), false),
        ("another sub", header(&first, None, &claims(&json!({"sub": "other"}))), false),
        ("another aud", header(&first, None, &claims(&json!({"aud": "did:web:other"}))), false),
        ("several aud", header(&first, None, &claims(&json!({"aud": ["x", US]}))), true),
        ("no iat", header(&first, None, &claims(&json!({"iat": null}))), false),
        ("no exp", header(&first, None, &claims(&json!({"exp": null}))), false),
        ("expired", header(&first, None, &claims(&json!({"iat": now - 90, "exp": now - 31}))), false),
        ("from the future", header(&first, None, &claims(&json!({"iat": now + 60}))), false),
        ("too long", header(&first, None, &claims(&json!({"exp": now + 2 * dps_signaling::token::MAX_LIFE_S}))), false),
        ("no jti", header(&first, None, &claims(&json!({"jti": null}))), true),
    ] {
        assert_eq!(is_theirs(&app, &plane, &header).await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn a_token_counts_once_where_that_is_agreed() {
    let (_folder, app) = crate::testing::app().await;
    let (first, jwk) = key("a");
    let jwks = json!({"keys": [jwk]});
    let plane = plane(&credentials(|c| (c.jwks, c.jwks_uri, c.single_use) = (Some(jwks), None, true)));
    let token = header(&first, None, &claims(&json!({})));
    assert!(is_theirs(&app, &plane, &token).await.unwrap());
    assert!(!is_theirs(&app, &plane, &token).await.unwrap());
    let unnamed = header(&first, None, &claims(&json!({"jti": null})));
    assert!(!is_theirs(&app, &plane, &unnamed).await.unwrap(), "without an id it cannot be told apart");
}

#[test]
fn tokens_are_exchanged_at_the_broker_of_the_configuration_alone() {
    let broker = crate::config::Broker {
        endpoint: "https://broker.example/token".parse().unwrap(),
        issuer: "https://broker.example".to_owned(),
        jwks_uri: "https://broker.example/jwks".parse().unwrap(),
        subject_token_file: "/nowhere".into(),
    };
    let entry = json!({"type": "oauth2_token_exchange", "tokenExchangeEndpoint": "https://broker.example/token",
        "issuer": "https://broker.example", "jwksUri": "https://broker.example/jwks"});
    let (kind, value) = of_registration(Some(&entry), Some(&broker), None).unwrap().unwrap();
    assert_eq!((kind.as_str(), value.as_str()), (EXCHANGE, "{}"));
    for (member, value) in [
        ("tokenExchangeEndpoint", "https://other.example/token"),
        ("issuer", "https://other.example"),
        ("jwksUri", "https://other.example/jwks"),
    ] {
        let mut other = entry.clone();
        other[member] = json!(value);
        let error = of_registration(Some(&other), Some(&broker), None).unwrap_err();
        assert_eq!(error.code, "unknown_broker", "{member}");
    }
    assert_eq!(of_registration(Some(&entry), None, None).unwrap_err().code, "unknown_broker");

    // What an operator has said about the plane stays when it registers itself.
    let mut known = plane(&credentials(|_| {}));
    let agreed = TokenExchange { accept_scope: Some("transfers.tell".to_owned()), ..TokenExchange::default() };
    known.authorization = EXCHANGE.to_owned();
    known.authorization_value = agreed.stored(Some(&broker)).unwrap();
    let (_, value) = of_registration(Some(&entry), Some(&broker), Some(&known)).unwrap().unwrap();
    assert_eq!(value, json!({"acceptScope": "transfers.tell"}).to_string());
    assert!(agreed.stored(None).unwrap_err().message.contains("token_exchange"));
    let empty = TokenExchange { scope: Some(String::new()), ..TokenExchange::default() };
    assert!(empty.stored(Some(&broker)).unwrap_err().message.contains("`scope`"));
}

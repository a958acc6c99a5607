use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{BARI, City, TURKU, World, did, scopes};
use crate::dcp::access_token::{AccessGrant, AccessTokens, mint_access_token};
use crate::testing::NOW;

fn tokens(city: &City) -> AccessTokens {
    AccessTokens::new(city.did.clone(), city.resolver.clone(), city.clock.clone())
}

async fn minted(city: &City) -> SecretString {
    let scopes = scopes(&["MembershipCredential"]);
    mint_access_token(&*city.signer, &*city.clock, &city.did, TURKU, &scopes, 60).await.unwrap()
}

#[tokio::test]
async fn what_is_minted_is_valid_until_it_ends() {
    let world = World::new();
    let token = minted(&world.bari).await;
    let validate = async || tokens(&world.bari).validate(token.expose_secret(), &did(TURKU)).await;
    let scopes = scopes(&["MembershipCredential"]);
    let grant = AccessGrant { verifier: TURKU.to_owned(), scopes, expires: NOW + 60 };
    // More than once: it is not the token of a request.
    assert_eq!(validate().await.unwrap(), grant);
    assert_eq!(validate().await.unwrap(), grant);
    world.clock.advance(60);
    assert_eq!(validate().await.unwrap_err().code(), "access_token_expired");
}

#[tokio::test]
async fn each_rule() {
    let world = World::new();
    let good = json!({
        "iss": BARI, "aud": BARI, "verifier": TURKU, "scope": "org.eclipse.dspace.dcp.vc.type:A",
        "jti": "1", "iat": NOW, "exp": NOW + 60,
    });
    let sign = |header: &Value, name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        world.bari.actor.sign(header, &claims)
    };
    let typ = json!({"typ": "at+jwt"});
    let by_turku = world.turku.actor.key.sign_compact(&json!({"typ": "at+jwt", "kid": world.bari.actor.kid}), &good);
    let own_turku = world.turku.actor.sign(&typ, &good);
    let id_token = world.bari.id_token(BARI, None).await.expose_secret().to_owned();
    let table = [
        ("opaque".to_owned(), "malformed_access_token"),
        ("x".repeat(20_000), "malformed_access_token"),
        (id_token, "malformed_access_token"),
        (own_turku, "malformed_access_token"),
        (sign(&json!({}), "jti", json!("1")), "malformed_access_token"),
        (sign(&json!({"typ": "at+jwt", "kid": "#key-1"}), "jti", json!("1")), "malformed_access_token"),
        (sign(&typ, "iss", json!(TURKU)), "malformed_access_token"),
        (sign(&typ, "aud", json!(TURKU)), "malformed_access_token"),
        (sign(&typ, "exp", json!("never")), "malformed_access_token"),
        (sign(&typ, "exp", json!(NOW)), "access_token_expired"),
        (sign(&typ, "verifier", json!(BARI)), "access_token_of_another"),
        (sign(&typ, "verifier", Value::Null), "access_token_of_another"),
        (sign(&json!({"typ": "at+jwt", "kid": format!("{BARI}#key-9")}), "jti", json!("1")), "unknown_key"),
        (by_turku.unwrap(), "bad_access_token_signature"),
    ];
    for (token, code) in table {
        let error = tokens(&world.bari).validate(&token, &did(TURKU)).await.unwrap_err();
        assert_eq!((error.code(), error.refusal().status()), (code, 401));
    }
    let token = sign(&typ, "scope", json!("whatever"));
    assert_eq!(tokens(&world.bari).validate(&token, &did(TURKU)).await.unwrap_err().code(), "malformed_scope");
}
